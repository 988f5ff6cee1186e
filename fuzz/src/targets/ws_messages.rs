//! Any bytes as messages, for both roles, whole and in pieces: the result does not depend on how
//! the bytes are cut, pieces have the same bytes as whole messages, and small limits hold.

use super::ws_subject::Messages;
use tidewire_testkit::{Outcome, split};
use tidewire_ws::{Connection, Limits, Role};

pub fn run(data: &[u8]) {
    for role in [Role::Server, Role::Client] {
        let whole = split::quick(|| Messages::new(Connection::new(role, Limits::DEFAULT)), data);
        let pieces = split::quick(|| Messages::new(Connection::new(role, Limits::DEFAULT).in_pieces()), data);
        assert_eq!(whole.failure, pieces.failure);
        assert_eq!(control(&whole), control(&pieces));

        let small = Limits { max_frame: 20, max_message: 30, max_empty_fragments: 2 };
        let bounded = split::quick(|| Messages::new(Connection::new(role, small)), data);
        assert_eq!(bounded.events[..], whole.events[..bounded.events.len()]);
    }
}

/// Returns the events that are not data.
fn control(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.events.iter().map(|(_, event)| event.to_string());
    lines
        .filter(|line| !["text", "binary", "data", "end"].iter().any(|word| line.starts_with(word)))
        .collect()
}
