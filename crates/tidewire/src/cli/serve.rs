//! `tidewire serve`.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use tidewire::server::{Limits, Listen, Server, Signals};
use tidewire::{App, Files, Hub, HubConfig, Origins, Playground, Settings, guide};

use super::units::{Size, Span};
use super::{check, config, log};

/// Every option has the same name on the command line, in the environment (`TIDEWIRE_…`) and in the file of `--config`.
/// The first of these that sets it wins, also where it says no: `--public=false`.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ServeArgs {
    /// Address to listen on: HOST:PORT (port 0 picks a free one) or unix:PATH; may be given several times [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "TIDEWIRE_LISTEN", value_delimiter = ',')]
    pub(super) listen: Vec<String>,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", env = "TIDEWIRE_THREADS")]
    pub(super) threads: Option<usize>,
    /// Listen on addresses that other machines can reach, though nobody has to log in
    #[arg(long, env = "TIDEWIRE_PUBLIC", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    pub(super) public: Option<bool>,
    /// Messages that a channel keeps [default: 1000]
    #[arg(long, value_name = "N", env = "TIDEWIRE_RETAIN_MESSAGES")]
    pub(super) retain_messages: Option<usize>,
    /// Bytes that a channel keeps [default: 8M, or --max-message if that is more]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_RETAIN_BYTES")]
    pub(super) retain_bytes: Option<Size>,
    /// How long a channel keeps a message; 0 means without limit [default: 1h]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_RETAIN_AGE")]
    pub(super) retain_age: Option<Span>,
    /// Longest message [default: 1M]
    #[arg(long, value_name = "SIZE", env = "TIDEWIRE_MAX_MESSAGE")]
    pub(super) max_message: Option<Size>,
    /// Channels at one time [default: 100000]
    #[arg(long, value_name = "N", env = "TIDEWIRE_MAX_CHANNELS")]
    pub(super) max_channels: Option<usize>,
    /// Connections at one time [default: the descriptor limit of the process, less a reserve]
    #[arg(long, value_name = "N", env = "TIDEWIRE_MAX_CONNECTIONS")]
    pub(super) max_connections: Option<usize>,
    /// Time between two heartbeats of a stream, in whole seconds [default: 15s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_HEARTBEAT")]
    pub(super) heartbeat: Option<Span>,
    /// Origin whose pages may read, publish and open WebSockets (https://example.org, or * for any); may be given several times
    #[arg(long, value_name = "ORIGIN", env = "TIDEWIRE_ALLOW_ORIGIN", value_delimiter = ',')]
    pub(super) allow_origin: Vec<String>,
    /// How long an upload may say nothing before it is given up [default: 1m]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_UPLOAD_PAUSE")]
    pub(super) upload_pause: Option<Span>,
    /// Folder whose files are served under /files/
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_FILES")]
    pub(super) files: Option<PathBuf>,
    /// Do not compress WebSocket messages, though the client offers it
    #[arg(long, env = "TIDEWIRE_NO_DEFLATE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    pub(super) no_deflate: Option<bool>,
    /// Compress event streams and JSON lines for clients that accept gzip
    #[arg(long, env = "TIDEWIRE_COMPRESS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    pub(super) compress: Option<bool>,
    /// Allow reading by iframe and JSONP (JSONP lets every page on the web read every channel)
    #[arg(long, env = "TIDEWIRE_COMET", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_parser = BoolishValueParser::new())]
    pub(super) comet: Option<bool>,
    /// The playground at / [default: on for browsers that come without a proxy, and off with --public]
    #[arg(long, value_name = "WHEN", env = "TIDEWIRE_PLAYGROUND")]
    pub(super) playground: Option<Switch>,
    /// How long a connection may be idle between two requests; a proxy in front should give up earlier [default: 75s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_IDLE_TIMEOUT")]
    pub(super) idle_timeout: Option<Span>,
    /// How long open connections may take to finish after SIGTERM or ctrl-c [default: 30s]
    #[arg(long, value_name = "TIME", env = "TIDEWIRE_DRAIN")]
    pub(super) drain: Option<Span>,
    /// What to log: off, error, warn, info, debug or trace; for a part of the server: info,tidewire_server=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "TIDEWIRE_LOG")]
    pub(super) log: Option<String>,
    /// How to log [default: text on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", env = "TIDEWIRE_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// A TOML file with these options: retain-messages = 100
    #[arg(long, value_name = "FILE", env = "TIDEWIRE_CONFIG")]
    #[serde(skip)]
    pub(super) config: Option<PathBuf>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
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

