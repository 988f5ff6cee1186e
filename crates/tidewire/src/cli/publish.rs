//! `tidewire pub`.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;

use clap::Args;
use tidewire_client::{Client, Publish};

use super::channel_url::channel_url;

#[derive(Clone, Debug, Args)]
#[command(after_help = "Exit status:\n  0  the message is in the channel; its cursor is printed\n  \
    1  the server refused the message or cannot be reached\n  2  wrong usage")]
pub(crate) struct PubArgs {
    /// The channel: http://HOST:PORT/c/NAME, or only NAME for a server on 127.0.0.1:8080
    #[arg(value_name = "URL")]
    url: String,
    /// The message, or - to read it from standard input
    #[arg(value_name = "MESSAGE")]
    message: String,
    /// Event name, which is also the type of the event in a browser's EventSource
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Media type of the message
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Key of this message. A repeated publish with the same key appends nothing, and another
    /// message with the same key is refused [default: random]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Attempts to reach a server. Fewer than the default of the library, because a person waits.
const ATTEMPTS: u32 = 3;

pub(super) fn run(args: PubArgs) -> Result<ExitCode, Box<dyn Error>> {
    let client = Client::new(&channel_url(&args.url))?.with_attempts(ATTEMPTS);
    let mut message = Publish::new(payload(args.message)?);
    if let Some(event) = args.event {
        message = message.with_event(event);
    }
    if let Some(content_type) = args.content_type {
        message = message.with_content_type(content_type);
    }
    if let Some(key) = args.idempotency_key {
        message = message.with_idempotency_key(key);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let published = runtime.block_on(client.publish(message))?;
    match writeln!(std::io::stdout(), "{}", published.cursor) {
        // Standard output was closed; the message is in the channel.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        outcome => outcome?,
    }
    if published.duplicate {
        // Standard error may be closed. The message is published even so.
        let _ = writeln!(std::io::stderr(), "the channel already has the message with this idempotency key");
    }
    Ok(ExitCode::SUCCESS)
}

fn payload(text: String) -> std::io::Result<Vec<u8>> {
    if text != "-" {
        return Ok(text.into_bytes());
    }
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input)?;
    Ok(input)
}
