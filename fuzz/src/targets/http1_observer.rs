//! Any bytes as the two directions of a capture, with a NUL between them: an observer sees what a
//! real server and a real client see, however the directions are cut and interleaved.

use super::http1_capture::interleaved;
use super::http1_pair::observe;
use tidewire_http1::Limits;
use tidewire_testkit::Rng;

pub fn run(data: &[u8]) {
    let between = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (up, down) = (&data[..between], data.get(between + 1..).unwrap_or_default());
    let seen = observe(Limits::DEFAULT, up, down);
    let mut rng = Rng::of(data);
    for room in [u16::MAX, 1] {
        for _ in 0..3 {
            let limits = Limits::DEFAULT.with_max_unanswered(room);
            assert_eq!(interleaved(limits, up, down, &mut rng), seen, "room for {room} requests");
        }
    }
}
