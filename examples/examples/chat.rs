//! A chat: `cargo run -p tidewire-examples --example chat -- 127.0.0.1:8080`, then open <http://127.0.0.1:8080/> in two windows.
//!
//! All of it is a page and a channel: the server knows nothing of chats. The page ([`pages/chat.html`](../pages/chat.html)) reads with the browser's
//! client, over a WebSocket or whatever gets through, and writes with a POST. A terminal does the same:
//!
//! ```text
//! curl -N 'http://127.0.0.1:8080/c/lobby?feed=sse&since=earliest'
//! curl -d 'hello from a terminal' http://127.0.0.1:8080/c/lobby
//! ```
//! Close the lid and come back: the page goes on after the last line that it has, and if lines are gone by then, it says how many.

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // Who comes in reads the last 500 lines.
    config.retention =
        Retention::DEFAULT.with_max_messages(500).with_max_bytes(1 << 20).with_max_age_ms(None);
    tidewire_examples::serve("chat", include_str!("../pages/chat.html"), config, |_| {})
}
