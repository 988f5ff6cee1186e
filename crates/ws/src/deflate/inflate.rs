//! Inflating one message, and checking that it is whole (RFC 7692 §7.2.2).
//!
//! ```text
//! payload                                    ┌ appended by the receiver
//! [block][block]…[header of an empty block]  00 00 ff ff     each block is whole, and the last one ends here, to the bit
//! ```
//! An inflater asks for more input both inside a block and between two blocks. So a message that is
//! cut off would look whole. Its unfinished block would stay in the context and damage the next
//! message.

use zlib_rs::{InflateFlush, Status};

/// A message that is being inflated.
pub(super) struct Inflate {
    stream: zlib_rs::Inflate,
    /// The position in the stream at which the message began, as in the offset of an error.
    start: u64,
    /// The number of bytes to which the message may still inflate.
    budget: u64,
    /// Whether the last block had BFINAL and nothing has followed it.
    ended: bool,
}

/// Why a message cannot be inflated.
pub(crate) enum InflateError {
    /// The data is not DEFLATE, or does not end at the end of a block.
    Invalid,
    /// The message is longer than its budget.
    TooLong,
    /// The sink refused the output.
    Refused,
}

impl Inflate {
    /// A message that begins at the byte `start` of the connection.
    pub(super) const fn new(stream: zlib_rs::Inflate, start: u64, budget: u64) -> Self {
        Self { stream, start, budget, ended: false }
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn into_stream(self) -> zlib_rs::Inflate {
        self.stream
    }

    /// Inflates a piece of the message. `sink` takes the output and returns false to refuse it.
    pub(super) fn run(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), InflateError> {
        // An empty fragment may follow a block with BFINAL. Another call of the stream would forget
        // that the stream has ended.
        if input.is_empty() {
            return Ok(());
        }
        let mut step = [0; STEP];
        loop {
            let (taken, made, status) = self.step(input, &mut step, InflateFlush::NoFlush);
            // The output before an error is checked before the error is returned. So the result
            // does not depend on how the input is split.
            let within = usize::try_from(self.budget).map_or(made, |budget| budget.min(made));
            if !sink(&step[..within]) {
                return Err(InflateError::Refused);
            }
            if within < made {
                return Err(InflateError::TooLong);
            }
            self.budget = self.budget.saturating_sub(made as u64);
            input = &input[taken..];
            self.ended = status == Some(Status::StreamEnd);
            match status {
                None => return Err(InflateError::Invalid),
                // RFC 7692 §7.2.1 (3): a block with BFINAL ends a DEFLATE stream, not the message.
                Some(Status::StreamEnd) => {
                    self.stream.reset(false);
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                Some(_) if input.is_empty() && made < STEP => return Ok(()),
                Some(_) if taken == 0 && made == 0 => return Err(InflateError::Invalid),
                Some(_) => {}
            }
        }
    }

    /// RFC 7692 §7.2.2 (1), (6): appends the tail that the sender left out. The tail must end the
    /// message at its last bit, and must not become part of the content.
    pub(super) fn end(&mut self) -> Result<(), InflateError> {
        if self.ended {
            return Ok(());
        }
        let mut none = [0; PROBE.len()];
        // While there is more input, the stream stops at the end of a block. If it stopped
        // elsewhere, the block was not whole.
        let tail = self.step(PROBE, &mut none, InflateFlush::Block);
        if tail != (TAIL.len(), 0, Some(Status::Ok)) {
            return Err(InflateError::Invalid);
        }
        // A whole empty block follows at a byte boundary. Bits left over before it would be read as
        // its header.
        match self.step(&PROBE[TAIL.len()..], &mut none, InflateFlush::Block) {
            (EMPTY, 0, Some(Status::Ok)) => Ok(()),
            // The block before had BFINAL.
            (0, 0, Some(Status::StreamEnd)) => {
                self.stream.reset(false);
                Ok(())
            }
            _ => Err(InflateError::Invalid),
        }
    }

    /// Runs the stream once. Returns the number of bytes read and written, and the status: `None`
    /// is an error.
    fn step(&mut self, input: &[u8], out: &mut [u8], flush: InflateFlush) -> (usize, usize, Option<Status>) {
        let (taken, made) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, out, flush).ok();
        let taken = difference(self.stream.total_in(), taken);
        let made = difference(self.stream.total_out(), made);
        (taken, made, status)
    }
}

/// The number of bytes that one call of a stream read or wrote, from its totals.
pub(super) fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

/// The tail that a sender leaves out: an empty stored block without its three header bits and their
/// padding.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The tail, a whole empty stored block, and a byte that is never read.
const PROBE: &[u8] = b"\0\0\xff\xff\0\0\0\xff\xff\0";
/// The length of a whole empty stored block.
const EMPTY: usize = 5;
/// The number of bytes inflated at a time. A message exceeds its limit by at most this many bytes
/// before it is refused.
const STEP: usize = 8 * 1024;
