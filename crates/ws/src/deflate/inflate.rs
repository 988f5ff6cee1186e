//! Inflating one message, and knowing that it was whole (RFC 7692 §7.2.2).
//!
//! ```text
//! payload                                    ┌ put back by us
//! [block][block]…[header of an empty block]  00 00 ff ff     each block is whole, and the last one ends here, to the bit
//! ```
//! An inflater asks for more input in the middle of a block as it does between two blocks, so a
//! message that was cut would look whole. And what it has read of the next block would stay in the
//! context and damage the next message.

use zlib_rs::{InflateFlush, Status};

/// One message on its way.
pub(super) struct Inflate {
    stream: zlib_rs::Inflate,
    /// Where the message began, counted as errors count.
    start: u64,
    /// How many bytes the message may still inflate to.
    budget: u64,
    /// A block was marked as the last one and nothing came behind it.
    ended: bool,
}

/// Why a message cannot be inflated.
pub(crate) enum InflateError {
    /// It is no DEFLATE data, or does not end where a block ends.
    Invalid,
    /// It is longer than its budget.
    TooLong,
    /// The taker of the output refused it.
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

    /// Inflates a piece of the message; `sink` takes what comes out and says whether it is good.
    pub(super) fn run(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), InflateError> {
        // An empty fragment behind a block with BFINAL: asking the stream again would forget that
        // it has ended.
        if input.is_empty() {
            return Ok(());
        }
        let mut step = [0; STEP];
        loop {
            let (taken, made, status) = self.step(input, &mut step, InflateFlush::NoFlush);
            // The output before an error is checked before the error is told, so that the verdict
            // does not depend on the cuts.
            let within = usize::try_from(self.budget).map_or(made, |budget| budget.min(made));
            if !sink(&step[..within]) {
                return Err(InflateError::Refused);
            }
            if within < made {
                return Err(InflateError::TooLong);
            }
            self.budget -= made as u64;
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

    /// RFC 7692 §7.2.2 (1), (6): puts back what the sender left out. It must end the message to the
    /// bit, and must not become part of its content.
    pub(super) fn end(&mut self) -> Result<(), InflateError> {
        if self.ended {
            return Ok(());
        }
        let mut none = [0; PROBE.len()];
        // The stream stops at the end of a block while there is more to read. If it stopped
        // elsewhere, the block was not whole.
        let tail = self.step(PROBE, &mut none, InflateFlush::Block);
        if tail != (TAIL.len(), 0, Some(Status::Ok)) {
            return Err(InflateError::Invalid);
        }
        // A whole empty block at the end of a byte. Bits left over from before it would be taken
        // for its header.
        match self.step(&PROBE[TAIL.len()..], &mut none, InflateFlush::Block) {
            (EMPTY, 0, Some(Status::Ok)) => Ok(()),
            // The block before was marked as the last one.
            (0, 0, Some(Status::StreamEnd)) => {
                self.stream.reset(false);
                Ok(())
            }
            _ => Err(InflateError::Invalid),
        }
    }

    /// How much was taken, how much was made, and how it went; `None` is an error.
    fn step(&mut self, input: &[u8], out: &mut [u8], flush: InflateFlush) -> (usize, usize, Option<Status>) {
        let (taken, made) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, out, flush).ok();
        let taken = self.stream.total_in() - taken;
        let made = self.stream.total_out() - made;
        (taken as usize, made as usize, status)
    }
}

/// An empty stored block without its three bits of header and their padding: what a sender leaves
/// out.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The tail, a whole empty stored block, and a byte that is never read.
const PROBE: &[u8] = b"\0\0\xff\xff\0\0\0\xff\xff\0";
/// How long a whole empty stored block is.
const EMPTY: usize = 5;
/// How much is inflated at a time: the most by which a message can pass its limit before it is
/// noticed.
const STEP: usize = 8 * 1024;
