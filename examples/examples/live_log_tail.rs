//! A log that many can follow: each line of the standard input becomes a message.
//!
//! ```text
//! journalctl -f | cargo run -p tidewire-examples --example live_log_tail -- 127.0.0.1:8080
//!
//! curl -N 'http://127.0.0.1:8080/c/log?feed=stream&since=earliest'     the lines that are kept, and then each new one
//! curl -N 'http://127.0.0.1:8080/c/log?feed=sse'                       from now on, for an EventSource in a page
//! curl 'http://127.0.0.1:8080/c/log?limit=10'                          ten lines, and the cursor to go on from
//! ```
//! A reader that is cut comes back with its cursor; one that is slow costs the others nothing. The last 10,000 lines are kept.
//! Whoever can reach the address can read, and publish too: leave it on loopback, or behind a proxy that lets GET through alone.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::thread;

use tidewire::server::{Listen, Server, Signals};
use tidewire::{ChannelName, Hub, HubConfig, Message, Retention, Settings, Site};

fn main() -> Result<(), Box<dyn Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("live_log_tail on http://{}", server.addresses()[0]);

    let mut config = HubConfig::default();
    config.retention = Retention { max_messages: 10_000, max_bytes: 16 << 20, max_age_ms: None };
    let hub = Hub::new(config, server.threads());
    let (lines, settings) = (hub.clone(), Arc::new(Settings::default()));
    let running = server.serve(move |worker| Site::new(hub.clone(), settings.clone(), worker))?;

    // A thread, so that ctrl-c is heard while no line comes. At the end of the input the lines stay readable.
    let channel = ChannelName::new("log")?;
    thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let message = Message::new(line.into(), lines.wall_ms());
            if let Err(error) = lines.publish(&channel, message, None) {
                eprintln!("a line is left out: {error}");
            }
        }
        eprintln!("the input has ended; ctrl-c stops the server");
    });
    running.join_until(signals)?;
    Ok(())
}
