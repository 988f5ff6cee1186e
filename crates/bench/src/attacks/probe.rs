//! The probe: a client that always sends small requests to the worker under attack. Its waiting
//! time is the length of the worker's turns.

use std::io::{Read as _, Result, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::server::Server;
use crate::process::usage;

/// The time between an answer and the next request: short enough to measure each turn of a
/// millisecond, and long enough to leave the worker to the attack.
const PAUSE: Duration = Duration::from_millis(1);

/// A running probe.
pub(super) struct Probe {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(Vec<Duration>, u64)>>,
}

/// The waiting times of GETs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    pub(super) worst: Duration,
    pub(super) p99: Duration,
    pub(super) median: Duration,
}

impl Waits {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len().saturating_sub(1))).copied();
        Waits {
            worst: at(100).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
            median: at(50).unwrap_or_default(),
        }
    }

    pub(super) fn worse(self, other: Self) -> Self {
        Waits {
            worst: self.worst.max(other.worst),
            p99: self.p99.max(other.p99),
            median: self.median.max(other.median),
        }
    }
}

impl Probe {
    pub(super) fn start(server: &Server) -> Result<Self> {
        let mut stream = TcpStream::connect(&server.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        ask(&mut stream)?;
        let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (pid, seen, count) = (server.pid(), over.clone(), asked.clone());
        let thread = std::thread::spawn(move || {
            let (mut waits, mut most) = (Vec::new(), 0);
            while !seen.load(Ordering::Acquire) {
                let asked = Instant::now();
                let answered = ask(&mut stream)?;
                waits.push(asked.elapsed());
                count.store(waits.len(), Ordering::Release);
                // After an answer, the memory is that of an attack that waits for its next turn.
                // Reading it costs more than a request, so it is read only now and then.
                if waits.len() % 16 == 1 {
                    most = most.max(usage(pid).map_or(0, |usage| usage.resident));
                }
                // A server that stops closes the connection.
                if !answered {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
            most = most.max(usage(pid).map_or(0, |usage| usage.resident));
            Ok((waits, most))
        });
        Ok(Probe { over, asked, thread })
    }

    /// Returns how many requests were answered, or `None` if the server has closed.
    pub(super) fn answered(&self) -> Option<usize> {
        (!self.thread.is_finished()).then(|| self.asked.load(Ordering::Acquire))
    }

    /// Ends the probe. Returns the waiting times of its requests, and the largest memory that it
    /// has seen.
    pub(super) fn end(self) -> Result<(Waits, u64)> {
        self.over.store(true, Ordering::Release);
        let (waits, most) = self.thread.join().expect("the probe does not panic")?;
        Ok((Waits::of(waits), most))
    }
}

/// Sends a request and waits for the answer. Returns `false` if the server closed instead.
fn ask(stream: &mut TcpStream) -> Result<bool> {
    let sent = stream.write_all(b"GET /c/probe?feed=poll HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut answer = [0; 4096];
    let mut len = 0;
    while sent.is_ok() {
        let n = match stream.read(&mut answer[len..]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => break,
        };
        len += n;
        // The answer is an object. Only its last brace is at the end of a line or of the answer.
        if answer[..len].trim_ascii_end().ends_with(b"}") {
            return Ok(true);
        }
    }
    Ok(false)
}
