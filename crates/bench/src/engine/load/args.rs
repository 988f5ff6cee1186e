//! The arguments of the load.

use crate::engine::wire::{Feed, Server};
use crate::process::{Usage, usage};
use std::time::Duration;

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Args {
    pub(super) workload: Workload,
    #[arg(long)]
    pub(super) server: Server,
    #[arg(long)]
    pub(super) port: u16,
    /// The process whose CPU time and memory are measured.
    #[arg(long)]
    pub(super) pid: u32,
    #[arg(long, default_value = "sse")]
    pub(super) feed: Feed,
    #[arg(long, default_value_t = 1000)]
    pub(super) subscribers: usize,
    /// The number of channels with one subscriber and no messages.
    #[arg(long, default_value_t = 0)]
    pub(super) quiet_channels: usize,
    /// The number of publishes in flight.
    #[arg(long, default_value_t = 1)]
    pub(super) window: u64,
    /// Messages per second, instead of as many as possible.
    #[arg(long)]
    pub(super) rate: Option<f64>,
    /// The number of requests in flight on one connection.
    #[arg(long, default_value_t = 1)]
    pub(super) depth: usize,
    #[arg(long, default_value_t = 1.0)]
    pub(super) seconds: f64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Workload {
    Fanout,
    Idle,
    Get,
    Churn,
}

impl Args {
    /// Returns a channel that no other run uses.
    pub(super) fn channel(&self) -> String {
        format!("b{}", std::process::id())
    }

    pub(super) fn usage(&self) -> std::io::Result<Usage> {
        usage(self.pid)
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
