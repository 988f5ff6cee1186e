//! Messages that can be found in any encoding, and readers that count them. A missing message was
//! lost.

use std::io::{ErrorKind, Read as _, Result};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Returns `~0000042~`. No feed changes these characters.
pub(super) fn mark(n: usize) -> String {
    format!("~{n:07}~")
}

const LEN: usize = 9;

/// A reader that takes everything at once and counts the marks.
pub(super) struct Counter {
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: JoinHandle<Result<()>>,
}

impl Counter {
    pub(super) fn start(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (seen, counted) = (over.clone(), count.clone());
        let thread = std::thread::spawn(move || read(stream, &seen, &counted));
        Ok(Counter { over, count, thread })
    }

    /// Returns how many messages it has.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Ends the reader. Returns how many messages it had.
    pub(super) fn end(self) -> Result<usize> {
        self.over.store(true, Ordering::Release);
        self.thread.join().expect("a reader does not panic")?;
        Ok(self.count.load(Ordering::Acquire))
    }
}

fn read(mut stream: TcpStream, over: &AtomicBool, count: &AtomicUsize) -> Result<()> {
    let (mut piece, mut text) = (vec![0; 256 * 1024], Vec::new());
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => text.extend_from_slice(&piece[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // Nothing more comes: the reader may end.
                if over.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
            Err(_) => return Ok(()),
        }
        let (mut at, mut found) = (0, 0);
        while at + LEN <= text.len() {
            let is_mark = text[at] == b'~' && text[at + LEN - 1] == b'~';
            found += usize::from(is_mark);
            at += if is_mark { LEN } else { 1 };
        }
        count.fetch_add(found, Ordering::AcqRel);
        text.drain(..at);
    }
}
