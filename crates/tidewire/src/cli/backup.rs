//! `tidewire backup`.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tidewire::disk::{Progress, backup};

use super::config;
use super::options::ServeArgs;

#[derive(Clone, Debug, Args)]
#[command(after_help = "A server starts from the copy with --data DIR. It tells readers who had seen later \
    messages that these are lost.\n\n\
    Exit status:\n  \
    0  the copy is complete\n  \
    1  there is no copy, and the reason is on standard error\n  \
    2  wrong usage")]
pub(crate) struct BackupArgs {
    /// Directory for the copy. It is created, or is empty
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Data directory of the server, as the server has it
    #[arg(long, value_name = "DIR", env = "TIDEWIRE_DATA")]
    data: Option<PathBuf>,
    /// Configuration file of the server. Its key `data` is used if --data is not set
    #[arg(long, value_name = "FILE", env = "TIDEWIRE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: BackupArgs) -> Result<ExitCode, Box<dyn Error>> {
    let server = ServeArgs { data: args.data, config: args.config, ..ServeArgs::default() };
    let data = config::with_file(server)?.data.ok_or(
        "say what to copy: name the data directory of the server with --data DIR, with TIDEWIRE_DATA or with \
         --config FILE",
    )?;
    let mut line = ProgressLine::new();
    let outcome = backup(&data, &args.target, &mut |progress| line.show(progress));
    line.clear();
    let copy = outcome?;
    let count = |n: u64, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let channels = count(copy.logs as u64, "channel");
    let (messages, size) = (count(copy.messages, "message"), bytes(copy.bytes));
    let (seconds, target) = (copy.took.as_secs_f64(), args.target.display());
    writeln!(io::stdout(), "copied {channels} with {messages} ({size}) in {seconds:.1} s to {target}")?;
    Ok(ExitCode::SUCCESS)
}

/// A line on a terminal that shows how far the copy is.
struct ProgressLine {
    is_terminal: bool,
    shown: Option<Instant>,
}

impl ProgressLine {
    /// The time between two changes of the line.
    const INTERVAL: Duration = Duration::from_millis(100);

    fn new() -> Self {
        ProgressLine { is_terminal: io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, progress: Progress) {
        let is_soon = self.shown.is_some_and(|shown| shown.elapsed() < Self::INTERVAL);
        if !self.is_terminal || is_soon {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = (progress.done.saturating_mul(100)).checked_div(progress.total).unwrap_or(100);
        let (done, total) = (bytes(progress.done), bytes(progress.total));
        // A terminal that is gone must not end the copy.
        let _ = write!(io::stderr(), "\r\x1b[Kcopying: {percent} %, {done} of {total}");
    }

    /// Removes the line.
    fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A number of bytes as people read it.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, "bytes");
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "bytes" { format!("{count} bytes") } else { format!("{value:.1} {unit}") }
}
