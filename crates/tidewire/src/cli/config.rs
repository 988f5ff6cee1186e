//! The file of `--config`: the same options. The command line and the environment take precedence.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;

use clap::{Arg, Args, Command};

use super::options::ServeArgs;

/// Returns the options, with those of the file where neither the command line nor the environment
/// sets them.
pub(super) fn with_file(args: ServeArgs) -> Result<ServeArgs, Box<dyn Error>> {
    match args.config.clone() {
        Some(path) => Ok(merge(args, read(&path)?)),
        None => Ok(args),
    }
}

fn read(path: &Path) -> Result<ServeArgs, Box<dyn Error>> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text)
        .map_err(|error| format!("the configuration file {} is not valid: {error}", path.display()).into())
}

fn merge(args: ServeArgs, file: ServeArgs) -> ServeArgs {
    fn list(first: Vec<String>, second: Vec<String>) -> Vec<String> {
        if first.is_empty() { second } else { first }
    }
    ServeArgs {
        listen: list(args.listen, file.listen),
        threads: args.threads.or(file.threads),
        public: args.public.or(file.public),
        data: args.data.or(file.data),
        sync: args.sync.or(file.sync),
        retain_messages: args.retain_messages.or(file.retain_messages),
        retain_bytes: args.retain_bytes.or(file.retain_bytes),
        retain_age: args.retain_age.or(file.retain_age),
        window_messages: args.window_messages.or(file.window_messages),
        window_bytes: args.window_bytes.or(file.window_bytes),
        window_age: args.window_age.or(file.window_age),
        channel: list(args.channel, file.channel),
        retain_all_bytes: args.retain_all_bytes.or(file.retain_all_bytes),
        max_message: args.max_message.or(file.max_message),
        max_channels: args.max_channels.or(file.max_channels),
        max_connections: args.max_connections.or(file.max_connections),
        heartbeat: args.heartbeat.or(file.heartbeat),
        allow_origin: list(args.allow_origin, file.allow_origin),
        upload_pause: args.upload_pause.or(file.upload_pause),
        files: args.files.or(file.files),
        no_deflate: args.no_deflate.or(file.no_deflate),
        compress: args.compress.or(file.compress),
        comet: args.comet.or(file.comet),
        playground: args.playground.or(file.playground),
        idle_timeout: args.idle_timeout.or(file.idle_timeout),
        drain: args.drain.or(file.drain),
        log: args.log.or(file.log),
        log_format: args.log_format.or(file.log_format),
        config: args.config,
    }
}

/// Returns the environment variables that look like options but are not: misspelled options, and
/// variables that a container platform sets for a service of this name.
pub(super) fn unknown_variables() -> Vec<String> {
    let options = ServeArgs::augment_args(Command::new("serve"));
    let known: Vec<&OsStr> = options.get_arguments().filter_map(Arg::get_env).collect();
    let names = std::env::vars_os().map(|(name, _)| name).filter(|name| !known.contains(&name.as_os_str()));
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("TIDEWIRE_"));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::units::Span;
    use std::time::Duration;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file: ServeArgs =
            toml::from_str("listen = ['127.0.0.1:1']\nretain-messages = 7\nheartbeat = 3").unwrap();
        let args = ServeArgs { heartbeat: "9".parse().ok(), ..ServeArgs::default() };
        let merged = merge(args, file);
        assert_eq!(merged.listen, ["127.0.0.1:1"]);
        assert_eq!(merged.retain_messages, Some(7));
        assert_eq!(merged.heartbeat, Some(Span(Duration::from_secs(9))));
    }

    #[test]
    fn an_unknown_option_is_an_error_that_names_it() {
        let error = toml::from_str::<ServeArgs>("retain-mesages = 7").unwrap_err();
        assert!(error.to_string().contains("retain-mesages"), "{error}");
    }
}
