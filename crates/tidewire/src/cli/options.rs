//! The options of `tidewire serve`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::units::{Size, Span};

/// Every option has the same name on the command line, in the environment (`TIDEWIRE_…`) and in the
/// file of `--config`. The first of these that sets an option wins, also if it switches the option
/// off: `--public=false`.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ServeArgs {
    /// Address to listen on: HOST:PORT (port 0 picks a free one) or unix:PATH. Repeat the option
    /// for several addresses [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "TIDEWIRE_LISTEN", value_delimiter = ',')]
    pub(super) listen: Vec<String>,
    /// Number of worker threads [default: one for each core]
    #[arg(long, value_name = "N", env = "TIDEWIRE_THREADS")]
    pub(super) threads: Option<usize>,
    /// Allow addresses that other machines can reach. There is no login: all who reach the server
    /// can read and publish
    #[arg(
        long,
        env = "TIDEWIRE_PUBLIC",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(super) public: Option<bool>,
    /// Directory for the channels, so that they are there after a restart. It is created if it is
    /// missing [default: none, the channels are in memory only]
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_DATA")]
    pub(super) data: Option<PathBuf>,
    /// What an acknowledgement promises, with --data. always: the message is on the disk. interval:
    /// it survives a crash of the server, and is on the disk within 100 ms. never: it survives a
    /// crash of the server [default: interval]
    #[arg(long, value_name = "MODE", env = "TIDEWIRE_SYNC")]
    pub(super) sync: Option<SyncChoice>,
    /// Number of messages that a channel keeps [default: 1000]
    #[arg(long, value_name = "N", env = "TIDEWIRE_RETAIN_MESSAGES")]
    pub(super) retain_messages: Option<usize>,
    /// Bytes of messages that a channel keeps [default: 8M, or --max-message if that is larger]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_RETAIN_BYTES")]
    pub(super) retain_bytes: Option<Size>,
    /// How long a channel keeps a message; 0 means no limit [default: 1h]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_RETAIN_AGE")]
    pub(super) retain_age: Option<Span>,
    /// Number of messages that a channel has in memory, for readers that keep up. Readers that are
    /// further behind get the others from --data [default: --retain-messages]
    #[arg(long, value_name = "N", env = "TIDEWIRE_WINDOW_MESSAGES")]
    pub(super) window_messages: Option<usize>,
    /// Bytes of messages that a channel has in memory [default: --retain-bytes]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_WINDOW_BYTES")]
    pub(super) window_bytes: Option<Size>,
    /// How long a channel has a message in memory; 0 means no limit [default: --retain-age]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_WINDOW_AGE")]
    pub(super) window_age: Option<Span>,
    /// Settings of the channels whose names match a pattern: 'rooms/*?retain-messages=10&expire=1h'
    /// (* stands for one segment, /** for all below). Repeat the option: the first pattern that
    /// matches a name decides
    #[arg(long, value_name = "PATTERN?SETTINGS", env = "TIDEWIRE_CHANNEL", value_delimiter = ',')]
    pub(super) channel: Vec<String>,
    /// Room for the messages of all channels that keep all of theirs (retain=all). Without room,
    /// their publishers get 507 [default: 1G; with --data, the disk is the limit]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_RETAIN_ALL_BYTES")]
    pub(super) retain_all_bytes: Option<Size>,
    /// Largest message that is accepted [default: 1M]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_MAX_MESSAGE")]
    pub(super) max_message: Option<Size>,
    /// Maximum number of channels at one time [default: 100000]
    #[arg(long, value_name = "N", env = "TIDEWIRE_MAX_CHANNELS")]
    pub(super) max_channels: Option<usize>,
    /// Maximum number of connections at one time [default: the limit of the process on file
    /// descriptors, minus a reserve]
    #[arg(long, value_name = "N", env = "TIDEWIRE_MAX_CONNECTIONS")]
    pub(super) max_connections: Option<usize>,
    /// Time between two heartbeats on a stream, in whole seconds [default: 15s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_HEARTBEAT")]
    pub(super) heartbeat: Option<Span>,
    /// Origin whose pages may read, publish and open WebSockets: https://example.org, or * for any.
    /// Repeat the option for several origins
    #[arg(long, value_name = "ORIGIN", env = "TIDEWIRE_ALLOW_ORIGIN", value_delimiter = ',')]
    pub(super) allow_origin: Vec<String>,
    /// How long an upload may send nothing before the server ends it [default: 1m]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_UPLOAD_PAUSE")]
    pub(super) upload_pause: Option<Span>,
    /// Folder whose files are served under /files/
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_FILES")]
    pub(super) files: Option<PathBuf>,
    /// Do not compress WebSocket messages, even if the client offers it
    #[arg(
        long,
        env = "TIDEWIRE_NO_DEFLATE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(super) no_deflate: Option<bool>,
    /// Compress event streams and JSON lines for clients that accept gzip
    #[arg(
        long,
        env = "TIDEWIRE_COMPRESS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(super) compress: Option<bool>,
    /// Allow reading with an iframe and with JSONP. JSONP lets every page on the web read every
    /// channel
    #[arg(
        long,
        env = "TIDEWIRE_COMET",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(super) comet: Option<bool>,
    /// Serve the playground at / [default: on for browsers that connect without a proxy, but off
    /// with --public]
    #[arg(long, value_name = "WHEN", env = "TIDEWIRE_PLAYGROUND")]
    pub(super) playground: Option<Switch>,
    /// How long a connection may be idle between two requests. A proxy in front of the server needs
    /// a shorter time [default: 75s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_IDLE_TIMEOUT")]
    pub(super) idle_timeout: Option<Span>,
    /// How long open connections may take to finish after SIGTERM or ctrl-c [default: 30s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_DRAIN")]
    pub(super) drain: Option<Span>,
    /// What to log: off, error, warn, info, debug or trace. A part of the server may have its own
    /// level: info,tidewire_server=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "TIDEWIRE_LOG")]
    pub(super) log: Option<String>,
    /// Format of the log [default: text on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", env = "TIDEWIRE_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// TOML file with these options, such as: retain-messages = 100
    #[arg(long, value_name = "FILE", env = "TIDEWIRE_CONFIG")]
    #[serde(skip)]
    pub(super) config: Option<PathBuf>,
}

/// Whether something is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    /// It is served.
    On,
    /// It is not served.
    Off,
}

/// When messages reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncChoice {
    /// Before they are acknowledged.
    Always,
    /// Within 100 ms.
    Interval,
    /// When the system writes them.
    Never,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
