//! A chat. Run `cargo run -p tidewire-examples --example chat -- 127.0.0.1:8080`, then open
//! <http://127.0.0.1:8080/> in two windows.
//!
//! The chat is only a page and a channel: the server knows nothing about chats. The page
//! ([`pages/chat.html`](../pages/chat.html)) reads with Tidewire's browser client, over a WebSocket
//! or another transport that works, and writes with a POST. A terminal can do the same:
//!
//! ```text
//! curl -N 'http://127.0.0.1:8080/c/lobby?feed=sse&since=earliest'
//! curl -d 'hello from a terminal' http://127.0.0.1:8080/c/lobby
//! ```
//! Close your laptop and come back: the page continues after its last line. If lines were evicted
//! meanwhile, it says how many.

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // A new reader gets the last 500 lines.
    config.retention =
        Retention::DEFAULT.with_max_messages(500).with_max_bytes(1 << 20).with_max_age_ms(None);
    tidewire_examples::serve("chat", include_str!("../pages/chat.html"), config, |_| {})
}
