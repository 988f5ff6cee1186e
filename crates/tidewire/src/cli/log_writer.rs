//! Writes log lines in a thread of its own, through a bounded buffer. So no other thread waits if
//! the output is full, closed or stalled.
//!
//! ```text
//!   any thread ── push: copies, never waits ──► buffer ──► one thread writes ──► standard error
//!                    │ buffer full                            │ the write fails
//!                    └─────────► the line is counted as lost ◄┘
//!                                and reported in a line as soon as one can be written
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The most lines in the buffer. The lines of a thousand connections that end at once fit in.
const MAX_LINES: usize = 4096;

/// The most bytes in the buffer. Lines with backtraces are long, and logs must not fill the memory.
const MAX_BYTES: usize = 1024 * 1024;

/// How long to wait before another attempt on an output in non-blocking mode. Another program may
/// have set that mode on a terminal or pipe.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Makes the line that reports how many lines were lost.
pub(super) type LostNotice = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// Takes log lines; its thread writes them.
pub(super) struct LogWriter(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Lines that were dropped since the last entry, because the buffer was full.
    lost: u64,
    /// Whether lines are refused until half of the buffer is free. Otherwise, while a slow reader
    /// takes single lines, every second line would be a notice of loss.
    is_full: bool,
    /// Whether the thread is writing an entry.
    is_writing: bool,
}

enum Entry {
    Line(Vec<u8>),
    Lost(u64),
}

impl LogWriter {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(out: impl Write + Send + 'static, notice: LostNotice) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let writer = WriterThread { shared: shared.clone(), out, notice, unreported: 0, is_mid_line: false };
        std::thread::Builder::new().name("tidewire-log".to_owned()).spawn(move || writer.run())?;
        Ok(LogWriter(shared))
    }

    /// Takes a line, or counts it as lost. Never waits for the output.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.is_full && state.entries.len() <= MAX_LINES / 2 && state.bytes <= MAX_BYTES / 2 {
            state.is_full = false;
        }
        state.is_full |= state.entries.len() >= MAX_LINES || state.bytes + line.len() > MAX_BYTES;
        if state.is_full {
            state.lost += 1;
            return;
        }
        if state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            state.entries.push_back(Entry::Lost(lost));
        }
        state.bytes += line.len();
        state.entries.push_back(Entry::Line(line.to_vec()));
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until all lines are written or lost, but no longer than `within`. Returns whether they
    /// are.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let is_pending = |state: &mut State| state.is_writing || state.lost > 0 || !state.entries.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), within, is_pending);
        !waited.unwrap_or_else(|poisoned| poisoned.into_inner()).1.timed_out()
    }
}

