//! Any bytes as frames, for both roles: the result does not depend on how they are cut, and each
//! header encodes to the bytes that it was read from.

use super::ws_subject::Frames;
use tidewire_testkit::split;
use tidewire_ws::frame::Header;
use tidewire_ws::{Client, Limits, Server};

pub fn run(data: &[u8]) {
    split::quick(|| Frames::<Server>::new(Limits::DEFAULT), data);
    split::quick(|| Frames::<Client>::new(Limits::DEFAULT), data);
    if let Ok(Some((header, n))) = Header::parse(data) {
        let mut again = Vec::new();
        header.encode_to(&mut again).expect("what was read can be written");
        assert_eq!(again, data[..n]);
    }
}
