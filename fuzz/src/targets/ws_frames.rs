//! Any bytes as frames, for both roles: the result does not depend on how they are cut, and each
//! header encodes to the bytes that it was read from.

use super::ws_subject::Frames;
use tidewire_testkit::split;
use tidewire_ws::frame::Header;
use tidewire_ws::{Limits, Role};

pub fn run(data: &[u8]) {
    for role in [Role::Server, Role::Client] {
        split::quick(|| Frames::new(role, Limits::DEFAULT), data);
    }
    if let Ok(Some((header, n))) = Header::parse(data) {
        let mut again = Vec::new();
        header.encode_to(&mut again).expect("what was read can be written");
        assert_eq!(again, data[..n]);
    }
}
