//! `tidewire sub`.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tidewire::explain::terminal;
use tidewire_client::{self as client, Client, Event, Feed, Message, Options, Since, Subscription};

use super::channel_url::channel_url;
use super::sanitizer::Sanitizer;
use super::units;

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Notices about connections, gaps, resets and the end go to standard error. A file or a \
    pipe gets the exact bytes of the payloads. On a terminal, control characters are shown as dots.\n\n\
    Exit status:\n  \
    0    --count messages were read; or, without --count, --timeout is over, all channels have\n       \
    ended, or the server says that there is nothing more to read\n  \
    1    the server refused, a channel was deleted, or standard output failed\n  \
    2    wrong usage\n  \
    3    reading ended before --count messages were read\n  \
    130  ctrl-c"
)]
pub(crate) struct SubArgs {
    /// The channel: http://HOST:PORT/c/NAME (/c/NAME,NAME for several), or only NAME for a server
    /// on 127.0.0.1:8080
    #[arg(value_name = "URL")]
    url: String,
    /// How to read
    #[arg(long, value_name = "FEED", value_enum, default_value_t = FeedChoice::Auto)]
    feed: FeedChoice,
    /// Where to begin: earliest, now, or a cursor to continue after
    #[arg(long, value_name = "WHERE", default_value = "now")]
    since: Since,
    /// Print messages, gaps, resets and the end as JSON objects, one on each line, instead of the
    /// payloads
    #[arg(long)]
    json: bool,
    /// Stop after N messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop after this time: seconds, or 500ms, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FeedChoice {
    /// The first of these that works, in this order
    Auto,
    /// WebSocket
    Ws,
    /// Server-Sent Events
    Sse,
    /// HTTP streaming, one JSON object on each line
    Stream,
    /// Long polling
    Longpoll,
    /// Short polling
    Poll,
}

/// Why reading ended.
enum End {
    Count,
    Timeout,
    /// All channels have ended, or the server asks its readers to stop.
    Nothing,
    Interrupt,
    /// The reader of standard output has ended, as with `| head`.
    Closed,
}

pub(super) fn run(args: SubArgs) -> Result<ExitCode, Box<dyn Error>> {
    let feeds: &[Feed] = match args.feed {
        FeedChoice::Auto => &Feed::ALL,
        FeedChoice::Ws => &[Feed::WebSocket],
        FeedChoice::Sse => &[Feed::Sse],
        FeedChoice::Stream => &[Feed::Stream],
        FeedChoice::Longpoll => &[Feed::LongPoll],
        FeedChoice::Poll => &[Feed::Poll],
    };
    let options = Options::DEFAULT.with_feeds(feeds.iter().copied()).with_since(args.since.clone());
    let mut events = Client::new(&channel_url(&args.url))?.subscribe(options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let printer = Printer::new(args.json);
    let end = runtime.block_on(read(&args, &mut events, printer))?;
    if let (End::Timeout | End::Interrupt, Some(cursor)) = (&end, events.cursor()) {
        printer.notice(format_args!("to continue: tidewire sub {} --since {cursor}", args.url));
    }
    Ok(match end {
        End::Count | End::Closed => ExitCode::SUCCESS,
        End::Timeout | End::Nothing if args.count.is_none() => ExitCode::SUCCESS,
        End::Timeout | End::Nothing => ExitCode::from(3),
        End::Interrupt => ExitCode::from(130),
    })
}

async fn read(args: &SubArgs, events: &mut Subscription, printer: Printer) -> Result<End, Box<dyn Error>> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut timeout = std::pin::pin!(async {
        match args.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    });
    while left > 0 {
        let event = tokio::select! {
            event = events.next() => event,
            outcome = &mut interrupt => return outcome.map(|()| End::Interrupt).map_err(Into::into),
            () = &mut timeout => return Ok(End::Timeout),
        };
        let event = match event {
            Err(client::Error::Ended) => return Ok(End::Nothing),
            Err(error @ client::Error::Stopped) => {
                printer.notice(format_args!("{error}"));
                return Ok(End::Nothing);
            }
            event => event?,
        };
        left -= u64::from(matches!(event, Event::Message(_)));
        match printer.print(&event) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Closed),
            outcome => outcome?,
        }
    }
    Ok(End::Count)
}

