//! What the five techniques share: everything except how to read.

use std::error::Error;
use std::sync::Arc;

use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

use crate::wire::remark;

/// What a reader calls when it waits for the last message.
pub type OnWaiting<'a> = &'a mut dyn FnMut() -> Result<(), Box<dyn Error>>;

/// Starts a server, publishes two messages to its channel `demo` and calls `read`. Then publishes a
/// third message while no reader is connected, calls `read` again with the last cursor, and
/// publishes the fourth message while that reader waits. Prints what was received.
///
/// `read` gets the server's address, the cursor to start after, the number of messages to read, and
/// the function to call when it waits for the last one. It returns the messages and the cursor to
/// continue after.
///
/// # Errors
/// The errors of `read`, or the server cannot be started.
pub fn read_cut_and_resume(
    read: impl Fn(&str, &str, usize, OnWaiting<'_>) -> Result<(Vec<String>, String), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    // The server: a hub that holds the channels, and a site on each worker thread that serves them.
    let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>()?).threads(1).bind()?;
    let hub = Hub::new(HubConfig::default(), server.threads());
    let (site_hub, settings) = (hub.clone(), Arc::new(Settings::default()));
    let server = server.serve(move |worker| Site::new(site_hub.clone(), settings.clone(), worker))?;
    let address = server.addresses()[0].to_string();

    // A publisher in the same process. Other publishers POST to /c/demo.
    let channel = ChannelName::new("demo")?;
    let publish = move |text: &'static str| {
        remark(&format!("published: {text}"));
        hub.publish(&channel, Message::new(text.into(), hub.wall_ms()), None)
    };

    publish("one")?;
    publish("two")?;
    let (mut received, cursor) = read(&address, "earliest", 2, &mut || Ok(()))?;
    remark(&format!("the next reader continues after {cursor}"));
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
