//! The attacked server. It is started here, on core 0, and ended when dropped.

use std::io::{BufRead as _, BufReader, Error, Read as _, Result};
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::{Running, usage};
use tidewire_testkit::run::{ask, program};

/// A server with one worker on a free loopback port.
pub(super) struct Server {
    running: Running,
    pub(super) address: String,
    log: JoinHandle<String>,
}

/// The turns of the worker's table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    pub(super) longest: Duration,
    /// The share of turns that took longer than 20 ms.
    pub(super) long: f64,
}

/// How long an attack may keep its server busy after its last byte.
const LONGEST: Duration = Duration::from_secs(180);

impl Server {
    pub(super) fn start(binary: &Path, options: &[&str]) -> Result<Self> {
        // taskset becomes the server, so its process is the server's.
        let mut command = program("taskset", &["-c", "0"]);
        command.arg(binary).args(["--listen", "127.0.0.1:0", "--threads", "1"]);
        command.args(["--log", "error,tidewire::work=debug", "--log-format", "json"]);
        command.args(["--heartbeat", "3600", "--comet", "--compress"]).args(options);
        if !options.contains(&"--drain") {
            // Most readers of an attack never close.
            command.args(["--drain", "1s"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start("the server", &mut command).map_err(Error::other)?;
        let mut stderr = running.child().stderr.take();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.as_mut().map(|stderr| stderr.read_to_string(&mut log));
            log
        });
        let mut line = String::new();
        if let Some(stdout) = &mut running.child().stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().rsplit_once("http://") {
            Some((_, address)) => Ok(Server { address: address.to_owned(), running, log }),
            None => Err(Error::other(format!("the server did not print its address, but: {line:?}"))),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        Ok(usage(self.pid())?.resident)
    }

    /// Waits until the server sleeps.
    pub(super) fn calm(&self) -> Result<()> {
        let pieces = std::cell::Cell::new(0);
        let next = || Some(pieces.replace(pieces.get() + 1));
        self.wait_until_idle(Duration::from_millis(2), next)
    }

    /// Waits until the server does little more than answer the probe. `answered` returns the number
    /// of the probe's answers.
    pub(super) fn settle(&self, answered: impl Fn() -> Option<usize>) -> Result<()> {
        self.wait_until_idle(Duration::from_millis(25), answered)
    }

    /// Waits for three intervals of a tenth of a second in which the server uses at most this share
    /// of its core. A server that has not answered the probe is busy, even if the kernel has not
    /// counted the time yet.
    fn wait_until_idle(&self, most: Duration, answered: impl Fn() -> Option<usize>) -> Result<()> {
        let start = Instant::now();
        let mut idle = 0;
        while idle < 3 {
            // A server that was told to stop may be gone.
            let (Ok(before), Some(count)) = (usage(self.pid()), answered()) else { return Ok(()) };
            std::thread::sleep(Duration::from_millis(100));
            let (Ok(after), Some(now)) = (usage(self.pid()), answered()) else { return Ok(()) };
            let used = Duration::from_micros(after.micros.saturating_sub(before.micros));
            idle = if used <= most && now > count { idle + 1 } else { 0 };
            if start.elapsed() > LONGEST {
                return Err(Error::other("the server does not become idle"));
            }
        }
        Ok(())
    }

    /// Ends the server. Returns the turns that it logged. An older version logs none.
    pub(super) fn turns(self) -> Option<Turns> {
        drop(self.running);
        let log = self.log.join().ok()?;
        let number = |name: &str| {
            let digits = log.rsplit_once(&format!("\"{name}\":"))?.1;
            digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        Some(Turns {
            longest: Duration::from_micros(number("longest_turn_us")?),
            long: number("long_turns")? as f64 / number("turns")?.max(1) as f64,
        })
    }

    /// Asks the server to stop, as a supervisor does.
    pub(super) fn terminate(&self) {
        let _ = ask(&mut program("kill", &["-TERM", &self.pid().to_string()]));
    }
}

/// Keeps this program, and all threads that it starts later, off the server's core.
pub(super) fn pin_to_core_1() -> std::result::Result<(), String> {
    let pid = std::process::id().to_string();
    match ask(&mut program("taskset", &["-p", "-c", "1", &pid])) {
        Some(_) => Ok(()),
        None => Err("taskset cannot choose core 1; the attacks need two cores".into()),
    }
}
