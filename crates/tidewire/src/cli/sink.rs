//! A bounded buffer in front of an output that may be full, closed or stalled.
//!
//! ```text
//!   any thread ── push: a copy, never a wait ──► lines, up to a bound ──► one thread writes ──► standard error
//!                    │ no room                                              │ the write fails
//!                    └──────────────► counted, and told in a line ◄─────────┘
//!                                     as soon as one can be written
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Lines that can wait. The lines of a thousand connections that end at once fit in.
const MAX_LINES: usize = 4096;

/// Bytes that can wait. Lines with backtraces are long, and a log must not fill the memory.
const MAX_BYTES: usize = 1024 * 1024;

/// An output in non-blocking mode (a terminal or pipe that another program made so) is tried again after this time.
const REST: Duration = Duration::from_millis(20);

/// Makes the line that tells how many lines are missing.
pub(super) type Notice = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// A handle to push lines; its thread writes them.
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Lines that found no room since the last entry.
    lost: u64,
    /// No line is taken until half of the room is free. Otherwise every second line would be a
    /// notice while a slow reader takes single lines.
    full: bool,
    /// The thread is writing an entry.
    busy: bool,
}

enum Entry {
    Line(Vec<u8>),
    Lost(u64),
}

impl Sink {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(out: impl Write + Send + 'static, notice: Notice) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let writer = Writer { shared: shared.clone(), out, notice, missing: 0, torn: false };
        std::thread::Builder::new().name("tidewire-log".to_owned()).spawn(move || writer.run())?;
        Ok(Sink(shared))
    }

    /// Takes a line, or counts it as lost. Never waits for the output.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.full && state.entries.len() <= MAX_LINES / 2 && state.bytes <= MAX_BYTES / 2 {
            state.full = false;
        }
        state.full |= state.entries.len() >= MAX_LINES || state.bytes + line.len() > MAX_BYTES;
        if state.full {
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

    /// Waits until all lines are written or given up, but no longer than `within`. Says whether that is so.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let is_pending = |state: &mut State| state.busy || state.lost > 0 || !state.entries.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), within, is_pending);
        !waited.unwrap_or_else(|poisoned| poisoned.into_inner()).1.timed_out()
    }
}

