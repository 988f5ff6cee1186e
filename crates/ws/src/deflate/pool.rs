//! Compressors, inflaters and scratch space that the connections of a thread share.
//!
//! A context is taken for the length of one message. So a thread needs one of each kind, and a few
//! more when messages arrive in fragments. The pool is only a cache: a reused context behaves like
//! a new one.

use super::negotiate::MAX_BITS;
use alloc::vec::Vec;
use core::cell::RefCell;
use flate2::{Compress, Compression};
use zlib_rs::Inflate;

/// An inflater with the full window. It inflates data that was compressed with any window.
pub(super) fn take_inflater() -> Inflate {
    POOL.with_borrow_mut(|pool| pool.inflaters.pop()).unwrap_or_else(|| Inflate::new(false, MAX_BITS))
}

pub(super) fn put_inflater(mut inflater: Inflate) {
    inflater.reset(false);
    POOL.with_borrow_mut(|pool| keep(&mut pool.inflaters, inflater));
}

/// A compressor of this level and window.
pub(super) fn take_compressor(level: u8, bits: u8) -> Compress {
    let found = POOL.with_borrow_mut(|pool| {
        let at = pool.compressors.iter().position(|(l, b, _)| (*l, *b) == (level, bits))?;
        Some(pool.compressors.swap_remove(at).2)
    });
    found.unwrap_or_else(|| new_compressor(level, bits))
}

pub(super) fn put_compressor(level: u8, bits: u8, mut compressor: Compress) {
    compressor.reset();
    POOL.with_borrow_mut(|pool| keep(&mut pool.compressors, (level, bits, compressor)));
}

pub(super) fn new_compressor(level: u8, bits: u8) -> Compress {
    // flate2 panics on a window below 9 bits. The negotiation never agrees on one.
    Compress::new_with_window_bits(Compression::new(u32::from(level.clamp(1, 9))), false, bits.clamp(9, 15))
}

/// Lends `f` an empty buffer that keeps its capacity, up to a bound, from one use to the next.
pub(crate) fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = POOL.with_borrow_mut(|pool| core::mem::take(&mut pool.scratch));
    let result = f(&mut scratch);
    if scratch.capacity() <= MAX_SCRATCH {
        scratch.clear();
        POOL.with_borrow_mut(|pool| pool.scratch = scratch);
    }
    result
}

fn keep<T>(pool: &mut Vec<T>, context: T) {
    if pool.len() < MAX_KEPT {
        pool.push(context);
    }
}

#[derive(Default)]
struct Pool {
    inflaters: Vec<Inflate>,
    compressors: Vec<(u8, u8, Compress)>,
    scratch: Vec<u8>,
}

std::thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// The number of contexts of each kind that a thread keeps: about 1.2 MiB in all.
const MAX_KEPT: usize = 4;
const MAX_SCRATCH: usize = 256 * 1024;