/// Prints messages to standard output, and all else to standard error.
#[derive(Clone, Copy)]
struct Printer {
    json: bool,
    stdout: Sanitizer,
    stderr: Sanitizer,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self { json, stdout: Sanitizer::of(&io::stdout()), stderr: Sanitizer::of(&io::stderr()) }
    }

    fn print(self, event: &Event) -> io::Result<()> {
        self.print_notice(event);
        let mut out = io::stdout().lock();
        match (JsonLine::of(event), event) {
            (Some(line), _) if self.json => {
                out.write_all(terminal::json(&serde_json::to_string(&line)?).as_bytes())?;
            }
            (_, Event::Message(message)) => out.write_all(&self.stdout.lines(&message.data))?,
            _ => return Ok(()),
        }
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Prints a notice, if the event is about the connection or the position.
    fn print_notice(self, event: &Event) {
        match event {
            Event::Gap { missed, .. } => {
                self.notice(format_args!("{missed} messages are lost: the server no longer keeps them"));
            }
            Event::Reset { reason, .. } if reason == "tail-lost" => {
                self.notice(format_args!("the server has lost messages that were read ({reason})"));
            }
            Event::Reset { reason, .. } => self
                .notice(format_args!("the log of the channel began anew ({reason}); messages may be lost")),
            Event::End { channel: Some(channel), .. } => {
                self.notice(format_args!("the channel {channel} has ended"));
            }
            Event::End { .. } => self.notice(format_args!("the channel has ended")),
            Event::Deleted { channel: Some(channel) } => {
                self.notice(format_args!("the channel {channel} was deleted"));
            }
            Event::Connected { feed, cursor: Some(cursor) } => {
                self.notice(format_args!("reading over {feed}, after {cursor}"));
            }
            Event::Connected { feed, .. } => self.notice(format_args!("reading over {feed}")),
            Event::Disconnected { feed, reason, retry_in } if retry_in.is_zero() => {
                self.notice(format_args!("{feed}: {reason}; trying the next feed"));
            }
            Event::Disconnected { feed, reason, retry_in } => {
                let seconds = retry_in.as_secs_f64();
                self.notice(format_args!("{feed}: {reason}; next attempt in {seconds:.1} s"));
            }
            _ => {}
        }
    }

    /// Prints a notice. Standard error may be closed; reading continues even so.
    fn notice(self, text: std::fmt::Arguments<'_>) {
        let text = format!("tidewire: {text}");
        let _ = writeln!(io::stderr(), "{}", self.stderr.line(&text));
    }
}

/// A line of `--json`: an object of the HTTP API, without the fields that the feed did not send.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum JsonLine<'a> {
    Message {
        cursor: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_b64: Option<String>,
    },
    Gap {
        from: &'a str,
        cursor: &'a str,
        missed: u64,
    },
    Reset {
        reason: &'a str,
        cursor: &'a str,
    },
    End {
        cursor: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    Deleted {
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
}

impl<'a> JsonLine<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Message(message) => Self::message(message),
            Event::Gap { from, cursor, missed } => {
                Self::Gap { from: from.as_str(), cursor: cursor.as_str(), missed: *missed }
            }
            Event::Reset { reason, cursor } => Self::Reset { reason, cursor: cursor.as_str() },
            Event::End { channel, cursor } => {
                Self::End { cursor: cursor.as_str(), channel: channel.as_deref() }
            }
            Event::Deleted { channel } => Self::Deleted { channel: channel.as_deref() },
            _ => return None,
        })
    }

    fn message(message: &'a Message) -> Self {
        let data = message.text();
        Self::Message {
            cursor: message.cursor.as_str(),
            channel: message.channel.as_deref(),
            time: message.time,
            event: message.event.as_deref(),
            content_type: message.content_type.as_deref(),
            data,
            data_b64: data.is_none().then(|| STANDARD.encode(&message.data)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feed_of_the_client_can_be_chosen() {
        for feed in Feed::ALL {
            let name = feed.as_str();
            let choice = FeedChoice::from_str(name, false);
            assert!(choice.is_ok(), "feed {name}: add it to the enum FeedChoice in cli/subscribe.rs");
        }
        assert_eq!(FeedChoice::value_variants().len(), Feed::ALL.len() + 1, "and auto");
    }
}
