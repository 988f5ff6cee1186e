//! Multiplayer cursors: `cargo run -p tidewire-examples --example cursors -- 127.0.0.1:8080`, then open <http://127.0.0.1:8080/> in several windows.
//!
//! One WebSocket both ways for each page ([`pages/cursors.html`](../pages/cursors.html)), subprotocol `tidewire.v1`. A page publishes where its pointer is, at
//! most 25 times a second and only while it moves, and draws the others. Each position is encoded once, however many look on.
//! Positions of a moment ago are of no use: the log is short, and a page starts at `now`.
//!
//! ```text
//! curl -d '{"id":"curl","name":"curl","x":0.5,"y":0.5}' http://127.0.0.1:8080/c/board        a pointer in the middle, for ten seconds
//! ```

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // A second of a hundred people who all move.
    config.retention =
        Retention::DEFAULT.with_max_messages(2_500).with_max_bytes(1 << 20).with_max_age_ms(Some(2_000));
    tidewire_examples::serve("cursors", include_str!("../pages/cursors.html"), config, |_| {})
}
