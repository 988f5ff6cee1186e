//! Runs steps at the same time. Each step is a process with its own process group and log.
//!
//! When a step fails, the other steps are ended, and the whole output of the failed step is shown.
//! The logs of all steps are kept.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::step::{Lane, Step};
use super::times::Times;
use tidewire_testkit::run::Result;

/// The command that the steps belong to.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    /// Where the logs go.
    pub(super) folder: &'a Path,
}

/// How often the steps are checked, and how often a line shows their progress.
const LOOK: Duration = Duration::from_millis(50);
const TELL: Duration = Duration::from_secs(20);
/// How long a step may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs all steps. `command` returns the command of a step.
pub(super) fn run(
    steps: &[&Step],
    place: &Place<'_>,
    command: impl Fn(&str) -> Command,
    times: &mut Times,
    out: &mut impl Write,
) -> Result {
    let mut run = Run {
        total: steps.len(),
        waiting: steps.to_vec(),
        running: Vec::new(),
        begin: Instant::now(),
        place,
        times,
        out,
    };
    let mut told = Instant::now();
    loop {
        while let Some(step) = run.next() {
            run.start(step, command(step.name))?;
        }
        if run.running.is_empty() {
            return Ok(());
        }
        std::thread::sleep(LOOK);
        run.reap()?;
        if told.elapsed() >= TELL && !run.running.iter().any(|running| running.step.lane == Lane::Alone) {
            run.tell();
            told = Instant::now();
        }
    }
}

/// Ends this process, and all processes that it has started, when standard input ends. Then the
/// process that started it is gone.
pub(super) fn end_with_parent() {
    std::thread::spawn(|| {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        #[cfg(unix)]
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TERM);
        std::process::exit(1);
    });
}

struct Run<'a, W> {
    total: usize,
    waiting: Vec<&'a Step>,
    running: Vec<Running<'a>>,
    begin: Instant,
    place: &'a Place<'a>,
    times: &'a mut Times,
    out: &'a mut W,
}

struct Running<'a> {
    step: &'a Step,
    process: Process,
    begin: Instant,
    log: PathBuf,
}

