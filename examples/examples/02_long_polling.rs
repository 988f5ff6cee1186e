//! Long polling: ask, and be answered when there is something to say.
//!
//! ```text
//!   client                    server
//!     │ ── GET since=A&wait ───► │
//!     │ ◄── 200 messages, B ──── │   there was something already
//!     │ ── GET since=B&wait ───► │
//!     │                          │   held, up to 25 s
//!     │ ◄── 200 messages, C ──── │   the moment that one is published
//! ```
//!
//! Works everywhere, news come at once, and an idle reader costs one request in 25 seconds. Each message costs a request.
//!
//! Run `cargo run -p tidewire-examples --example 02_long_polling`. Two messages are read, the connection is cut, a third is published
//! meanwhile and a fourth later; the reader resumes at its cursor and gets both. The other four examples differ in `read` alone.

use std::error::Error;
use std::sync::Arc;

use tidewire_examples::{Wire, remark};
use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

/// Reads `count` messages after the cursor `since`, and says at which cursor to go on. `waits` is called when only the last one is missing
/// and is not there yet.
fn read(
    address: &str,
    since: &str,
    count: usize,
    mut waits: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(Vec<String>, String), Box<dyn Error>> {
    let (mut messages, mut cursor) = (Vec::new(), since.to_owned());
    let mut wire = Wire::connect(address)?;
    while messages.len() < count {
        wire.send(&format!("GET /c/demo?since={cursor}&wait=25 HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
        remark("waiting for the answer");
        if messages.len() + 1 == count {
            waits()?;
        }
        let head = wire.head()?;
        let answer: serde_json::Value = serde_json::from_slice(&wire.body(head.length())?)?;
        for message in answer["messages"].as_array().ok_or("no messages")? {
            messages.push(message["data"].as_str().ok_or("not text")?.to_owned());
        }
        // A poll whose time is over has no messages, but a cursor.
        cursor = answer["cursor"].as_str().ok_or("no cursor")?.to_owned();
    }
    Ok((messages, cursor))
}

fn main() -> Result<(), Box<dyn Error>> {
    // The server: a hub that holds the channels, and a site on each worker thread that serves them.
    let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>()?).threads(1).bind()?;
    let hub = Hub::new(HubConfig::default(), server.threads());
    let (site_hub, settings) = (hub.clone(), Arc::new(Settings::default()));
    let server = server.serve(move |worker| Site::new(site_hub.clone(), settings.clone(), worker))?;
    let address = server.addresses()[0].to_string();

    // A publisher in the same process. Any other would POST to /c/demo.
    let channel = ChannelName::new("demo")?;
    let publish = move |text: &'static str| {
        remark(&format!("published: {text}"));
        hub.publish(&channel, Message::new(text.into(), hub.wall_ms()), None)
    };

    publish("one")?;
    publish("two")?;
    let (mut received, cursor) = read(&address, "earliest", 2, || Ok(()))?;
    remark(&format!("the next reader goes on after {cursor}"));
    publish("three")?;
    let mut later = Some("four");
    let (rest, _) = read(&address, &cursor, 2, || {
        later.take().map(&publish).transpose()?;
        Ok(())
    })?;

    received.extend(rest);
    println!("received: {}", received.join(", "));
    server.stop()?;
    Ok(())
}
