//! A log that many can follow: each line of the standard input becomes a message. Open <http://127.0.0.1:8080/>, or use a terminal:
//!
//! ```text
//! journalctl -f | cargo run -p tidewire-examples --example live_log_tail -- 127.0.0.1:8080
//!
//! curl -N 'http://127.0.0.1:8080/c/log?feed=stream&since=earliest'     the lines that are kept, and then each new one
//! curl -N 'http://127.0.0.1:8080/c/log?feed=sse'                       from now on, for an EventSource in a page
//! curl 'http://127.0.0.1:8080/c/log?limit=10'                          ten lines, and the cursor to go on from
//! ```
//! A reader that is cut comes back with its cursor; one that is slow costs the others nothing, and is told how many lines it missed. The last
//! 10,000 lines are kept. Whoever can reach the address can read, and publish too: leave it on loopback, or behind a proxy that lets
//! GET through alone.

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
    // A thread, so that ctrl-c is heard while no line comes.
    let start = |hub: Arc<Hub>| drop(thread::spawn(move || publish(&hub, &channel)));
    tidewire_examples::serve("live_log_tail", include_str!("../pages/live_log_tail.html"), config, start)
}

fn publish(hub: &Hub, channel: &ChannelName) {
    for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
        if let Err(error) = hub.publish(channel, Message::new(line.into(), hub.wall_ms()), None) {
            eprintln!("a line is left out: {error}");
        }
    }
    // At the end of the input the lines stay readable.
    eprintln!("the input has ended; ctrl-c stops the server");
}
