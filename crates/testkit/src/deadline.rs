//! One deadline for a whole wait.
//!
//! A time-out for each read does not end a loop of reads: a server that sends a heartbeat every
//! second lets every read succeed, and the test never ends. So a wait makes one [`Deadline`], and
//! each of its reads gets only the time that is [left](Deadline::left). A wait that fails says what
//! it waited for, and what came instead.

use std::fmt::Display;
use std::io::Read;
use std::net::TcpStream;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a test waits for what a correct program does at once. On a busy machine, a thread may
/// have to wait for seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many bytes a failure shows of what came instead.
pub const SHOWN: usize = 2_000;

/// How often a wait looks, if nothing can wake it.
const LOOK: Duration = Duration::from_millis(5);

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    start: Instant,
    time: Duration,
}

impl Deadline {
    /// A deadline in a minute ([`PATIENCE`]).
    pub fn soon() -> Self {
        Self::after(PATIENCE)
    }

    /// A deadline after this time.
    pub fn after(time: Duration) -> Self {
        Self { start: Instant::now(), time }
    }

    /// The time that is left; zero after the deadline.
    pub fn left(&self) -> Duration {
        self.time.saturating_sub(self.start.elapsed())
    }

    /// The time that is left, for a time-out of a socket, where zero means no time-out.
    pub fn timeout(&self) -> Duration {
        self.left().max(Duration::from_millis(1))
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Gives the reads of a socket the time that is left.
    pub fn limit(&self, stream: &TcpStream) {
        stream.set_read_timeout(Some(self.timeout())).expect("a time-out above zero can be set");
    }

    /// Fails the test if nothing is left.
    #[track_caller]
    pub fn check<T: Display>(&self, awaited: &str, came: impl FnOnce() -> T) {
        if self.is_over() {
            self.fail(awaited, came());
        }
    }

    /// Fails the test.
    #[track_caller]
    pub fn fail(&self, awaited: &str, came: impl Display) -> ! {
        panic!("not within {:?}: {awaited}; what came instead: {came}", self.time)
    }

    /// Looks until `done` returns true.
    #[track_caller]
    pub fn until(&self, awaited: &str, mut done: impl FnMut() -> bool) {
        while !done() {
            self.check(awaited, || "it is still not so");
            std::thread::sleep(LOOK);
        }
    }

    /// Receives from a channel. `None` if it has no sender any more.
    #[track_caller]
    pub fn receive<T>(&self, awaited: &str, receiver: &Receiver<T>) -> Option<T> {
        match receiver.recv_timeout(self.left()) {
            Ok(value) => Some(value),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail(awaited, "nothing"),
        }
    }

    /// Waits for the end of a thread, and returns its value. Panics with its panic.
    #[track_caller]
    pub fn join<T>(&self, awaited: &str, thread: JoinHandle<T>) -> T {
        self.until(awaited, || thread.is_finished());
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits for the end of a process. If it does not come in time, kills it and returns `None`.
    pub fn end(&self, child: &mut Child) -> Option<ExitStatus> {
        loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => return Some(status),
                None if self.is_over() => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return None;
                }
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

/// The output of a program, read by a thread. So a wait for it can end, and the pipe never fills
/// up.
pub struct Output {
    pieces: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Output {
    /// Reads from a pipe, or from anything else that blocks.
    pub fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let (send, pieces) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            // On Linux, a terminal that nobody has open any more ends with an error.
            while let Ok(n @ 1..) = pipe.read(&mut piece) {
                // A test that reads no more must not stop the program.
                let _ = send.send(piece[..n].to_vec());
            }
        });
        Self { pieces, bytes: Vec::new() }
    }

    /// Waits until what has come is enough. Returns all of it, from the beginning.
    #[track_caller]
    pub fn until(&mut self, awaited: &str, enough: impl Fn(&str) -> bool) -> String {
        let deadline = Deadline::soon();
        loop {
            let text = String::from_utf8_lossy(&self.bytes);
            if enough(&text) {
                return text.into_owned();
            }
            // What has come in time counts, even if this thread had to wait for long.
            deadline.check(awaited, || tail(&self.bytes));
            match self.pieces.recv_timeout(deadline.left()) {
                Ok(piece) => self.bytes.extend(piece),
                Err(RecvTimeoutError::Timeout) => deadline.fail(awaited, tail(&self.bytes)),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the output ended before {awaited}; what came instead: {}", tail(&self.bytes))
                }
            }
            self.bytes.extend(self.pieces.try_iter().flatten());
        }
    }

