//! Compressing one message (RFC 7692 §7.2.1).

use super::inflate::{TAIL, difference};
use super::negotiate::MAX_BITS;
use super::pool;
use alloc::vec::Vec;
use flate2::{Compress, FlushCompress};

/// Compresses a message for many connections, with the full window and no context. Calls `f` with
/// the result if that is shorter than the payload.
pub(super) fn compress_alone(level: u8, payload: &[u8], f: impl FnOnce(&[u8])) {
    pool::with_scratch(|out| {
        let mut compressor = pool::take_compressor(level, MAX_BITS);
        if compress(&mut compressor, payload, out) && out.len() < payload.len() {
            f(out);
        }
        pool::put_compressor(level, MAX_BITS, compressor);
    });
}

/// Compresses up to a byte boundary and removes the tail that ends every flush
/// (RFC 7692 §7.2.1 (1)). Returns false if the compressor fails.
pub(super) fn compress(compressor: &mut Compress, mut payload: &[u8], out: &mut Vec<u8>) -> bool {
    loop {
        // Unused room after a call means that the flush is complete. The end of a flush must never
        // fill the room exactly.
        out.reserve((payload.len() / 2).clamp(STEP / 4, STEP * 4));
        let before = compressor.total_in();
        if compressor.compress_vec(payload, out, FlushCompress::Sync).is_err() {
            return false;
        }
        payload = &payload[difference(compressor.total_in(), before)..];
        if payload.is_empty() && out.len() < out.capacity() {
            break;
        }
    }
    let ends = out.ends_with(&TAIL);
    if ends {
        out.truncate(out.len().saturating_sub(TAIL.len()));
    }
    ends
}

/// The room that is reserved for output: at least a quarter of this, at most four times this.
const STEP: usize = 8 * 1024;
