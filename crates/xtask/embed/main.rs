//! A program that embeds a hub: it serves a channel, publishes a message, reads it over HTTP, and
//! ends.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::builder().threads(1).listen("127.0.0.1:0".parse::<Listen>()?).bind()?;
    let hub = Hub::new(HubConfig::default(), server.threads());
    let settings = Arc::new(Settings::default());
    hub.publish(&ChannelName::new("demo")?, Message::new("hello".into(), hub.wall_ms()), None)?;
    let running = server.serve(move |worker| Site::new(hub.clone(), settings.clone(), worker))?;
    let answer = get(&running.addresses()[0].to_string(), "/c/demo?since=earliest")?;
    running.stop()?;
    if !(answer.starts_with("HTTP/1.1 200 ") && answer.contains("hello")) {
        return Err(format!("the message is not in the answer: {answer:?}").into());
    }
    Ok(())
}

fn get(address: &str, target: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(connection, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