impl<'a, W: Write> Run<'a, W> {
    /// The first step that can begin now.
    fn next(&mut self) -> Option<&'a Step> {
        let busy = |lane| self.running.iter().any(|running| running.step.lane == lane);
        let missing = |need: &str| {
            let mut left =
                self.waiting.iter().copied().chain(self.running.iter().map(|running| running.step));
            left.any(|step| step.name == need)
        };
        let others = self.waiting.iter().any(|step| step.lane != Lane::Alone) || !self.running.is_empty();
        let ready = |step: &&Step| match step.lane {
            Lane::Alone => !others,
            lane => !busy(lane) && !step.needs.iter().any(|need| missing(need)),
        };
        let at = self.waiting.iter().position(ready)?;
        Some(self.waiting.remove(at))
    }

    fn start(&mut self, step: &'a Step, mut command: Command) -> Result {
        let number = self.total - self.waiting.len();
        let usual = text(self.times.usual(step.name, step.usual));
        let after = text(self.begin.elapsed());
        self.say(&format!(
            "==> {} (step {number} of {}, after {after}, usually {usual})",
            step.name, self.total
        ));
        let log = self.place.folder.join(format!("{}.log", step.name));
        if step.lane != Lane::Alone {
            let file = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
            let (stdout, stderr) = file.map_err(|error| format!("{}: {error}", log.display()))?;
            command.stdout(stdout).stderr(stderr);
        }
        let process = Process::spawn(command).map_err(|error| format!("{}: {error}", step.name))?;
        self.running.push(Running { step, process, begin: Instant::now(), log });
        Ok(())
    }

    /// Removes the steps that have ended.
    fn reap(&mut self) -> Result {
        let mut at = 0;
        while at < self.running.len() {
            let Some(status) = self.running[at].process.ended() else {
                at += 1;
                continue;
            };
            let ended = self.running.remove(at);
            if !status.success() {
                return self.fail(ended, status);
            }
            let took = ended.begin.elapsed();
            self.times.took(ended.step.name, took);
            if ended.step.lane != Lane::Alone {
                self.say(&format!("    {}: done in {}", ended.step.name, text(took)));
            }
        }
        Ok(())
    }

    /// Ends the other steps, and then shows the output of the failed step.
    fn fail(&mut self, mut failed: Running<'_>, status: ExitStatus) -> Result {
        // The step may have been killed, for example because memory ran out. Then its children
        // still run.
        failed.process.end();
        let others: Vec<_> = self.running.iter().map(|running| running.step.name).collect();
        for mut running in self.running.drain(..) {
            running.process.end();
        }
        let name = failed.step.name;
        if failed.step.lane != Lane::Alone {
            let said = std::fs::read(&failed.log).unwrap_or_default();
            self.say(&format!("==> {name} failed; its output:"));
            drop(self.out.write_all(&said));
        }
        let ended =
            if others.is_empty() { String::new() } else { format!("; also ended: {}", others.join(", ")) };
        let command = self.place.name;
        Err(format!(
            "{command} failed at `{name}` ({status}){ended}. To repeat it: cargo xtask {command} {name}"
        ))
    }

    /// Prints one line: the running steps, their times, and the time that is left.
    fn tell(&mut self) {
        let mut parts = Vec::new();
        for Running { step, begin, .. } in &self.running {
            let (time, usual) = (begin.elapsed(), self.times.usual(step.name, step.usual));
            let about = if time > usual { "longer than the usual" } else { "of about" };
            parts.push(format!("{} for {} {about} {}", step.name, text(time), text(usual)));
        }
        let done = self.total - self.waiting.len() - self.running.len();
        let left = Some(self.left()).filter(|left| !left.is_zero());
        let left = left.map_or(String::new(), |left| format!(", about {} left", text(left)));
        let after = text(self.begin.elapsed());
        let line = format!("    after {after}: {}; {done} of {} done{left}", parts.join(", "), self.total);
        self.say(&line);
    }

    /// The time that the longer lane still needs, and then the steps that run alone.
    fn left(&self) -> Duration {
        let of = |lane| {
            let usual = |step: &Step| self.times.usual(step.name, step.usual);
            let running = self.running.iter().filter(|running| running.step.lane == lane);
            let running = running.map(|running| usual(running.step).saturating_sub(running.begin.elapsed()));
            let waiting = self.waiting.iter().filter(|step| step.lane == lane).map(|step| usual(step));
            running.chain(waiting).sum::<Duration>()
        };
        of(Lane::Cargo).max(of(Lane::Beside)) + of(Lane::Alone)
    }

    /// Prints a line at once, also into a pipe.
    fn say(&mut self, line: &str) {
        drop(writeln!(self.out, "{line}").and_then(|()| self.out.flush()));
    }
}

/// A process and all its children: a process group, if the system has them. Dropping it ends them.
struct Process(Child);

impl Process {
    /// Starts it. Its standard input stays open as long as this process: see [`end_with_parent`].
    fn spawn(mut command: Command) -> std::io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::piped()).spawn().map(Self)
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Asks the group to end, and kills it if it does not end in time. Some processes must clean up
    /// first, for example end other process groups.
    fn end(&mut self) {
        self.signal(false);
        let begin = Instant::now();
        while self.is_there() && begin.elapsed() < GRACE {
            std::thread::sleep(LOOK);
        }
        self.signal(true);
        drop(self.0.wait());
    }

    /// Whether a process of the group still exists.
    #[cfg(unix)]
    fn is_there(&mut self) -> bool {
        use rustix::process::{Pid, test_kill_process_group};
        self.ended().is_none() || test_kill_process_group(Pid::from_child(&self.0)).is_ok()
    }

    #[cfg(not(unix))]
    fn is_there(&mut self) -> bool {
        self.ended().is_none()
    }

    #[cfg(unix)]
    fn signal(&mut self, force: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = if force { Signal::KILL } else { Signal::TERM };
        let _ = kill_process_group(Pid::from_child(&self.0), signal);
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _force: bool) {
        drop(self.0.kill());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.end();
        }
    }
}

