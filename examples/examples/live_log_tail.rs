//! A log that many readers can follow. Each line of the standard input becomes a message. Open
//! <http://127.0.0.1:8080/>, or use a terminal:
//!
//! ```text
//! journalctl -f | cargo run -p tidewire-examples --example live_log_tail -- 127.0.0.1:8080
//!
//! # the kept lines, and then each new line
//! curl -N 'http://127.0.0.1:8080/c/log?feed=stream&since=earliest'
//! # from now on, for an EventSource in a page
//! curl -N 'http://127.0.0.1:8080/c/log?feed=sse'
//! # ten lines, and the cursor to continue at
//! curl 'http://127.0.0.1:8080/c/log?limit=10'
//! ```
//! A reader whose connection is cut comes back with its cursor. A slow reader costs the others
//! nothing, and is told how many lines it missed. The server keeps the last 10,000 lines. Everybody
//! who can reach the address can read and also publish. So listen on loopback only, or behind a
//! proxy that passes only GET.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::thread;

use tidewire::{ChannelName, Hub, HubConfig, Message, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    config.retention =
        Retention::DEFAULT.with_max_messages(10_000).with_max_bytes(16 << 20).with_max_age_ms(None);
    let channel = ChannelName::new("log")?;
    // A thread of its own, so that ctrl-c works while no line comes.
    let start = |hub: Arc<Hub>| drop(thread::spawn(move || publish(&hub, &channel)));
    tidewire_examples::serve("live_log_tail", include_str!("../pages/live_log_tail.html"), config, start)
}

fn publish(hub: &Hub, channel: &ChannelName) {
    for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
        if let Err(error) = hub.publish(channel, Message::new(line.into(), hub.wall_ms()), None) {
            eprintln!("a line is not published: {error}");
        }
    }
    // After the end of the input, the lines can still be read.
    eprintln!("the input has ended; ctrl-c stops the server");
}