    /// Waits for the next whole line, and returns it without its end. `None` after the last line.
    #[track_caller]
    pub fn line(&mut self, awaited: &str) -> Option<String> {
        let deadline = Deadline::soon();
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.bytes.extend(deadline.receive(awaited, &self.pieces)?);
        }
    }

    /// Waits for the end of the output. Returns all of it, from the beginning.
    #[track_caller]
    pub fn rest(mut self) -> Vec<u8> {
        let deadline = Deadline::soon();
        loop {
            match self.pieces.recv_timeout(deadline.left()) {
                Ok(piece) => self.bytes.extend(piece),
                Err(RecvTimeoutError::Disconnected) => return self.bytes,
                Err(RecvTimeoutError::Timeout) => deadline.fail("the end of the output", tail(&self.bytes)),
            }
            deadline.check("the end of the output", || tail(&self.bytes));
        }
    }
}

/// The last of some bytes, as a failure shows them.
pub fn tail(bytes: &[u8]) -> String {
    let shown = &bytes[bytes.len().saturating_sub(SHOWN)..];
    let more = if shown.len() < bytes.len() { "… " } else { "" };
    format!("{more}{:?} ({} bytes)", String::from_utf8_lossy(shown), bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Returns what the failure says.
    fn failure(wait: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(wait)).expect_err("the wait must fail");
        *panic.downcast::<String>().expect("a message")
    }

    /// Gives a byte again and again, as a stream of heartbeats does.
    struct Beats;

    impl Read for Beats {
        fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            piece[0] = b'.';
            Ok(1)
        }
    }

    #[test]
    fn a_wait_ends_although_other_bytes_keep_coming() {
        let deadline = Deadline::after(Duration::from_millis(50));
        let (mut beats, mut came) = (Beats, Vec::new());
        let said = failure(|| {
            loop {
                let mut byte = [0];
                assert!(matches!(beats.read(&mut byte), Ok(1)));
                came.extend(byte);
                deadline.check("a message", || tail(&came));
            }
        });
        assert!(said.starts_with("not within 50ms: a message; what came instead: \".."), "{said}");
    }

    #[test]
    fn a_failure_shows_the_last_bytes_only() {
        let shown = tail(&[&[b'a'; 5_000][..], b"end"].concat());
        assert!(shown.starts_with("… \"aaa") && shown.ends_with("aaaend\" (5003 bytes)"), "{shown}");
        assert!(shown.len() < SHOWN + 50);
    }

    #[test]
    fn a_thread_that_does_not_end_fails_the_test() {
        let (_keep, kept) = channel::<()>();
        let thread = std::thread::spawn(move || kept.recv());
        let said = failure(|| {
            let _ = Deadline::after(Duration::from_millis(20)).join("the reader", thread);
        });
        assert!(said.starts_with("not within 20ms: the reader; "), "{said}");
    }

    #[test]
    fn output_comes_in_lines_and_as_a_whole() {
        let mut output = Output::of(&b"one\ntwo\nthree"[..]);
        assert_eq!(output.line("a line").as_deref(), Some("one"));
        assert_eq!(output.until("three", |text| text.contains("three")), "two\nthree");
        assert_eq!(output.rest(), b"two\nthree");
        let said = failure(|| {
            Output::of(&b"one"[..]).until("four", |text| text.contains("four"));
        });
        assert_eq!(said, "the output ended before four; what came instead: \"one\" (3 bytes)");
    }
}
