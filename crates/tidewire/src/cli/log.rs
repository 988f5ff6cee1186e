//! Logs, panics and the error at the end of a command. All of them go through one [`LogWriter`], so
//! that the program continues even if standard error is full, closed or stalled.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::log_writer::LogWriter;
use super::options::LogFormat;
use super::sanitizer::Sanitizer;

/// Writes to standard error. `None` if the system refused a thread for it.
static WRITER: OnceLock<Option<Arc<LogWriter>>> = OnceLock::new();

/// How long the process waits at its end for a standard error that is stalled.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts logging. A server calls this once, before anything that is logged.
///
/// # Errors
/// The filter is not valid, or a mistake in it would switch all logs off.
pub(super) fn start(text: &str, format: Option<LogFormat>) -> Result<(), String> {
    let filter = filter(text)?;
    let is_terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    std::panic::set_hook(Box::new(move |panic| log_panic(panic, format)));
    let Some(writer) = writer(format) else { return Ok(()) };
    // The subscriber reports a failed write with a macro that panics.
    let builder =
        tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => builder.with_ansi(is_terminal).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Prints why a command failed. The text may quote a server.
pub(super) fn print_error(text: &str) {
    if let Some(writer) = writer(LogFormat::Text) {
        let text = format!("error: {text}\n");
        writer.push(&Sanitizer::of(&io::stderr()).lines(text.as_bytes()));
    }
}

/// Waits, when dropped, for the lines that are not written yet. The process drops it at its end,
/// also after a panic.
pub(super) struct FlushAtExit;

impl Drop for FlushAtExit {
    fn drop(&mut self) {
        if let Some(Some(writer)) = WRITER.get() {
            writer.flush(FLUSH_TIMEOUT);
        }
    }
}

fn writer(format: LogFormat) -> Option<Arc<LogWriter>> {
    let start = || {
        let notice = move |lost: u64| {
            let message = "log lines were dropped because standard error did not accept them";
            line(format, "WARN", "tidewire::log", message, &[("dropped", lost.into())])
        };
        LogWriter::start(io::stderr(), Box::new(notice)).ok().map(Arc::new)
    };
    WRITER.get_or_init(start).clone()
}

/// Logs a panic as one line. It bypasses the subscriber, because the panic may have happened there.
fn log_panic(panic: &PanicHookInfo<'_>, format: LogFormat) {
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied();
    let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!("panicked: {}", what.unwrap_or("the reason is not text"));
    let thread = std::thread::current();
    let mut fields = vec![("thread", thread.name().unwrap_or("unnamed").into())];
    if let Some(location) = panic.location() {
        fields.push(("at", location.to_string().into()));
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        fields.push(("backtrace", backtrace.to_string().into()));
    }
    if let Some(writer) = writer(format) {
        writer.push(&line(format, "ERROR", "tidewire::panic", &message, &fields));
    }
}

/// Returns a line in the format of the subscriber.
fn line(
    format: LogFormat,
    level: &str,
    target: &str,
    message: &str,
    fields: &[(&str, serde_json::Value)],
) -> Vec<u8> {
    let mut time = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut line = match format {
        LogFormat::Text => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{time} {level:>5} {target}: {message}{fields}")
        }
        LogFormat::Json => {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            let fields: serde_json::Map<_, _> =
                [("message".to_owned(), message.into())].into_iter().chain(fields).collect();
            serde_json::json!({"timestamp": time, "level": level, "fields": fields, "target": target})
                .to_string()
        }
    };
    line.push('\n');
    line.into_bytes()
}

/// The parts of this program that log. A filter applies to every target that begins with its name,
/// so the first one includes all others.
const TARGETS: [&str; 5] =
    ["tidewire", "tidewire_server", "tidewire_hub", "tidewire_disk", "tidewire_client"];

