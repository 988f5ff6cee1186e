//! The options for URLs.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use tidewire_http1::FieldBlock;

use crate::cli::units;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "For URLs")]
pub(in crate::cli::explain) struct LiveArgs {
    /// A header field to send. Repeat the option for several fields
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The request method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(super) method: Option<String>,
    /// The body of the request; over WebSocket, a text message
    #[arg(short, long, value_name = "TEXT")]
    pub(super) data: Option<String>,
    /// A WebSocket subprotocol to offer. Repeat the option for several subprotocols
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Vec<String>,
    /// Offer compression of WebSocket messages (permessage-deflate)
    #[arg(long)]
    pub(super) deflate: bool,
    /// End after N events, JSON lines or WebSocket messages from the server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) messages: Option<u64>,
    /// End after this time: seconds, or 500ms, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = time_above_zero)]
    pub(super) seconds: Option<Duration>,
}

impl LiveArgs {
    /// The name of the first of these options that was set. Each of them needs a URL.
    pub(in crate::cli::explain) fn first_used(&self) -> Option<&'static str> {
        [
            (!self.header.is_empty(), "--header"),
            (self.method.is_some(), "--method"),
            (self.data.is_some(), "--data"),
            (!self.subprotocol.is_empty(), "--subprotocol"),
            (self.deflate, "--deflate"),
            (self.messages.is_some(), "--messages"),
            (self.seconds.is_some(), "--seconds"),
        ]
        .into_iter()
        .find_map(|(used, name)| used.then_some(name))
    }

    /// The fields of --header, and a User-Agent.
    pub(super) fn fields(&self) -> Result<FieldBlock, Box<dyn Error>> {
        let mut block = FieldBlock::new();
        let named = |name: &str| {
            self.header
                .iter()
                .any(|line| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name)))
        };
        if !named("User-Agent") {
            block.push("User-Agent", concat!("tidewire/", env!("CARGO_PKG_VERSION")))?;
        }
        for line in &self.header {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("-H {line:?} has no colon; write 'Name: value'"))?;
            block.push(name, value.trim()).map_err(|error| format!("-H {line:?} cannot be sent: {error}"))?;
        }
        Ok(block)
    }
}

/// Parses a time, which must be more than 0.
fn time_above_zero(text: &str) -> Result<Duration, String> {
    match units::time(text)? {
        Duration::ZERO => Err("the time must be more than 0".to_owned()),
        time => Ok(time),
    }
}
