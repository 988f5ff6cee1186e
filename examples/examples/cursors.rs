//! Multiplayer cursors. Run `cargo run -p tidewire-examples --example cursors -- 127.0.0.1:8080`,
//! then open <http://127.0.0.1:8080/> in several windows.
//!
//! Each page ([`pages/cursors.html`](../pages/cursors.html)) has one WebSocket for both directions,
//! with the subprotocol `tidewire.v1`. It publishes the position of its pointer while the pointer
//! moves, at most 25 times a second, and draws the others. The server encodes each position once
//! for all pages. Old positions are useless, so the log is short and a page starts at `now`.
//!
//! ```text
//! # a pointer in the middle, for ten seconds
//! curl -d '{"id":"curl","name":"curl","x":0.5,"y":0.5}' http://127.0.0.1:8080/c/board
//! ```

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // One second of a hundred moving pointers.
    config.retention =
        Retention::DEFAULT.with_max_messages(2_500).with_max_bytes(1 << 20).with_max_age_ms(Some(2_000));
    tidewire_examples::serve("cursors", include_str!("../pages/cursors.html"), config, |_| {})
}
