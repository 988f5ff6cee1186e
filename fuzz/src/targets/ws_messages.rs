//! Any bytes as messages, for both roles, whole and in pieces: the result does not depend on how
//! the bytes are cut, pieces have the same bytes as whole messages, and small limits hold.

use super::ws_subject::{Messages, Replies};
use tidewire_testkit::{Outcome, split};
use tidewire_ws::{Client, Connection, Limits, Role, Server};

pub fn run(data: &[u8]) {
    run_as::<Server>(data);
    run_as::<Client>(data);
}

fn run_as<R: Role>(data: &[u8])
where
    Connection<R>: Replies,
{
    let connection = |limits| Connection::<R>::new(limits);
    let whole = split::quick(|| Messages::new(connection(Limits::DEFAULT)), data);
    let pieces = split::quick(|| Messages::new(connection(Limits::DEFAULT).in_pieces()), data);
    assert_eq!(whole.failure, pieces.failure);
    assert_eq!(control(&whole), control(&pieces));

    let small = Limits::DEFAULT.with_max_frame(20).with_max_message(30).with_max_empty_fragments(2);
    let bounded = split::quick(|| Messages::new(connection(small)), data);
    assert_eq!(bounded.events[..], whole.events[..bounded.events.len()]);
}

/// Returns the events that are not data.
fn control(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.events.iter().map(|(_, event)| event.to_string());
    lines
        .filter(|line| !["text", "binary", "data", "end"].iter().any(|word| line.starts_with(word)))
        .collect()
}
