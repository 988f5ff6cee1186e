//! What the five techniques share: all of them but how to read.

use std::error::Error;
use std::sync::Arc;

use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

use crate::wire::remark;

/// What a reader calls when only the last message is missing and is not there yet.
pub type OnWaiting<'a> = &'a mut dyn FnMut() -> Result<(), Box<dyn Error>>;

/// Starts a server, publishes two messages to its channel `demo` and has `read` read them.
/// Publishes a third while nobody is connected, has `read` go on at its cursor, and publishes the
/// fourth when that reader waits. Prints what was received.
///
/// `read` gets the server's address, the cursor to start after, how many messages to read, and what
/// to call when it waits for the last one. It returns the messages and the cursor to go on after.
///
/// # Errors
/// Those of `read`, or the server cannot be started.
pub fn read_cut_and_resume(
    read: impl Fn(&str, &str, usize, OnWaiting<'_>) -> Result<(Vec<String>, String), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
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
    let (mut received, cursor) = read(&address, "earliest", 2, &mut || Ok(()))?;
    remark(&format!("the next reader goes on after {cursor}"));
    publish("three")?;
    let mut later = Some("four");
    let (rest, _) = read(&address, &cursor, 2, &mut || {
        later.take().map(&publish).transpose()?;
        Ok(())
    })?;

    received.extend(rest);
    println!("received: {}", received.join(", "));
    server.stop()?;
    Ok(())
}
