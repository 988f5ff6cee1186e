//! The compression of one connection, and the contexts that it keeps (RFC 7692 §7.2).

use super::compress::compress;
use super::inflate::{Inflate, InflateError};
use super::negotiate::{Config, MAX_BITS, MIN_OWN_BITS, Params, is_long_enough};
use super::pool;
use crate::role::Side;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use flate2::Compress;

/// The compression of one connection. 16 bytes while it holds no context.
#[derive(Debug)]
pub(crate) struct Deflate {
    params: Params,
    level: u8,
    threshold: u16,
    contexts: Option<Box<Contexts>>,
}

/// The contexts. With context takeover they live between messages, otherwise only during one.
#[derive(Default)]
struct Contexts {
    inflate: Option<Inflate>,
    compress: Option<Compress>,
}

impl Deflate {
    pub(crate) fn new(params: Params, config: &Config) -> Self {
        Self { params, level: config.level, threshold: config.threshold, contexts: None }
    }

    /// Begins a compressed message at the byte `start` of the stream. It may inflate to `budget`
    /// bytes.
    pub(crate) fn begin(&mut self, side: Side, start: u64, budget: u64) {
        let (takeover, bits) = self.params.of_compressor(side.peer());
        let contexts = self.contexts.get_or_insert_default();
        let stream = match contexts.inflate.take() {
            Some(kept) => kept.into_stream(),
            // An inflater's window may be larger than the agreed one, but never smaller.
            None if takeover => zlib_rs::Inflate::new(false, bits.clamp(MIN_OWN_BITS, MAX_BITS)),
            None => pool::take_inflater(),
        };
        contexts.inflate = Some(Inflate::new(stream, start, budget));
    }

    /// Inflates a piece of the message. `sink` takes the output and returns false to refuse it.
    pub(crate) fn inflate(
        &mut self,
        piece: &[u8],
        sink: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), InflateError> {
        match self.current() {
            Some(inflate) => inflate.run(piece, sink),
            None => Err(InflateError::Invalid),
        }
    }

    /// Inflates the tail that the sender left out, and returns the context to the pool.
    pub(crate) fn end(&mut self, side: Side) -> Result<(), InflateError> {
        if let Some(inflate) = self.current() {
            inflate.end()?;
        }
        if self.params.of_compressor(side.peer()).0 {
            return Ok(());
        }
        if let Some(contexts) = &mut self.contexts {
            if let Some(inflate) = contexts.inflate.take() {
                pool::put_inflater(inflate.into_stream());
            }
            if contexts.compress.is_none() {
                self.contexts = None;
            }
        }
        Ok(())
    }

    /// The position in the stream at which the present message began.
    pub(crate) fn start(&self) -> u64 {
        self.contexts.as_ref().and_then(|c| c.inflate.as_ref()).map_or(0, Inflate::start)
    }

    /// Drops all contexts.
    pub(crate) fn free(&mut self) {
        self.contexts = None;
    }

    /// Appends the compressed payload to `out`. Returns false, and appends nothing, if the payload
    /// should be sent uncompressed.
    pub(crate) fn compress(&mut self, side: Side, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let (takeover, bits) = self.params.of_compressor(side);
        // zlib cannot compress for a window of 256 bytes, and compression is optional.
        if !self.compresses(payload.len()) || bits < MIN_OWN_BITS {
            return false;
        }
        let before = out.len();
        if takeover {
            let contexts = self.contexts.get_or_insert_default();
            let compressor = contexts.compress.get_or_insert_with(|| pool::new_compressor(self.level, bits));
            // The context now holds this message. So the message must be sent, even if it grew: the
            // peer's window must hold the same bytes as ours.
            let good = compress(compressor, payload, out);
            if !good {
                out.truncate(before);
                compressor.reset();
            }
            good
        } else {
            let mut compressor = pool::take_compressor(self.level, bits);
            let good = compress(&mut compressor, payload, out) && out[before..].len() < payload.len();
            if !good {
                out.truncate(before);
            }
            pool::put_compressor(self.level, bits, compressor);
            good
        }
    }

    /// Whether this connection may send a message of `len` bytes that was compressed with the full
    /// window and no context.
    pub(crate) fn can_share(&self, side: Side, len: usize) -> bool {
        self.params.of_compressor(side).1 == MAX_BITS && self.compresses(len)
    }

    /// Whether a message of `len` bytes is long enough to be compressed.
    pub(crate) fn compresses(&self, len: usize) -> bool {
        is_long_enough(len, self.threshold)
    }

    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    /// Resets our compressor after a message that was compressed elsewhere was sent. The peer's
    /// window holds that message, our context does not.
    pub(crate) fn forget_own_context(&mut self) {
        if let Some(compressor) = self.contexts.as_mut().and_then(|c| c.compress.as_mut()) {
            compressor.reset();
        }
    }

    fn current(&mut self) -> Option<&mut Inflate> {
        self.contexts.as_mut()?.inflate.as_mut()
    }
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts")
            .field("inflate", &self.inflate.is_some())
            .field("compress", &self.compress.is_some())
            .finish()
    }
}
