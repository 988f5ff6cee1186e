//! The program, started as a user starts it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Deadline, Output, PATIENCE, Raw, eventually};

/// A running server. Dropping it kills the process.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
    log: Arc<Mutex<String>>,
    /// The thread that reads the log.
    reading: Option<JoinHandle<()>>,
}

/// The result of a command that has ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Returns the command, without the variables `TIDEWIRE_…` of the user's environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDEWIRE_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end. Returns the outputs that are pipes. Fails after a minute.
pub fn run(mut command: Command) -> Outcome {
    let mut child = command.spawn().expect("the command of this crate can be started");
    let (stdout, stderr) = (child.stdout.take().map(Output::of), child.stderr.take().map(Output::of));
    let status = wait(&mut child);
    let text = |output: Option<Output>| {
        let bytes = output.map_or(Vec::new(), Output::rest);
        String::from_utf8(bytes).expect("a command writes UTF-8")
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let Some(status) = status else {
        panic!("the command did not end within {PATIENCE:?}; it said:\n{stdout}\n{stderr}")
    };
    Outcome { code: status.code(), stdout, stderr }
}

/// Waits for the end of a process. Kills it if it does not end in time.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    Deadline::soon().end(child)
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(kill.expect("there is a shell").success(), "the process {} is there", child.id());
}

/// A process whose outputs are not read. Dropping it kills it.
pub struct Running(pub Child);

impl Running {
    /// Asks it to stop, as a supervisor does.
    pub fn terminate(&self) {
        signal(&self.0, "TERM");
    }

    /// Waits for its end. Returns its status.
    pub fn join(mut self) -> ExitStatus {
        wait(&mut self.0).unwrap_or_else(|| panic!("the process did not end within {PATIENCE:?}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a server on a free local port, without heartbeats unless the test asks for them: on a
    /// busy machine, one could arrive between any two messages.
    pub fn start(args: &[&str]) -> Self {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        if !args.contains(&"--heartbeat") {
            all.extend(["--heartbeat", "3600"]);
        }
        all.extend(args);
        Self::spawn(command(&all))
    }

    /// Starts a server from a prepared command, whose first address must be TCP.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the command of this crate can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let lines = log.clone();
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let stdout = child.stdout.take().unwrap();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = send.send(lines.next().and_then(Result::ok));
            // The pipe must be read, or it fills up.
            lines.for_each(drop);
        });
        let first = receive.recv_timeout(PATIENCE).ok().flatten();
        let address = first.as_deref().and_then(|line| line.strip_prefix("tidewire listens on http://"));
        let Some(address) = address.map(str::to_owned) else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "the server did not start: {status:?}; its first line was {first:?}; its log:\n{}",
                log.lock().unwrap()
            );
        };
        Server { child, address, log, reading: Some(reading) }
    }

    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Opens a connection for raw bytes.
    pub fn raw(&self) -> Raw {
        Raw::connect(self.address.as_str())
    }

    /// Asks it to stop, and returns its log up to the line about that. All earlier lines are in it.
    pub fn log_to_stop(&self) -> String {
        self.terminate();
        eventually("the line about the stop", || self.log().contains("stopping"));
        self.log()
    }

    /// What has been read of the log of the server up to now. A line may be on its way: wait for a
    /// line with [`eventually`]. To see that a line is missing, use
    /// [`log_to_stop`](Self::log_to_stop).
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for its end. Returns its status and its whole log.
    pub fn end(mut self) -> (ExitStatus, String) {
        let Some(status) = wait(&mut self.child) else {
            panic!("the server did not end within {PATIENCE:?}; its log:\n{}", self.log())
        };
        let reading = self.reading.take().expect("only this takes it");
        Deadline::soon().join("the end of the log", reading);
        (status, self.log())
    }

    /// Asks it to stop, as a supervisor does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Suspends it, and waits until it is suspended. [`go_on`](Self::go_on) lets it run again.
    pub fn freeze(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        eventually("the process to stop", || {
            let stat = std::fs::read_to_string(&stat).expect("the server is there");
            stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
        });
    }

    /// Lets it run again.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Sends a signal by its name: `HUP`.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end. Returns its status.
    pub fn join(mut self) -> ExitStatus {
        wait(&mut self.child)
            .unwrap_or_else(|| panic!("the server did not end within {PATIENCE:?}; its log:\n{}", self.log()))
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))
            .unwrap_or_else(|e| panic!("the server is gone: {e}; its log:\n{}", self.log()));
        let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * 4
    }

    /// A counter of `/proc/PID/io`: `rchar` is what the process has read from files and pipes.
    pub fn io(&self, counter: &str) -> u64 {
        let path = format!("/proc/{}/io", self.child.id());
        let text = std::fs::read_to_string(&path).expect("the server is there and ours");
        let value = text.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {counter} in {path}")).parse().unwrap()
    }

    /// The processor time that it has used, in hundredths of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server is there");
        // The name may contain spaces. After it: fields 14 and 15 of proc(5).
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// The number of its open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the server is there").count()
    }

    /// Fails the test if the process has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("the server ended: {status}; its log:\n{}", self.log());
        }
    }

    /// Waits until the server has read everything and sleeps. Then all requests that must wait are
    /// waiting.
    pub fn calm(&self) {
        eventually("a server that has read everything and sleeps", || !self.has_unread() && self.is_asleep());
    }

    /// Whether one of its sockets has bytes or a connection that the server has not read.
    fn has_unread(&self) -> bool {
        let (_, port) = self.address.rsplit_once(':').unwrap();
        let local = format!(":{:04X}", port.parse::<u16>().unwrap());
        // Fields 1 and 4 of a line are the local address and the lengths of the queues,
        // `sent:received`.
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[1].ends_with(&local) && !fields[4].ends_with(":00000000")
        })
    }

    /// Whether all its threads sleep.
    fn is_asleep(&self) -> bool {
        let tasks =
            std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server is there");
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state follows the name, which may contain spaces. A thread that has ended has
            // none.
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
        })
    }

    /// Waits until it has at most this many open descriptors: earlier connections are closed then.
    pub fn settle(&self, descriptors: usize) {
        eventually("closing what was left", || self.descriptors() <= descriptors);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            if !log.is_empty() {
                eprintln!("the log of the server:\n{log}");
            }
        }
    }
}
