//! Starts and ends processes, and measures what they use. Linux only (`/proc`).

use serde_json::Value;
use std::io::{Error, Result as IoResult};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tidewire_testkit::run::{Result, ask, program};

/// Checks that processes can be pinned to a core.
pub(crate) fn need_taskset() -> Result {
    match ask(&mut program("taskset", &["-V"])) {
        Some(_) => Ok(()),
        None => Err("the measurement needs Linux with taskset (util-linux)".into()),
    }
}

/// Runs the load on core 1: this program with these arguments. Returns what it prints.
pub(crate) fn load(args: &[&str]) -> Result<Value> {
    let cannot = |error| format!("the load cannot be started: {error}");
    let myself = std::env::current_exe().map_err(cannot)?;
    let mut command = program("taskset", &["-c", "1"]);
    let output = command.arg(myself).args(args).output().map_err(cannot)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the load printed no figures: {error}"))
}

/// A running server. It is ended when dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).map_err(|error| format!("{name} cannot be started: {error}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if end(self.0.id()) {
            let start = Instant::now();
            while matches!(self.0.try_wait(), Ok(None)) && start.elapsed() < GRACE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a server may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Returns a port of this machine that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

/// Waits until a server listens on the port. Returns `false` after ten seconds without one.
pub(crate) fn listens(port: u16) -> bool {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The CPU time and the memory of a process.
pub(crate) struct Usage {
    /// CPU time, user and system, in microseconds.
    pub(crate) micros: u64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

/// `/proc/PID/stat` has the CPU time in steps of 10 milliseconds. `schedstat` has it in
/// nanoseconds, for each thread.
pub(crate) fn usage(pid: u32) -> IoResult<Usage> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = stat.split(' ').next().and_then(|word| word.parse::<u64>().ok());
        nanos += on_cpu.ok_or_else(|| Error::other("this kernel keeps no schedstat"))?;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(Usage { micros: nanos / 1000, resident: resident.unwrap_or(0) * 1024 })
}

/// Returns the child of a process: nginx's only worker.
pub(crate) fn child_of(parent: u32) -> Option<u32> {
    let all = std::fs::read_dir("/proc").ok()?;
    let mut pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        field(&stat, 4) == Some(&parent.to_string())
    })
}

/// Asks a process to end. Returns whether that was possible. (A killed nginx would leave its worker
/// behind.)
fn end(pid: u32) -> bool {
    ask(&mut program("kill", &["-TERM", &pid.to_string()])).is_some()
}

/// Returns a field of `/proc/PID/stat`, counted from 1 as in proc(5). The second field, the name,
/// may contain spaces and parentheses.
fn field(stat: &str, index: usize) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(index.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_name_with_blanks_does_not_shift_the_fields() {
        assert_eq!(field("7 (a ) b) S 3 7", 4), Some("3"));
    }
}
