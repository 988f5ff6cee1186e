//! Any bytes as a chunked body: no panic, the result does not depend on how the bytes are cut, and
//! small limits hold. A proxy that writes the decoded events again writes the same events.

use super::chunked_subject::Chunked;
use tidewire_chunked::{Decoder, Encoder, Limits};
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    split::quick(|| Chunked::new(Limits::default()), data);
    let small = Limits::default().with_max_body(64).with_max_overhead(16).with_max_trailers(2);
    let outcome = split::quick(|| Chunked::new(small), data);
    assert!(outcome.data().len() <= 64);
    forward(data);
}

fn forward(data: &[u8]) {
    // The forwarded body may be shorter or longer in overhead, so its limits are wider.
    let wide = Limits::default().with_max_overhead(u32::MAX);
    let (mut reader, mut encoder, mut wire) = (Decoder::new(wide), Encoder::new(), Vec::new());
    let (mut at, mut events) = (0, Vec::new());
    while let Ok((n, Some(event))) = reader.decode(&data[at..]) {
        at += n;
        encoder.encode_to(event, &mut wire).expect("what was decoded can be written");
        events.push(event);
        if reader.is_done() {
            break;
        }
    }
    let (mut again, mut at) = (Decoder::new(wide), 0);
    for event in events {
        let (n, same) = again.decode(&wire[at..]).expect("what was written can be read");
        assert_eq!(same, Some(event));
        at += n;
    }
}
