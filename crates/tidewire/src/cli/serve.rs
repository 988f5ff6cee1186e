//! `tidewire serve`.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tidewire::hub::Patterns;
use tidewire::hub::store::Limits as StoreLimits;
use tidewire::server::{Limits, Listen, Server, Signals};
use tidewire::{App, Files, Hub, HubConfig, Origins, Playground, Settings, guide};

use super::options::{ServeArgs, Switch};
use super::storage::{Closed, Storage};
use super::units::{Size, Span};
use super::{check, config, log, patterns};

pub(super) fn run(args: ServeArgs) -> Result<ExitCode, Box<dyn Error>> {
    let args = config::with_file(args)?;
    log::start(args.log.as_deref().unwrap_or("info"), args.log_format)?;
    tracing::debug!(options = ?args, "the options in effect");
    let unknown = config::unknown_variables();
    if !unknown.is_empty() {
        tracing::warn!(variables = ?unknown, "these environment variables are not options of this version");
    }
    check::check(&args)?;
    let Plan { threads, listen, limits, hub_config, storage, settings, playground, files } = plan(args)?;
    let mut builder = Server::builder().threads(threads).limits(limits);
    for address in listen {
        builder = builder.listen(address);
    }
    // Clients that connect from now on wait until the store is open, instead of being refused.
    let server = builder.bind()?;
    let store = storage.open()?;
    let hub = Hub::with_store(hub_config, server.threads(), store.shared());
    let signals = Signals::catch()?;
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    let app = move |worker| {
        App::new(shared.clone(), settings.clone(), worker)
            .with_playground(playground.clone())
            .with_files(files.clone())
    };
    let running = server.serve(app)?;
    print_addresses(running.addresses());
    let outcome = running.join_until(signals);
    log_work(&hub);
    // A second signal ends the process without waiting.
    if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
        store.abandon();
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let closed = store.close(hub);
    outcome?;
    Ok(match closed? {
        Closed::Well => ExitCode::SUCCESS,
        Closed::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// The status of a process that a second signal has ended.
const INTERRUPTED: u8 = 130;

/// What the options ask for.
struct Plan {
    threads: usize,
    listen: Vec<Listen>,
    limits: Limits,
    hub_config: HubConfig,
    storage: Storage,
    settings: Settings,
    playground: Option<Playground>,
    files: Option<Files>,
}

/// Turns the options into settings. Names every option, without `..`: the compiler finds an option
/// that has no effect. `name: _` would silence it, so a test of `tests/documented` allows it only
/// for the options that `run` has read.
fn plan(args: ServeArgs) -> Result<Plan, Box<dyn Error>> {
    let ServeArgs {
        listen,
        threads,
        public,
        data,
        sync,
        retain_messages,
        retain_bytes,
        retain_age,
        window_messages,
        window_bytes,
        window_age,
        channel,
        retain_all_bytes,
        max_message,
        max_channels,
        max_connections,
        heartbeat,
        allow_origin,
        upload_pause,
        files,
        no_deflate,
        compress,
        comet,
        playground,
        idle_timeout,
        drain,
        // `run` has read these.
        log: _,
        log_format: _,
        config: _,
    } = args;
    let public = is_on(public);
    let listen = addresses(listen, public)?;

    let mut limits = Limits::default();
    limits.max_connections = max_connections.unwrap_or(0);
    limits.idle_timeout = idle_timeout.map_or(limits.idle_timeout, |time| time.0);
    limits.drain_timeout = drain.map_or(limits.drain_timeout, |time| time.0);

    let mut hub_config = HubConfig::default();
    hub_config.max_message = max_message.map_or(hub_config.max_message, Size::bytes);
    hub_config.max_channels = max_channels.unwrap_or(hub_config.max_channels);
    let retention = &mut hub_config.retention;
    retention.max_messages = retain_messages.unwrap_or(retention.max_messages);
    // A channel must be able to keep a message of the largest size.
    let max_bytes = retention.max_bytes.max(hub_config.max_message);
    retention.max_bytes = retain_bytes.map_or(max_bytes, Size::bytes);
    retention.max_age_ms = age_limit(retain_age, retention.max_age_ms);
    let window = &mut hub_config.window;
    window.max_messages = window_messages.unwrap_or(window.max_messages);
    window.max_bytes = window_bytes.map_or(window.max_bytes, Size::bytes);
    window.max_age_ms = age_limit(window_age, window.max_age_ms);
    let patterns = patterns::parse(&channel, hub_config.retention)?;
    if !channel.is_empty() {
        hub_config.patterns = Patterns::new(move |name| patterns.settings_of(name).cloned());
    }
    let store_limits = StoreLimits::DEFAULT.with_max_logs(hub_config.max_channels);
    let storage = Storage::new(data, sync, store_limits, retain_all_bytes.map(Size::bytes));

    let mut settings = Settings::default().with_origins(origins(public, &allow_origin)?);
    settings.heartbeat = heartbeat.map_or(settings.heartbeat, |time| time.0);
    settings.idle_timeout = idle_timeout.map_or(settings.idle_timeout, |time| time.0);
    settings.upload_pause = upload_pause.map_or(settings.upload_pause, |time| time.0);
    settings.deflate = !is_on(no_deflate);
    settings.compress = is_on(compress);
    settings.comet = is_on(comet);

    Ok(Plan {
        threads: threads.unwrap_or(0),
        listen,
        limits,
        hub_config,
        storage,
        settings,
        playground: self::playground(playground, public),
        files: folder(files.as_deref())?,
    })
}

/// The limit of an age in milliseconds. Without the option it is the default, and 0 means none.
fn age_limit(option: Option<Span>, default: Option<u64>) -> Option<u64> {
    match option {
        None => default,
        Some(Span(Duration::ZERO)) => None,
        Some(span) => Some(span.ms()),
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

fn addresses(texts: Vec<String>, public: bool) -> Result<Vec<Listen>, Box<dyn Error>> {
    let texts = if texts.is_empty() { vec!["127.0.0.1:8080".to_owned()] } else { texts };
    let mut all = Vec::new();
    for text in texts {
        let listen: Listen = text.parse()?;
        if !listen.is_local() && !public {
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

fn origins(public: bool, allowed: &[String]) -> Result<Origins, Box<dyn Error>> {
    let mut origins = if public { Settings::DEFAULT.origins } else { Origins::same().local() };
    for origin in allowed {
        origins = origins.allow(origin)?;
    }
    Ok(origins)
}

fn playground(wanted: Option<Switch>, public: bool) -> Option<Playground> {
    match wanted {
        Some(Switch::On) => Some(Playground::new().behind_proxies()),
        None if !public => Some(Playground::new()),
        Some(Switch::Off) | None => None,
    }
}

fn folder(path: Option<&Path>) -> Result<Option<Files>, Box<dyn Error>> {
    let Some(folder) = path else { return Ok(None) };
    let opened = Files::open(folder).map_err(|error| {
        format!("--files {}: {error}; name a folder that this user can read", folder.display())
    });
    Ok(Some(opened?))
}

fn is_on(flag: Option<bool>) -> bool {
    flag == Some(true)
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