pub(super) fn run(args: ServeArgs) -> Result<ExitCode, Box<dyn Error>> {
    let args = config::merged(args)?;
    log::start(args.log.as_deref().unwrap_or("info"), args.log_format)?;
    tracing::debug!(options = ?args, "in effect");
    let unknown = config::unknown_variables();
    if !unknown.is_empty() {
        tracing::warn!(variables = ?unknown, "these environment variables are no options of this version");
    }
    check::check(&args)?;
    let listen = listen(&args)?;
    let settings = Arc::new(settings(&args)?);
    let (playground, files) = (playground(&args), files(&args)?);
    let mut builder = Server::builder().threads(args.threads.unwrap_or(0)).limits(limits(&args));
    for address in listen {
        builder = builder.listen(address);
    }
    let server = builder.bind()?;
    let hub = Hub::new(hub_config(&args), server.threads());
    let signals = Signals::catch()?;
    let app = move |worker| {
        App::new(hub.clone(), settings.clone(), worker)
            .with_playground(playground.clone())
            .with_files(files.clone())
    };
    let running = server.serve(app)?;
    greet(running.addresses());
    match running.join_until(signals) {
        // A second signal, which is not waited for.
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(ExitCode::from(130)),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

fn limits(args: &ServeArgs) -> Limits {
    let mut limits = Limits::default();
    limits.max_connections = args.max_connections.unwrap_or(0);
    limits.idle_timeout = args.idle_timeout.map_or(limits.idle_timeout, |time| time.0);
    limits.drain_timeout = args.drain.map_or(limits.drain_timeout, |time| time.0);
    limits
}

fn listen(args: &ServeArgs) -> Result<Vec<Listen>, Box<dyn Error>> {
    let texts = if args.listen.is_empty() { vec!["127.0.0.1:8080".to_owned()] } else { args.listen.clone() };
    let mut all = Vec::new();
    for text in texts {
        let listen: Listen = text.parse()?;
        if !listen.is_local() && !is_on(args.public) {
            return Err(format!(
                "{listen} can be reached from other machines, and nobody has to log in; \
                 listen on 127.0.0.1 behind a proxy that checks who comes, or say --public if this is what you want"
            )
            .into());
        }
        all.push(listen);
    }
    Ok(all)
}

fn settings(args: &ServeArgs) -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings::default();
    if !is_on(args.public) {
        settings.origins = Origins::same().local();
    }
    for origin in &args.allow_origin {
        settings.origins = std::mem::replace(&mut settings.origins, Origins::same()).allow(origin)?;
    }
    settings.heartbeat = args.heartbeat.map_or(settings.heartbeat, |time| time.0);
    settings.idle_timeout = args.idle_timeout.map_or(settings.idle_timeout, |time| time.0);
    settings.upload_pause = args.upload_pause.map_or(settings.upload_pause, |time| time.0);
    settings.deflate = !is_on(args.no_deflate);
    settings.compress = is_on(args.compress);
    settings.comet = is_on(args.comet);
    Ok(settings)
}

fn playground(args: &ServeArgs) -> Option<Playground> {
    match args.playground {
        Some(Switch::On) => Some(Playground::new().behind_proxies()),
        None if !is_on(args.public) => Some(Playground::new()),
        Some(Switch::Off) | None => None,
    }
}

fn files(args: &ServeArgs) -> Result<Option<Files>, Box<dyn Error>> {
    let Some(folder) = &args.files else { return Ok(None) };
    let opened = Files::open(folder).map_err(|error| {
        format!("--files {}: {error}; name a folder that this user may read", folder.display())
    });
    Ok(Some(opened?))
}

fn is_on(flag: Option<bool>) -> bool {
    flag == Some(true)
}

fn hub_config(args: &ServeArgs) -> HubConfig {
    let mut config = HubConfig::default();
    config.max_message = args.max_message.map_or(config.max_message, Size::bytes);
    config.max_channels = args.max_channels.unwrap_or(config.max_channels);
    let retention = &mut config.retention;
    retention.max_messages = args.retain_messages.unwrap_or(retention.max_messages);
    // A channel keeps a message of the longest size, whatever that is.
    let max_bytes = retention.max_bytes.max(config.max_message);
    retention.max_bytes = args.retain_bytes.map_or(max_bytes, Size::bytes);
    retention.max_age_ms = match args.retain_age {
        None => retention.max_age_ms,
        Some(Span(Duration::ZERO)) => None,
        Some(Span(time)) => Some(time.as_millis() as u64),
    };
    config
}

/// Tells the addresses on standard output, in a thread of its own: nobody may be there to read it.
fn greet(addresses: &[Listen]) {
    let mut text: String =
        addresses.iter().map(|address| format!("tidewire listens on {}\n", url(address))).collect();
    if let Some(address) = addresses.iter().find(|address| matches!(address, Listen::Tcp(_))) {
        text.push_str(&format!("\n{}\n", guide(&url(address))));
    }
    let write = move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "standard output does not take the addresses that the server listens on");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("tidewire-greet".to_owned()).spawn(write) {
        tracing::warn!(%error, "no thread to tell the addresses that the server listens on");
    }
}

fn url(address: &Listen) -> String {
    match address {
        Listen::Tcp(address) if address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        Listen::Tcp(address) => format!("http://{address}"),
        other => other.to_string(),
    }
}