/// One write is one line: that is how the subscriber writes.
impl Write for &Sink {
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
        // Nothing panics while it holds the lock, so a poisoned one holds good data.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for the next entry.
    fn take(&self) -> Entry {
        let mut state = self.lock();
        loop {
            let entry = state.entries.pop_front();
            let entry = entry.or_else(|| match std::mem::take(&mut state.lost) {
                0 => None,
                lost => Some(Entry::Lost(lost)),
            });
            state.busy = entry.is_some();
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

/// The thread's side.
struct Writer<W> {
    shared: Arc<Shared>,
    out: W,
    notice: Notice,
    /// Lines that are lost, and of which no notice was written.
    missing: u64,
    /// The output ends within a line.
    torn: bool,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        loop {
            match self.shared.take() {
                Entry::Lost(lost) => {
                    self.missing += lost;
                    self.tell();
                }
                Entry::Line(line) => {
                    if !self.tell() || !self.write(&line) {
                        self.missing += 1;
                    }
                }
            }
        }
    }

    /// Writes a notice of the missing lines, if there are any. False if that fails.
    fn tell(&mut self) -> bool {
        if self.missing > 0 {
            let line = (self.notice)(self.missing);
            if !self.write(&line) {
                return false;
            }
            self.missing = 0;
        }
        true
    }

    fn write(&mut self, line: &[u8]) -> bool {
        let parts: [&[u8]; 2] = [if self.torn { b"\n" } else { b"" }, line];
        for mut part in parts {
            while !part.is_empty() {
                match self.out.write(part) {
                    Ok(0) => return false,
                    Ok(n) => part = &part[n..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::sleep(REST);
                        continue;
                    }
                    Err(_) => return false,
                }
                self.torn = !part.is_empty() || self.torn;
            }
            self.torn = false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const SOON: Duration = Duration::from_secs(30);

    fn notice() -> Notice {
        Box::new(|lost| format!("{lost} lost\n").into_bytes())
    }

    /// An output that asks the test what to do at each write, and keeps what it takes.
    struct Gate {
        arrived: Sender<()>,
        verdict: Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.arrived.send(());
            let n = self.verdict.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.written.lock().unwrap().extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gated {
        sink: Sink,
        arrived: Receiver<()>,
        verdict: Sender<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    fn gated() -> Gated {
        let (arrived, has_arrived) = channel();
        let (verdict, next_verdict) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate { arrived, verdict: next_verdict, written: written.clone() };
        Gated { sink: Sink::start(gate, notice()).unwrap(), arrived: has_arrived, verdict, written }
    }

    impl Gated {
        /// Lets everything pass from now on; returns all that was written.
        fn open(self) -> String {
            drop(self.verdict);
            assert!(self.sink.flush(SOON), "everything was written");
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let gated = gated();
        for line in ["one\n", "two\n", "three\n"] {
            gated.sink.push(line.as_bytes());
        }
        for n in [1, 2, 1] {
            gated.verdict.send(Ok(n)).unwrap();
        }
        assert_eq!(gated.open(), "one\ntwo\nthree\n");
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_once() {
        let gated = gated();
        gated.sink.push(b"first\n");
        gated.arrived.recv_timeout(SOON).unwrap();
        // The thread has the first line in hand, and is stalled.
        for n in 0..MAX_LINES + 5 {
            gated.sink.push(format!("{n}\n").as_bytes());
        }
        assert!(!gated.sink.flush(Duration::from_millis(1)), "a stalled output is not waited for");
        let text = gated.open();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + MAX_LINES + 1);
        assert_eq!(lines[MAX_LINES], format!("{}", MAX_LINES - 1));
        assert_eq!(lines[MAX_LINES + 1], "5 lost");
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let gated = gated();
        gated.sink.push(b"first\n");
        gated.arrived.recv_timeout(SOON).unwrap();
        let mut long = vec![b'x'; MAX_BYTES / 4 - 1];
        long.push(b'\n');
        for _ in 0..7 {
            gated.sink.push(&long);
        }
        let text = gated.open();
        assert_eq!(text.lines().filter(|line| line.starts_with('x')).count(), 4);
        assert!(text.ends_with("3 lost\n"));
    }

    /// With one line of room at a time, a notice for each line lost would be half of the log.
    #[test]
    fn while_it_is_nearly_full_there_is_no_notice_for_each_line() {
        let gated = gated();
        for n in 0..MAX_LINES + 10 {
            gated.sink.push(format!("{n}\n").as_bytes());
        }
        for _ in 0..100 {
            gated.verdict.send(Ok(usize::MAX)).unwrap();
            gated.arrived.recv_timeout(SOON).unwrap();
            gated.sink.push(b"more\n");
        }
        let text = gated.open();
        assert_eq!(text.lines().filter(|line| line.ends_with("lost")).count(), 1, "{text}");
    }

    #[test]
    fn a_line_that_cannot_be_written_is_told_before_the_next_that_can() {
        let gated = gated();
        let full = || Err(io::Error::from(ErrorKind::StorageFull));
        for line in ["one\n", "two\n", "three\n"] {
            gated.sink.push(line.as_bytes());
        }
        // The first line is cut, the notice before the second fails, and then there is room again.
        for verdict in [Ok(2), full(), full()] {
            gated.verdict.send(verdict).unwrap();
        }
        assert_eq!(gated.open(), "on\n2 lost\nthree\n");
    }

    #[test]
    fn an_output_that_would_block_is_tried_again() {
        let gated = gated();
        gated.sink.push(b"one\n");
        for kind in [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::WouldBlock] {
            gated.verdict.send(Err(kind.into())).unwrap();
        }
        assert_eq!(gated.open(), "one\n");
    }

    #[test]
    fn an_output_that_takes_nothing_costs_the_lines_and_nothing_else() {
        let gated = gated();
        gated.sink.push(b"one\n");
        gated.verdict.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
        assert!(gated.sink.flush(SOON), "given up is done");
        gated.sink.push(b"two\n");
        gated.verdict.send(Ok(0)).unwrap();
        assert!(gated.sink.flush(SOON));
        gated.sink.push(b"three\n");
        assert_eq!(gated.open(), "2 lost\nthree\n");
    }
}
