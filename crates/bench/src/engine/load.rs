//! The load: a process of its own, pinned to a core of its own, that measures one server with one workload and prints one line of JSON.

mod churn;
mod fanout;
mod fleet;
mod get;
mod idle;
mod scan;

use super::process::{Usage, usage};
use super::wire::{Feed, Server};
use crate::run::Result;
use serde_json::Value;
use std::time::Duration;

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Args {
    workload: Workload,
    #[arg(long)]
    server: Server,
    #[arg(long)]
    port: u16,
    /// The process whose CPU time and memory are read.
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value = "sse")]
    feed: Feed,
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Channels that have a subscriber each and no messages.
    #[arg(long, default_value_t = 0)]
    quiet_channels: usize,
    /// Publishes under way at one time.
    #[arg(long, default_value_t = 1)]
    window: u64,
    /// Messages a second, instead of as many as get through.
    #[arg(long)]
    rate: Option<f64>,
    /// Requests under way on one connection.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Workload {
    Fanout,
    Idle,
    Get,
    Churn,
}

pub(crate) fn run(args: &Args) -> Result {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let measured = match args.workload {
        Workload::Fanout => fanout::run(args),
        Workload::Idle => idle::run(args),
        Workload::Get => get::run(args),
        Workload::Churn => churn::run(args),
    };
    let value: Value = measured.map_err(|error| format!("{}: {error}", args.server.name()))?;
    println!("{value}");
    Ok(())
}

impl Args {
    /// A channel that no other run uses.
    fn channel(&self) -> String {
        format!("b{}", std::process::id())
    }

    fn usage(&self) -> std::io::Result<Usage> {
        usage(self.pid)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// A message of 100 bytes: its number, when it was sent, and padding.
fn message(number: u64, sent: Duration) -> String {
    format!("#{number:010}T{:016}#{:x<71}", sent.as_nanos(), "")
}

/// The length of `message`.
const MESSAGE: usize = 100;

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(0.0, |&value| f64::from(value))
}