/// One write is one line, because the subscriber writes each line at once.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so the data of a poisoned lock are consistent.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for the next entry.
    fn next_entry(&self) -> Entry {
        let mut state = self.lock();
        loop {
            let entry = state.entries.pop_front();
            let entry = entry.or_else(|| match std::mem::take(&mut state.lost) {
                0 => None,
                lost => Some(Entry::Lost(lost)),
            });
            state.is_writing = entry.is_some();
            if let Some(entry) = entry {
                if let Entry::Line(line) = &entry {
                    state.bytes -= line.len();
                }
                return entry;
            }
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

/// The state of the thread that writes.
struct WriterThread<W> {
    shared: Arc<Shared>,
    out: W,
    notice: LostNotice,
    /// Lines that are lost and not reported in the output yet.
    unreported: u64,
    /// Whether the last write ended in the middle of a line.
    is_mid_line: bool,
}

impl<W: Write> WriterThread<W> {
    fn run(mut self) {
        loop {
            match self.shared.next_entry() {
                Entry::Lost(lost) => {
                    self.unreported += lost;
                    self.report_lost();
                }
                Entry::Line(line) => {
                    if !self.report_lost() || !self.write(&line) {
                        self.unreported += 1;
                    }
                }
            }
        }
    }

    /// Writes a line that reports the lost lines, if there are any. Returns whether that worked.
    fn report_lost(&mut self) -> bool {
        if self.unreported > 0 {
            let line = (self.notice)(self.unreported);
            if !self.write(&line) {
                return false;
            }
            self.unreported = 0;
        }
        true
    }

    fn write(&mut self, line: &[u8]) -> bool {
        let parts: [&[u8]; 2] = [if self.is_mid_line { b"\n" } else { b"" }, line];
        for mut part in parts {
            while !part.is_empty() {
                match self.out.write(part) {
                    Ok(0) => return false,
                    Ok(n) => part = &part[n..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::sleep(RETRY_AFTER);
                        continue;
                    }
                    Err(_) => return false,
                }
                self.is_mid_line = !part.is_empty() || self.is_mid_line;
            }
            self.is_mid_line = false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const SOON: Duration = Duration::from_secs(30);

    fn notice() -> LostNotice {
        Box::new(|lost| format!("{lost} lost\n").into_bytes())
    }

    /// An output that asks the test for the result of each write, and stores what was written.
    struct TestOutput {
        writing: Sender<()>,
        outcome: Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for TestOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.writing.send(());
            let n = self.outcome.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.written.lock().unwrap().extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct TestLog {
        writer: LogWriter,
        writing: Receiver<()>,
        outcome: Sender<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    fn log() -> TestLog {
        let (writing, is_writing) = channel();
        let (outcome, next_outcome) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = TestOutput { writing, outcome: next_outcome, written: written.clone() };
        TestLog { writer: LogWriter::start(output, notice()).unwrap(), writing: is_writing, outcome, written }
    }

    impl TestLog {
        /// Accepts all writes from now on. Returns everything that was written.
        fn open(self) -> String {
            drop(self.outcome);
            assert!(self.writer.flush(SOON), "everything was written");
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let log = log();
        for line in ["one\n", "two\n", "three\n"] {
            log.writer.push(line.as_bytes());
        }
        for n in [1, 2, 1] {
            log.outcome.send(Ok(n)).unwrap();
        }
        assert_eq!(log.open(), "one\ntwo\nthree\n");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_reported_once() {
        let log = log();
        log.writer.push(b"first\n");
        log.writing.recv_timeout(SOON).unwrap();
        // The thread is stalled while it writes the first line.
        for n in 0..MAX_LINES + 5 {
            log.writer.push(format!("{n}\n").as_bytes());
        }
        assert!(!log.writer.flush(Duration::from_millis(1)), "a stalled output is not waited for");
        let text = log.open();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + MAX_LINES + 1);
        assert_eq!(lines[MAX_LINES], format!("{}", MAX_LINES - 1));
        assert_eq!(lines[MAX_LINES + 1], "5 lost");
    }

    #[test]
    fn the_bytes_of_the_buffer_are_limited() {
        let log = log();
        log.writer.push(b"first\n");
        log.writing.recv_timeout(SOON).unwrap();
        let mut long = vec![b'x'; MAX_BYTES / 4 - 1];
        long.push(b'\n');
        for _ in 0..7 {
            log.writer.push(&long);
        }
        let text = log.open();
        assert_eq!(text.lines().filter(|line| line.starts_with('x')).count(), 4);
        assert!(text.ends_with("3 lost\n"));
    }

    /// If each free line were filled at once, half of the log would be notices of loss.
    #[test]
    fn a_nearly_full_buffer_makes_one_notice_and_not_one_for_each_line() {
        let log = log();
        for n in 0..MAX_LINES + 10 {
            log.writer.push(format!("{n}\n").as_bytes());
        }
        for _ in 0..100 {
            log.outcome.send(Ok(usize::MAX)).unwrap();
            log.writing.recv_timeout(SOON).unwrap();
            log.writer.push(b"more\n");
        }
        let text = log.open();
        assert_eq!(text.lines().filter(|line| line.ends_with("lost")).count(), 1, "{text}");
    }

    #[test]
    fn lost_lines_are_reported_before_the_next_line() {
        let log = log();
        let full = || Err(io::Error::from(ErrorKind::StorageFull));
        for line in ["one\n", "two\n", "three\n"] {
            log.writer.push(line.as_bytes());
        }
        // The first line is cut. The notice before the second line fails. Then writing works again.
        for outcome in [Ok(2), full(), full()] {
            log.outcome.send(outcome).unwrap();
        }
        assert_eq!(log.open(), "on\n2 lost\nthree\n");
    }

    #[test]
    fn an_output_that_would_block_is_tried_again() {
        let log = log();
        log.writer.push(b"one\n");
        for kind in [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::WouldBlock] {
            log.outcome.send(Err(kind.into())).unwrap();
        }
        assert_eq!(log.open(), "one\n");
    }

    #[test]
    fn an_output_that_fails_loses_lines_and_stops_nothing() {
        let log = log();
        log.writer.push(b"one\n");
        log.outcome.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
        assert!(log.writer.flush(SOON), "a lost line is not waited for");
        log.writer.push(b"two\n");
        log.outcome.send(Ok(0)).unwrap();
        assert!(log.writer.flush(SOON));
        log.writer.push(b"three\n");
        assert_eq!(log.open(), "2 lost\nthree\n");
    }
}
