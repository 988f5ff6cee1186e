//! Checks of the options: values out of bounds, and options that contradict each other.

use super::options::ServeArgs;
use super::units::Span;
use std::time::Duration;

/// More than the cores of any machine. Each worker costs memory, a thread and descriptors.
const MAX_THREADS: usize = 1024;

/// Refuses values that are out of bounds, and options that contradict each other. It compares only
/// options that were set, never an option with a default.
///
/// # Errors
/// A sentence that says what to do.
pub(super) fn check(args: &ServeArgs) -> Result<(), String> {
    let zero = [
        ("--threads", args.threads == Some(0)),
        ("--max-message", args.max_message.is_some_and(|size| size.0 == 0)),
        ("--max-channels", args.max_channels == Some(0)),
        ("--max-connections", args.max_connections == Some(0)),
        ("--retain-messages", args.retain_messages == Some(0)),
        ("--retain-bytes", args.retain_bytes.is_some_and(|size| size.0 == 0)),
        ("--window-messages", args.window_messages == Some(0)),
        ("--window-bytes", args.window_bytes.is_some_and(|size| size.0 == 0)),
        ("--retain-all-bytes", args.retain_all_bytes.is_some_and(|size| size.0 == 0)),
    ];
    if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
        return Err(format!("{name} must be at least 1; leave the option out to use the default"));
    }
    if args.threads.is_some_and(|threads| threads > MAX_THREADS) {
        return Err(format!(
            "--threads must be at most {MAX_THREADS}; leave the option out to use one for each core"
        ));
    }
    if args.sync.is_some() && args.data.is_none() {
        return Err(
            "--sync says when messages reach the disk, but without --data nothing does; name a directory \
                    with --data, or leave --sync out"
                .to_owned(),
        );
    }
    if let (Some(message), Some(kept)) = (args.max_message, args.retain_bytes)
        && message.0 > kept.0
    {
        return Err(format!(
            "--max-message {} is larger than --retain-bytes {}, so one message could remove all others \
             from a channel; raise --retain-bytes, or leave it out",
            message.0, kept.0
        ));
    }
    if let (Some(message), Some(room)) = (args.max_message, args.retain_all_bytes)
        && message.0 > room.0
    {
        return Err(format!(
            "--max-message {} is larger than --retain-all-bytes {}, so a channel that keeps all messages \
             could refuse its first one; raise --retain-all-bytes, or leave it out",
            message.0, room.0
        ));
    }
    // An age of 0 means no limit.
    let age = |span: Option<Span>| span.map(|span| if span.ms() == 0 { u64::MAX } else { span.ms() });
    let windows = [
        ("messages", args.window_messages.map(|n| n as u64), args.retain_messages.map(|n| n as u64)),
        ("bytes", args.window_bytes.map(|size| size.0), args.retain_bytes.map(|size| size.0)),
        ("age", age(args.window_age), age(args.retain_age)),
    ];
    if let Some((what, ..)) =
        windows.iter().find(|(_, window, kept)| window.is_some() && kept.is_some() && window > kept)
    {
        return Err(format!(
            "--window-{what} is larger than --retain-{what}, but a channel has in memory only what it keeps; \
             raise --retain-{what}, or leave --window-{what} out"
        ));
    }
    at_least_a_second("--heartbeat", args.heartbeat, "proxies close streams that are silent for too long")?;
    at_least_a_second("--upload-pause", args.upload_pause, "every upload has short pauses")?;
    at_least_a_second("--idle-timeout", args.idle_timeout, "the server announces it in whole seconds")?;
    if args.heartbeat.is_some_and(|Span(time)| time.subsec_nanos() != 0) {
        return Err(
            "--heartbeat must be in whole seconds: the server checks its streams once a second".to_owned()
        );
    }
    Ok(())
}

fn at_least_a_second(name: &str, time: Option<Span>, why: &str) -> Result<(), String> {
    match time {
        Some(Span(time)) if time < Duration::from_secs(1) => {
            Err(format!("{name} must be at least 1 second: {why}"))
        }
        _ => Ok(()),
    }
}
