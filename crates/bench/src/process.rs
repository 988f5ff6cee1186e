//! Processes: what they use, and how they are ended. Linux only (`/proc`).

use crate::run::{Result, ask, program};
use std::io::{Error, Result as IoResult};

/// What a process has used so far.
pub(crate) struct Usage {
    /// CPU time, user and system, in microseconds.
    pub(crate) micros: u64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

/// The sum that `/proc/PID/stat` tells in steps of 10 milliseconds is kept in nanoseconds in `schedstat`, by thread.
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

/// The process that another one started: nginx's only worker.
pub(crate) fn child_of(parent: u32) -> Option<u32> {
    let all = std::fs::read_dir("/proc").ok()?;
    let mut pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        field(&stat, 4) == Some(&parent.to_string())
    })
}

/// Asks a process to end. (A killed nginx would leave its worker behind.)
pub(crate) fn end(pid: u32) -> Result {
    ask(&mut program("kill", &["-TERM", &pid.to_string()]))
        .map(drop)
        .ok_or(format!("process {pid} cannot be ended"))
}

/// A field of `/proc/PID/stat`, counted from 1 as in proc(5). The second, the name, may hold blanks and parentheses.
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
