//! Any bytes as an event stream: the events are those of the standard, they do not depend on how
//! the bytes are cut, and small limits hold.

use super::sse_oracle::decode_by_the_standard;
use super::sse_subject::Sse;
use tidewire_sse::Limits;
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    let outcome = split::quick(|| Sse::new(Limits::default().with_max_name(usize::MAX)), data);
    let said: Vec<String> = outcome.events.iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(said, decode_by_the_standard(data));
    assert_eq!((outcome.failure, outcome.left), (None, 0));

    let small = Limits::default().with_max_data(8).with_max_name(4);
    let bounded = split::quick(|| Sse::new(small), data);
    assert_eq!(bounded.events[..], outcome.events[..bounded.events.len()]);
}
