//! The probe: a client of the worker under attack that asks for something small, all the time. What
//! it waits is the length of the worker's turns.

use std::io::{Read as _, Result, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::server::Server;
use crate::process::usage;

/// Time between an answer and the next question: often enough to fall into each turn of a
/// millisecond, and seldom enough to leave the worker to the attack.
const PAUSE: Duration = Duration::from_millis(1);

/// A probe that is under way.
pub(super) struct Probe {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(Vec<Duration>, u64)>>,
}

/// What a GET waited.
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
                // After an answer the memory is that of an attack which waits for its next turn. To
                // read it costs more than a question, so it is read now and then.
                if waits.len() % 16 == 1 {
                    most = most.max(usage(pid).map_or(0, |usage| usage.resident));
                }
                // A server that stops closes in the end.
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

    /// How many questions were answered; `None` if the server has closed.
    pub(super) fn answered(&self) -> Option<usize> {
        (!self.thread.is_finished()).then(|| self.asked.load(Ordering::Acquire))
    }

    /// Ends it. Returns what its questions waited, and the most memory that it has seen.
    pub(super) fn end(self) -> Result<(Waits, u64)> {
        self.over.store(true, Ordering::Release);
        let (waits, most) = self.thread.join().expect("the probe does not panic")?;
        Ok((Waits::of(waits), most))
    }
}

/// Asks and waits for the answer; `false` if the server closed instead.
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
        // The answer is an object, which ends with the only closing brace that ends a line or all.
        if answer[..len].trim_ascii_end().ends_with(b"}") {
            return Ok(true);
        }
    }
    Ok(false)
}
