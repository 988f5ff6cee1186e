//! A running command and its output.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a command may take, and how long to wait for a line of a command that keeps running.
pub(crate) use tidewire_testkit::deadline::PATIENCE;

/// A command in a process group of its own. Dropping it kills the group.
pub(crate) struct Process {
    child: Child,
    guard: Child,
    output: Arc<Output>,
}

/// What a command has printed up to now, to standard output and standard error.
#[derive(Default)]
struct Output {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Whether no more bytes can come.
    ended: bool,
}

impl Process {
    /// Starts a command of bash in a folder, with nothing to read.
    pub(crate) fn start(command: &str, folder: &Path) -> Result<Self, String> {
        // Both outputs use one pipe, so that their lines keep their order.
        let told = |error: std::io::Error| format!("bash cannot be started: {error}");
        let (mut reader, writer) = std::io::pipe().map_err(told)?;
        let mut bash = Command::new("bash");
        bash.args(["-c", command]).current_dir(folder).process_group(0);
        bash.stdin(Stdio::null()).stdout(writer.try_clone().map_err(told)?).stderr(writer);
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_uppercase();
            // They are the settings of this machine, and would change an output.
            if upper.starts_with("TIDEWIRE_")
                || upper.ends_with("_PROXY")
                || ["COLUMNS", "NO_COLOR", "BASH_ENV"].contains(&upper.as_str())
            {
                bash.env_remove(name);
            }
        }
        let child = bash.spawn().map_err(told)?;
        let guard = guard(child.id()).map_err(told)?;
        // Its copies of the pipe would keep the pipe open.
        drop(bash);
        let output = Arc::new(Output::default());
        let shared = output.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n = match reader.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    outcome => outcome.unwrap_or(0),
                };
                let mut state = shared.state.lock().unwrap();
                state.bytes.extend_from_slice(&buffer[..n]);
                state.ended = n == 0;
                shared.news.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Ok(Self { child, guard, output })
    }

    /// Waits for the end, for at most `patience`. Returns the status, and the lines of the output.
    pub(crate) fn end(mut self, patience: Duration) -> (Option<ExitStatus>, Vec<String>) {
        let start = Instant::now();
        let mut status = None;
        // The pipe ends when the last program of the command has ended.
        let (ended, _) = self.wait(patience, |_, ended| ended.then_some(()));
        while ended.is_some() && start.elapsed() < patience {
            status = self.status();
            if status.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        (status, self.lines())
    }

    /// Waits until `find` returns a value for the lines of the output, or until there are no more.
    /// Its second argument is whether the output has ended. Also returns the lines.
    pub(crate) fn wait<T>(
        &self,
        patience: Duration,
        mut find: impl FnMut(&[String], bool) -> Option<T>,
    ) -> (Option<T>, Vec<String>) {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            let ended = state.ended;
            let lines = lines(&state.bytes);
            let found = find(&lines, ended);
            let Some(left) = patience.checked_sub(start.elapsed()).filter(|_| found.is_none() && !ended)
            else {
                return (found, lines);
            };
            state = self.output.news.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The lines of the output up to now.
    pub(crate) fn lines(&self) -> Vec<String> {
        lines(&self.state().bytes)
    }

    /// The status, if the command has ended.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.output.state.lock().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        let _ = self.child.wait();
    }
}

/// Starts a process that kills a group when its input ends. Its input ends also if this test is
/// killed, for example with ctrl-c. The guard is in a group of its own, so ctrl-c does not end it.
fn guard(group: u32) -> std::io::Result<Child> {
    // The group exists at least until its leader was waited for. Afterwards, it exists if one of
    // its processes still runs.
    let command = format!("read -r; kill -KILL -- -{group}");
    let mut guard = Command::new("bash");
    guard.args(["-c", &command]).process_group(0).stdin(Stdio::piped());
    guard.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Returns the lines of an output. The last one may be incomplete.
fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[cfg(test)]
fn start(command: &str) -> Process {
    Process::start(command, &crate::root()).unwrap()
}

#[test]
fn both_outputs_are_read_in_order_and_the_status_is_returned() {
    let process = start("echo one; echo two >&2; printf three; exit 3");
    let (status, lines) = process.end(PATIENCE);
    assert_eq!((status.unwrap().code(), lines), (Some(3), vec!["one".into(), "two".into(), "three".into()]));
}

#[test]
fn a_command_runs_in_the_folder_with_nothing_to_read() {
    let (status, lines) = start("cat; head -n 1 Cargo.toml").end(PATIENCE);
    assert_eq!((status.unwrap().code(), lines), (Some(0), vec!["[workspace]".into()]));
}

#[test]
fn lines_are_awaited_also_if_they_are_not_complete() {
    let mut process = start("echo one; printf two; read -r < <(sleep 600)");
    let (found, lines) = process.wait(PATIENCE, |lines, _| (lines.len() == 2).then_some(()));
    assert_eq!((found, lines.concat().as_str()), (Some(()), "onetwo"));
    assert_eq!(process.status(), None);
}

#[test]
fn a_command_that_does_not_end_in_time_has_no_status() {
    let process = start("echo one; sleep 600");
    process.wait(PATIENCE, |lines, _| (lines.len() == 1).then_some(()));
    let (status, lines) = process.end(Duration::from_millis(10));
    assert_eq!((status, lines), (None, vec!["one".into()]));
}

#[test]
fn dropping_a_command_ends_all_its_processes() {
    let process = start("sleep 600 & sleep 600 & echo $!; wait");
    let (id, _) = process.wait(PATIENCE, |lines, _| lines.first().cloned());
    let output = process.output.clone();
    drop(process);
    // The pipe ends when no process holds it any more.
    let start = Instant::now();
    let mut state = output.state.lock().unwrap();
    while !state.ended {
        assert!(start.elapsed() < PATIENCE, "the process {id:?} still runs");
        state = output.news.wait_timeout(state, PATIENCE).unwrap().0;
    }
}