/// Parses the filter of `--log`. It refuses unknown names: the subscriber would take a misspelled
/// level for the name of a part, and all logs would be off. Parts without a level of their own log
/// at `info`.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let mut has_level = false;
    // The subscriber takes a level with a space beside it for the name of a part.
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    for &directive in &directives {
        let (target, level) = directive.split_once('=').unwrap_or((directive, "trace"));
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(wrong(text, &format!("{level:?} is not a level")));
        }
        if directive == target && !target.is_empty() && target.parse::<LevelFilter>().is_ok() {
            has_level = true;
        } else if !TARGETS.iter().any(|known| target == *known || is_within(target, known)) {
            let what = format!("{target:?} is neither a level nor a part of this program");
            return Err(wrong(text, &what));
        }
    }
    let directives = directives.join(",");
    let all = if has_level { directives } else { format!("info,{directives}") };
    EnvFilter::try_new(all).map_err(|error| wrong(text, &error.to_string()))
}

fn is_within(target: &str, known: &str) -> bool {
    target.strip_prefix(known).is_some_and(|rest| rest.starts_with("::"))
}

fn wrong(text: &str, what: &str) -> String {
    format!(
        "--log {text}: {what}; write a level (off, error, warn, info, debug or trace), \
         or levels for parts (info,tidewire_server=debug)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_with_an_unknown_name_is_refused() {
        for text in [
            "info",
            "OFF",
            "debug,tidewire_server=trace",
            "tidewire::files=debug, warn",
            "tidewire=trace",
            "tidewire",
            "tidewire_hub=debug",
            "info,tidewire_hub::table=trace",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in [
            "inof",
            "",
            "info,",
            "tidewrie=debug",
            "tidewire=inof",
            "tidewire=",
            "info=debug",
            "hyper=warn",
            "tidewire_hubs=debug",
            "a=b=c",
        ] {
            let error = filter(text).unwrap_err();
            assert!(error.contains("write a level"), "{text}: {error}");
        }
    }

    #[test]
    fn spaces_in_a_filter_are_ignored() {
        for (text, same) in [
            (" info ", "info"),
            ("tidewire::files=debug, warn", "tidewire::files=debug,warn"),
            ("debug ,tidewire_server=trace", "debug,tidewire_server=trace"),
        ] {
            assert_eq!(filter(text).unwrap().to_string(), filter(same).unwrap().to_string(), "{text}");
        }
    }

    #[test]
    fn the_default_level_is_info() {
        assert_eq!(filter("tidewire=debug").unwrap().max_level_hint(), Some(LevelFilter::DEBUG));
        assert!(filter("tidewire=debug").unwrap().to_string().contains("info"));
        assert!(!filter("tidewire=debug,warn").unwrap().to_string().contains("info"));
    }

    #[test]
    fn a_filter_for_the_program_applies_to_all_its_parts() {
        let is_on = |text: &str| {
            let subscriber = tracing_subscriber::fmt().with_env_filter(filter(text).unwrap()).finish();
            tracing::subscriber::with_default(subscriber, || {
                let hub = tracing::enabled!(target: "tidewire_hub::table::clock", tracing::Level::DEBUG);
                let files = tracing::enabled!(target: "tidewire::files", tracing::Level::DEBUG);
                (hub, files)
            })
        };
        assert_eq!(is_on("tidewire=debug"), (true, true));
        assert_eq!(is_on("tidewire_hub=debug"), (true, false));
        assert_eq!(is_on("tidewire::files=debug"), (false, true));
        assert_eq!(is_on("info"), (false, false));
    }

    #[test]
    fn lines_have_the_format_of_the_subscriber() {
        let text = line(LogFormat::Text, "WARN", "tidewire::log", "lost", &[("dropped", 3.into())]);
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with("Z  WARN tidewire::log: lost dropped=3\n"), "{text}");
        let json =
            line(LogFormat::Json, "ERROR", "tidewire::panic", "a \"b\"\nc", &[("at", "x.rs:1".into())]);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["fields"]["message"], "a \"b\"\nc");
        assert_eq!((&json["level"], &json["fields"]["at"]), (&"ERROR".into(), &"x.rs:1".into()));
    }
}
