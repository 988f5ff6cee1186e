//! Options that make no sense: nothing would work, or something else than what is written.

use super::options::ServeArgs;
use super::units::Span;
use std::time::Duration;

/// More than the cores of any machine; and each worker costs memory, a thread and descriptors.
const MAX_THREADS: usize = 1024;

/// Refuses values that are out of bounds, and options that contradict each other. A default is
/// never a reason to refuse an option.
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
    ];
    if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
        return Err(format!("{name} is at least 1; leave it out for the default"));
    }
    if args.threads.is_some_and(|threads| threads > MAX_THREADS) {
        return Err(format!("--threads is at most {MAX_THREADS}; leave it out for one on each core"));
    }
    if let (Some(message), Some(kept)) = (args.max_message, args.retain_bytes)
        && message.0 > kept.0
    {
        return Err(format!(
            "--max-message {} is more than --retain-bytes {}, so one message would push out all others; raise --retain-bytes, or leave it out",
            message.0, kept.0
        ));
    }
    at_least_a_second("--heartbeat", args.heartbeat, "without heartbeats a proxy cuts a silent stream")?;
    at_least_a_second("--upload-pause", args.upload_pause, "every upload pauses")?;
    at_least_a_second("--idle-timeout", args.idle_timeout, "clients are told it in whole seconds")?;
    if args.heartbeat.is_some_and(|Span(time)| time.subsec_nanos() != 0) {
        return Err("--heartbeat is in whole seconds: streams are looked at once a second".to_owned());
    }
    Ok(())
}

fn at_least_a_second(name: &str, time: Option<Span>, why: &str) -> Result<(), String> {
    match time {
        Some(Span(time)) if time < Duration::from_secs(1) => {
            Err(format!("{name} is at least 1 second: {why}"))
        }
        _ => Ok(()),
    }
}
