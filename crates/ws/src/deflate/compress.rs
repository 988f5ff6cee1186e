//! Compressing one message (RFC 7692 §7.2.1).

use super::inflate::TAIL;
use super::negotiate::MAX_BITS;
use super::pool;
use alloc::vec::Vec;
use flate2::{Compress, FlushCompress};

/// Compresses a message that many connections share: with the full window and no context. `f` gets
/// it if it is shorter so.
pub(super) fn compress_alone(level: u8, payload: &[u8], f: impl FnOnce(&[u8])) {
    pool::with_scratch(|out| {
        let mut compressor = pool::take_compressor(level, MAX_BITS);
        if compress(&mut compressor, payload, out) && out.len() < payload.len() {
            f(out);
        }
        pool::put_compressor(level, MAX_BITS, compressor);
    });
}

/// Compresses to a byte boundary and leaves out the end that every flush has (RFC 7692 §7.2.1 (1)).
pub(super) fn compress(compressor: &mut Compress, mut payload: &[u8], out: &mut Vec<u8>) -> bool {
    loop {
        // Room to spare after a call means that the flush is complete. The end of a flush must
        // never fit exactly.
        out.reserve((payload.len() / 2).clamp(STEP / 4, STEP * 4));
        let before = compressor.total_in();
        if compressor.compress_vec(payload, out, FlushCompress::Sync).is_err() {
            return false;
        }
        payload = &payload[(compressor.total_in() - before) as usize..];
        if payload.is_empty() && out.len() < out.capacity() {
            break;
        }
    }
    let ends = out.ends_with(&TAIL);
    if ends {
        out.truncate(out.len() - TAIL.len());
    }
    ends
}

/// How much room there is for what is compressed, at least and at most: a quarter of it, and four
/// times as much.
const STEP: usize = 8 * 1024;
