//! Any bytes as a chunked body: no panic, the result does not depend on how the bytes are cut, and
//! small limits hold.

use super::chunked_subject::Chunked;
use tidewire_chunked::Limits;
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    split::quick(|| Chunked::new(Limits::default()), data);
    let small = Limits::default().with_max_body(64).with_max_overhead(16).with_max_trailers(2);
    let outcome = split::quick(|| Chunked::new(small), data);
    assert!(outcome.data().len() <= 64);
}
