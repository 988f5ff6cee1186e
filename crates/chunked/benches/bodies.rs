//! Chunked bodies per second, compared with a copy that checks nothing.
//!
//! `cargo bench -p tidewire-chunked --bench bodies`
//!
//! | column | what is timed |
//! |---|---|
//! | copy | per chunk: memchr to the LF of its line, its digits, and a copy of the content. It checks nothing, so no decoder can be faster |
//! | httparse | `parse_chunk_size`, without a check of the CRLF after the content, and a copy of the content |
//! | decoder, copy | `Decoder`, and a copy of the content |
//! | decoder | `Decoder` without a copy, as in a server that passes the content on |
//!
//! Rounds are interleaved and the best sample is taken, so compare ratios within one run.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;
use tidewire_chunked::{ChunkHead, Decoder, Event, Limits};

/// Bytes of content in a body. They fit into the L2 cache, where a copy is fast, so that the cost
/// of the framing is visible.
const CONTENT: usize = 256 * 1024;

fn main() {
    println!("{:<12} {:>24} {:>24} {:>24} {:>24}", "chunks", "copy", "httparse", "decoder, copy", "decoder");
    for size in [64, 1024, 16 * 1024] {
        let wire = body(size);
        let (mut a, mut b, mut c) =
            (Vec::with_capacity(CONTENT), Vec::with_capacity(CONTENT), Vec::with_capacity(CONTENT));
        let mut contestants: Vec<Box<dyn FnMut() + '_>> = vec![
            Box::new(|| {
                a.clear();
                trusting_copy(black_box(&wire), &mut a);
                assert_eq!(a.len(), CONTENT);
            }),
            Box::new(|| {
                b.clear();
                httparse_copy(black_box(&wire), &mut b);
                assert_eq!(b.len(), CONTENT);
            }),
            Box::new(|| {
                c.clear();
                decode(black_box(&wire), |data| c.extend_from_slice(data));
                assert_eq!(c.len(), CONTENT);
            }),
            Box::new(|| {
                let mut length = 0;
                decode(black_box(&wire), |data| length += black_box(data).len());
                assert_eq!(length, CONTENT);
            }),
        ];
        let best = race(&mut contestants);
        print!("{size:<12} ");
        for ns in &best {
            print!(" {:>7.2} GB/s {:>9.2}x", CONTENT as f64 / ns, best[0] / ns);
        }
        println!();
    }
}

/// A body in chunks of `size` bytes.
fn body(size: usize) -> Vec<u8> {
    let content = vec![b'x'; size];
    let mut wire = Vec::new();
    for _ in 0..CONTENT / size {
        if let Some(head) = ChunkHead::new(size as u64) {
            head.encode_to(&mut wire);
        }
        wire.extend_from_slice(&content);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

fn trusting_copy(mut wire: &[u8], out: &mut Vec<u8>) {
    while let Some(end) = memchr::memchr(b'\n', wire) {
        let digits = &wire[..end - 1];
        let size = digits.iter().fold(0, |size, b| size << 4 | usize::from((b & 0xF) + 9 * (b >> 6)));
        if size == 0 {
            return;
        }
        out.extend_from_slice(&wire[end + 1..end + 1 + size]);
        wire = &wire[end + 1 + size + 2..];
    }
}

fn httparse_copy(mut wire: &[u8], out: &mut Vec<u8>) {
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(wire) {
        if size == 0 {
            return;
        }
        let end = start + size as usize;
        out.extend_from_slice(&wire[start..end]);
        wire = &wire[end + 2..];
    }
}

fn decode(wire: &[u8], mut each: impl FnMut(&[u8])) {
    let (mut decoder, mut at) = (Decoder::new(Limits::default()), 0);
    loop {
        match decoder.decode(&wire[at..]) {
            Ok((n, Some(Event::Data(data)))) => {
                at += n;
                each(data);
            }
            Ok((_, Some(Event::End))) => return,
            Ok((n, Some(_))) => at += n,
            other => panic!("a bad body: {other:?}"),
        }
    }
}

/// Nanoseconds a call, the best of many interleaved samples.
fn race(contestants: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    const ROUNDS: usize = 1000;
    let mut best = vec![f64::MAX; contestants.len()];
    for _ in 0..ROUNDS {
        for (contestant, best) in contestants.iter_mut().zip(&mut best) {
            let start = Instant::now();
            contestant();
            *best = best.min(start.elapsed().as_nanos() as f64);
        }
    }
    best
}
