//! `tidewire pub`.

use std::error::Error;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::process::ExitCode;

use clap::Args;
use tidewire_client::{Client, Producer, Publish, Published};

use super::channel_url::channel_url;

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each message is printed as its cursor, on a line of its own. Without a message, --close \
    prints the cursor of the end.\n\n\
    Exit status:\n  \
    0  everything is in the channel\n  \
    1  the server refused a message or cannot be reached\n  \
    2  wrong usage"
)]
pub(crate) struct PubArgs {
    /// The channel: http://HOST:PORT/c/NAME, or only NAME for a server on 127.0.0.1:8080
    #[arg(value_name = "URL")]
    url: String,
    /// The message, or - to read it from standard input. With --close, it can be left out
    #[arg(value_name = "MESSAGE", required_unless_present = "close")]
    message: Option<String>,
    /// Event name, which is also the type of the event in a browser's EventSource
    #[arg(long, value_name = "NAME", requires = "message")]
    event: Option<String>,
    /// Media type of the message
    #[arg(long, value_name = "TYPE", requires = "message")]
    content_type: Option<String>,
    /// Key of this message. A repeated publish with the same key appends nothing, and another
    /// message with the same key is refused [default: random]
    #[arg(long, value_name = "KEY", requires = "message", conflicts_with_all = ["lines", "producer"])]
    idempotency_key: Option<String>,
    /// Publish each line of standard input as a message. The MESSAGE must be -
    #[arg(long)]
    lines: bool,
    /// Number the messages as those of this producer, from 0. With -, each line is a message. To
    /// run the same command again publishes only what is missing. A higher epoch refuses all runs
    /// with a lower one [default epoch: 0]
    #[arg(long, value_name = "ID[:EPOCH]", value_parser = producer)]
    producer: Option<(String, u64)>,
    /// Close the channel after the last message: its readers are told the end, and no message can
    /// follow
    #[arg(long)]
    close: bool,
}

/// Attempts to reach a server. Fewer than the default of the library, because a person waits.
const ATTEMPTS: u32 = 3;

pub(super) fn run(args: PubArgs) -> Result<ExitCode, Box<dyn Error>> {
    let is_input = args.message.as_deref() == Some("-");
    if args.lines && !is_input {
        return Err("--lines reads standard input: write - as the MESSAGE".into());
    }
    let client = Client::new(&channel_url(&args.url))?.with_attempts(ATTEMPTS);
    let mut publisher = match &args.producer {
        Some((id, epoch)) => Publisher::Producer(Producer::new(client, id.clone(), *epoch)),
        None => Publisher::Client(client),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut publish = |message: Publish| -> Result<(), Box<dyn Error>> {
        let message = match &args.event {
            Some(event) => message.with_event(event),
            None => message,
        };
        let message = match &args.content_type {
            Some(content_type) => message.with_content_type(content_type),
            None => message,
        };
        let message = match &args.idempotency_key {
            Some(key) => message.with_idempotency_key(key),
            None => message,
        };
        Ok(print(&runtime.block_on(publisher.publish(message))?, MESSAGE_IS_THERE)?)
    };
    if is_input && (args.lines || args.producer.is_some()) {
        // The next line is read only when this one is in the channel. So it is not known which line
        // is the last one.
        for line in io::stdin().lock().split(b'\n') {
            publish(Publish::new(line?))?;
        }
        if args.close {
            let end = runtime.block_on(publisher.publish(Publish::close()))?;
            notice_end(&end);
        }
        return Ok(ExitCode::SUCCESS);
    }
    match args.message {
        Some(text) if args.close => publish(Publish::new(payload(text)?).closing())?,
        Some(text) => publish(Publish::new(payload(text)?))?,
        None => {
            print(&runtime.block_on(publisher.publish(Publish::close()))?, "the channel was closed before")?
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who publishes: a client with idempotency keys, or a producer that counts.
enum Publisher {
    Client(Client),
    Producer(Producer),
}

impl Publisher {
    async fn publish(&mut self, message: Publish) -> Result<Published, tidewire_client::Error> {
        match self {
            Self::Client(client) => client.publish(message).await,
            Self::Producer(producer) => producer.publish(message).await,
        }
    }
}

const MESSAGE_IS_THERE: &str = "the channel already has the message with this key or number";

fn print(published: &Published, duplicate: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{}", published.cursor) {
        // Standard output was closed; the message is in the channel.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        outcome => outcome?,
    }
    if published.duplicate {
        // Standard error may be closed. The message is published even so.
        let _ = writeln!(io::stderr(), "{duplicate}");
    }
    notice_end(published);
    Ok(())
}

fn notice_end(published: &Published) {
    if let Some(end) = &published.end {
        let _ = writeln!(io::stderr(), "the channel is closed; its end is {end}");
    }
}

fn payload(text: String) -> io::Result<Vec<u8>> {
    if text != "-" {
        return Ok(text.into_bytes());
    }
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input)?;
    Ok(input)
}

/// Parses a producer and its epoch. A name may have colons, and digits after the last one are the
/// epoch.
fn producer(text: &str) -> Result<(String, u64), String> {
    let (id, epoch) = match text.rsplit_once(':') {
        Some((id, epoch)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
            (id, epoch.parse().map_err(|_| "the epoch is too large")?)
        }
        _ => (text, 0),
    };
    if id.is_empty() {
        return Err("a producer has a name".to_owned());
    }
    Ok((id.to_owned(), epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_has_a_name_and_may_have_an_epoch() {
        for (text, id, epoch) in [("p", "p", 0), ("p:7", "p", 7), ("a:b:10", "a:b", 10), ("a:b", "a:b", 0)] {
            assert_eq!(producer(text), Ok((id.to_owned(), epoch)));
        }
        for bad in ["", ":1", "p:99999999999999999999"] {
            assert!(producer(bad).is_err(), "{bad}");
        }
    }
}