/// `1:05`, or `7 s`.
fn text(time: Duration) -> String {
    let seconds = time.as_secs_f32().round() as u64;
    if seconds < 60 { format!("{seconds} s") } else { format!("{}:{:02}", seconds / 60, seconds % 60) }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const fn step(name: &'static str, lane: Lane, needs: &'static [&'static str]) -> Step {
        Step { name, lane, needs, usual: 1, run: || Ok(()) }
    }

    /// Runs these steps, each a shell script, in a new folder.
    fn run_scripts(test: &str, steps: &[(Step, &str)]) -> (Result, String, PathBuf) {
        let folder = std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let command = |name: &str| {
            let (_, script) = steps.iter().find(|(step, _)| step.name == name).unwrap();
            let mut command = Command::new("sh");
            command.args(["-e", "-c", script]).current_dir(&folder);
            command
        };
        let mut out = Vec::new();
        let mut times = Times::load(folder.join("times"));
        let plan: Vec<_> = steps.iter().map(|(step, _)| step).collect();
        let place = Place { name: "check", folder: &folder };
        let result = run(&plan, &place, command, &mut times, &mut out);
        (result, String::from_utf8(out).unwrap(), folder)
    }

    /// Asserts that the process whose number is in this file has ended.
    fn assert_gone(file: &Path) {
        let id = std::fs::read_to_string(file).unwrap();
        // It is a zombie until its new parent waits for it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{} still runs: {stat}", file.display());
    }

    /// Waits for a file that another step creates.
    const BOTH: &str = "touch here-$0; until test -e here-$1; do sleep 0.01; done";

    #[test]
    fn lanes_overlap_and_steps_of_one_lane_do_not() {
        let meet = |me: &str, other: &str| BOTH.replace("$0", me).replace("$1", other);
        let (a, b) = (meet("a", "b"), meet("b", "a"));
        let lock = "mkdir lock; sleep 0.1; rmdir lock";
        let (result, said, folder) = run_scripts(
            "overlap",
            &[
                (step("a", Lane::Cargo, &[]), &a),
                (step("b", Lane::Beside, &[]), &b),
                (step("c", Lane::Beside, &["d"]), &format!("test -e d-was-here; {lock}")),
                (step("d", Lane::Cargo, &[]), "touch d-was-here"),
                (step("e", Lane::Beside, &[]), lock),
                (step("f", Lane::Alone, &["a"]), "mkdir lock; touch f-was-here"),
            ],
        );
        assert_eq!(result, Ok(()), "{said}");
        assert!(said.contains("==> a (step 1 of 6, after 0 s, usually 1 s)"), "{said}");
        assert!(said.trim_end().lines().last().unwrap().starts_with("==> f (step 6 of 6"), "{said}");
        assert!(folder.join("f-was-here").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// The other steps and all their children have ended, also a child without its parent. The
    /// output of the failed step is last.
    #[test]
    fn a_failure_is_shown_whole_and_ends_the_others() {
        let slow = "(sleep 1000 & echo $! > child); echo $$ > parent; touch here; echo not shown; sleep 1000";
        let (result, said, folder) = run_scripts(
            "failure",
            &[
                (step("slow", Lane::Beside, &[]), slow),
                (
                    step("bad", Lane::Cargo, &[]),
                    "until test -e here; do sleep 0.01; done; echo one; echo two >&2; exit 3",
                ),
                (step("never", Lane::Cargo, &[]), "touch never-was-here"),
                (step("tests", Lane::Alone, &[]), "touch never-was-here"),
            ],
        );
        let problem = result.unwrap_err();
        assert!(
            problem.starts_with("check failed at `bad` (exit status: 3); also ended: slow."),
            "{problem}"
        );
        assert!(said.ends_with("==> bad failed; its output:\none\ntwo\n"), "{said}");
        assert!(!folder.join("never-was-here").exists());
        for name in ["parent", "child"] {
            assert_gone(&folder.join(name));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn children_of_a_killed_step_are_ended() {
        let killed = "sleep 1000 & echo $! > child; kill -KILL $$";
        let (result, said, folder) = run_scripts("killed", &[(step("killed", Lane::Beside, &[]), killed)]);
        assert!(result.is_err(), "{said}");
        assert_gone(&folder.join("child"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// The first process of the group ends at once. Another process must clean up first: the runner
    /// of the browser tests ends its browsers, which are in other process groups.
    #[test]
    fn a_process_has_time_to_clean_up() {
        let tidy =
            "(trap 'sleep 1; touch tidied; exit' TERM; touch here; while :; do sleep 0.1; done) & wait";
        let bad = "until test -e here; do sleep 0.01; done; exit 1";
        let steps = [(step("tidy", Lane::Beside, &[]), tidy), (step("bad", Lane::Cargo, &[]), bad)];
        let (result, said, folder) = run_scripts("tidy", &steps);
        assert!(result.is_err() && folder.join("tidied").exists(), "{said}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
