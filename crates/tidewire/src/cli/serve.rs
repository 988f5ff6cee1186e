//! `tidewire serve`.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tidewire::server::{Limits, Listen, Server, Signals};
use tidewire::{App, Files, Hub, HubConfig, Origins, Playground, Settings, guide};

use super::options::{ServeArgs, Switch};
use super::units::{Size, Span};
use super::{check, config, log};

pub(super) fn run(args: ServeArgs) -> Result<ExitCode, Box<dyn Error>> {
    let args = config::with_file(args)?;
    log::start(args.log.as_deref().unwrap_or("info"), args.log_format)?;
    tracing::debug!(options = ?args, "the options in effect");
    let unknown = config::unknown_variables();
    if !unknown.is_empty() {
        tracing::warn!(variables = ?unknown, "these environment variables are not options of this version");
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
    let shared = hub.clone();
    let app = move |worker| {
        App::new(shared.clone(), settings.clone(), worker)
            .with_playground(playground.clone())
            .with_files(files.clone())
    };
    let running = server.serve(app)?;
    print_addresses(running.addresses());
    let outcome = running.join_until(signals);
    log_work(&hub);
    match outcome {
        // A second signal ends the process without waiting.
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(ExitCode::from(130)),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Logs the work counters, for measurements. They are shown with `--log tidewire::work=debug`.
fn log_work(hub: &Hub) {
    let work = hub.work();
    tracing::debug!(
        target: "tidewire::work",
        encoded = work.encoded,
        replayed = work.replayed,
        compressed = work.compressed,
        formed = work.formed,
        dropped = work.dropped,
        turns = work.turns,
        long_turns = work.long_turns,
        longest_turn_us = work.longest_turn_us,
        "what the workers did"
    );
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
                "other machines can reach {listen}, and there is no login; listen on 127.0.0.1 behind \
                 a proxy that authenticates clients, or use --public to allow everyone"
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
        format!("--files {}: {error}; name a folder that this user can read", folder.display())
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
    // A channel must be able to keep a message of the largest size.
    let max_bytes = retention.max_bytes.max(config.max_message);
    retention.max_bytes = args.retain_bytes.map_or(max_bytes, Size::bytes);
    retention.max_age_ms = match args.retain_age {
        None => retention.max_age_ms,
        Some(Span(Duration::ZERO)) => None,
        Some(Span(time)) => Some(time.as_millis() as u64),
    };
    config
}

/// Prints the addresses to standard output, in a thread of its own: if standard output is a pipe
/// that nobody reads, the write never returns.
fn print_addresses(addresses: &[Listen]) {
    let mut text: String =
        addresses.iter().map(|address| format!("tidewire listens on {}\n", url(address))).collect();
    if let Some(address) = addresses.iter().find(|address| matches!(address, Listen::Tcp(_))) {
        text.push_str(&format!("\n{}\n", guide(&url(address))));
    }
    let write = move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "cannot print the addresses of the server to standard output");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("tidewire-stdout".to_owned()).spawn(write) {
        tracing::warn!(%error, "cannot start a thread that prints the addresses of the server");
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
