//! Runs a test program, and ends it if it hangs.
//!
//! When a test takes long, libtest prints that it "has been running for over 60 seconds". Then it
//! waits for ever. So cargo starts each test program through `cargo xtask watched`, its *runner*
//! (the step `slow-tests` needs no cargo, and calls [`pass`]):
//!
//! ```text
//! cargo test ──► xtask watched PROGRAM … ──► PROGRAM …
//!                    └── prints nothing for ten minutes: names the tests that run, and ends PROGRAM
//! ```
//!
//! cargo continues with the other test programs, and the check fails. This is a safety net: the
//! waits of a test have deadlines of their own (`tidewire_testkit::deadline`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tidewire_testkit::run::Result;

/// The program and its arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

/// How long a test program may print nothing. Far longer than any test takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// How often to look whether the program has ended.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &Args) -> Result {
    let mut command = Command::new(&args.program[0]);
    command.args(&args.program[1..]);
    // The program sees a pipe. Colours are for the terminal behind it.
    if std::io::stdout().is_terminal() {
        command.arg("--color=always");
    }
    let status = watch(command, LIMIT, &mut std::io::stdout())?;
    match status.code() {
        Some(0) => Ok(()),
        // libtest has said why.
        Some(code) => std::process::exit(code),
        None => Err(format!("the test program was ended ({status})")),
    }
}

/// Runs a test program as a part of this one. `Err` if a test failed, or if the program hung.
pub(super) fn pass(command: Command) -> Result {
    match watch(command, LIMIT, &mut std::io::stdout())? {
        status if status.success() => Ok(()),
        status => Err(format!("the test program failed ({status})")),
    }
}

/// Runs the program to its end, and passes its output on. `Err` if it was silent for `limit`.
fn watch(mut command: Command, limit: Duration, out: &mut impl Write) -> Result<ExitStatus> {
    let program = command.get_program().to_string_lossy().into_owned();
    let told = |error: std::io::Error| format!("{program}: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(told)?;
    let pieces = pieces_of(&mut child);
    let (mut running, mut since, mut ended) = (Running::default(), Instant::now(), None);
    loop {
        match pieces.recv_timeout(LOOK.min(limit)) {
            Ok(piece) => {
                drop(out.write_all(&piece).and_then(|()| out.flush()));
                running.read(&piece);
                since = Instant::now();
            }
            Err(RecvTimeoutError::Disconnected) => return child.wait().map_err(told),
            // The program has ended, and its last words have come. Its children may still have its
            // output open.
            Err(RecvTimeoutError::Timeout) if ended.is_some() => break,
            Err(RecvTimeoutError::Timeout) => {
                ended = child.try_wait().map_err(told)?;
                if ended.is_none() && since.elapsed() >= limit {
                    break;
                }
            }
        }
    }
    if let Some(status) = ended {
        return Ok(status);
    }
    end(&mut child);
    Err(format!(
        "the test program printed nothing for {limit:?}, so it was ended. These tests were running: {}",
        running.names()
    ))
}

/// Reads the output in a thread, because a read cannot have a time limit.
fn pieces_of(child: &mut Child) -> Receiver<Vec<u8>> {
    let mut output = child.stdout.take().expect("it is a pipe");
    let (send, pieces) = channel();
    std::thread::spawn(move || {
        let mut piece = [0; 16 * 1024];
        while let Ok(n @ 1..) = output.read(&mut piece) {
            if send.send(piece[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    pieces
}

/// The tests that libtest has called long, and that have not ended since.
#[derive(Default)]
struct Running {
    names: BTreeSet<String>,
    /// The line that has not ended yet.
    line: Vec<u8>,
}

impl Running {
    fn read(&mut self, piece: &[u8]) {
        for &byte in piece {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            let Some(test) = line.strip_prefix("test ") else { continue };
            if let Some((name, _)) = test.split_once(" has been running for over ") {
                self.names.insert(name.to_owned());
            } else if let Some((name, _)) = test.split_once(" ... ") {
                self.names.remove(name);
                self.names.remove(name.trim_end_matches(" - should panic"));
            }
        }
    }

    fn names(&self) -> String {
        // With one thread, libtest calls no test long. But it prints the name before the test runs.
        let line = String::from_utf8_lossy(&self.line);
        let alone = line.strip_prefix("test ").and_then(|test| test.split(" ... ").next());
        let names: Vec<_> = self.names.iter().map(String::as_str).chain(alone).collect();
        if names.is_empty() { "libtest has named none".to_owned() } else { names.join(", ") }
    }
}

/// Kills the program and the processes that it has started.
fn end(child: &mut Child) {
    let descendants = descendants(child.id());
    drop(child.kill());
    drop(child.wait());
    #[cfg(unix)]
    for id in descendants {
        if let Some(id) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    drop(descendants);
}

/// The processes that a process has started, and those that they have started. Empty where there is
/// no `/proc`.
fn descendants(id: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            // The name may contain spaces. After it: the state and the parent.
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((process.file_name().to_str()?.parse().ok()?, parent))
        })
        .collect();
    let mut found = vec![id];
    let mut seen = 0;
    while seen < found.len() {
        let parent = found[seen];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        seen += 1;
    }
    found.split_off(1)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use tidewire_testkit::deadline::Deadline;

    use super::*;

    /// On a busy machine, a shell may need seconds before it prints something.
    const SHORT: Duration = Duration::from_secs(8);

    fn watch_script(script: &str, limit: Duration) -> (Result<ExitStatus>, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut out = Vec::new();
        let result = watch(command, limit, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn output_and_status_are_passed_on() {
        let (result, said) = watch_script("echo one; echo two; exit 101", Duration::from_secs(60));
        assert_eq!((result.unwrap().code(), said.as_str()), (Some(101), "one\ntwo\n"));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children_and_its_tests_are_named() {
        let file = std::env::temp_dir().join(format!("xtask-watched-{}", std::process::id()));
        let script = format!(
            "echo test a::slow has been running for over 60 seconds\n\
             echo test b::hangs has been running for over 60 seconds\n\
             echo test a::slow ... ok\n\
             sleep 1000 & echo $! > {}\n\
             wait",
            file.display()
        );
        let (result, said) = watch_script(&script, SHORT);
        let problem = result.unwrap_err();
        assert!(problem.starts_with("the test program printed nothing for 8s"), "{problem}");
        assert!(problem.ends_with("These tests were running: b::hangs"), "{problem}");
        assert!(said.ends_with("test a::slow ... ok\n"), "{said}");
        let id = std::fs::read_to_string(&file).unwrap();
        Deadline::soon().until("the end of the child", || {
            // It is a zombie until its new parent waits for it.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        });
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_test_that_runs_alone_and_hangs_is_named() {
        let script = "echo 'test a ... ok'; printf 'test b::hangs ... '; exec sleep 1000";
        let (result, _) = watch_script(script, SHORT);
        let problem = result.unwrap_err();
        assert!(problem.ends_with("These tests were running: b::hangs"), "{problem}");
    }

    #[test]
    fn a_program_ends_although_its_child_keeps_the_output_open() {
        let script = "echo first; sleep 1000 & echo $!; exit 3";
        let (result, said) = watch_script(script, Duration::from_secs(60));
        assert_eq!(result.unwrap().code(), Some(3));
        let id = said.strip_prefix("first\n").unwrap().trim().parse().unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn a_program_that_prints_from_time_to_time_may_take_long() {
        let script = "for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 1; done";
        let (result, said) = watch_script(script, SHORT);
        assert!(result.unwrap().success(), "{said}");
    }
}
