//! Any bytes as the pieces of a body: the encoded body decodes to the same content, and the bytes
//! after it are left unread.

use super::chunked_subject::Chunked;
use tidewire_chunked::{ChunkHead, Limits, encode_trailers};
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    let mut wire = Vec::new();
    // Each piece starts with its length.
    let mut rest = data;
    let mut content = Vec::new();
    while let Some((len, tail)) = rest.split_first() {
        let (piece, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        rest = tail;
        if let Some(head) = ChunkHead::new(piece.len() as u64) {
            head.encode_to(&mut wire);
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
            content.extend_from_slice(piece);
        }
    }
    // Also encodes the input as the name and value of a trailer, if they are allowed there.
    let (name, value) = data.split_at(data.len() / 3);
    let trailers = encode_trailers([(name, value)], &mut wire).is_ok();
    if !trailers {
        encode_trailers([], &mut wire).expect("an empty list of trailers can be encoded");
    }
    wire.extend_from_slice(b"next");

    let limits = Limits::default().with_max_overhead(u32::MAX);
    let outcome = split::quick(|| Chunked::new(limits), &wire);
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.data(), content);
    assert_eq!(outcome.left, 4);
    let trailer = format!("trailer {}: {}", name.escape_ascii(), tidewire_testkit::show(value));
    assert_eq!(outcome.events.iter().any(|(_, event)| event.to_string() == trailer), trailers);
}
