//! One publisher, many subscribers: the CPU time of each delivery, the latency, and whether every
//! message arrived once and in order.

use super::args::Args;
use super::clients::{Clients, Pace};
use super::message::percentile;
use serde_json::{Value, json};
use std::io::Result;
use std::time::{Duration, Instant};

pub(super) fn run(args: &Args) -> Result<Value> {
    let loud = args.subscribers as u64;
    let mut clients = Clients::new(args)?;
    clients.open(args.subscribers, args.quiet_channels)?;
    clients.rest(SETTLE)?;
    clients.tally.latency = args.rate.map(|_| Vec::new());
    let (before, start) = (args.usage()?, Instant::now());
    let window = Pace::Window { loud, messages: args.window };
    clients.pace = Some(args.rate.map_or(window, |rate| Pace::Rate { start, rate }));
    while start.elapsed() < args.duration() {
        clients.publish_due()?;
        clients.turn(Duration::from_millis(1))?;
    }
    clients.pace = None;
    let all = clients.wait(clients.sent * loud)?;
    let (used, time) = (args.usage()?.micros - before.micros, start.elapsed());
    let lost = clients.tally.lost + clients.missing(args.subscribers);
    let delivered = clients.tally.delivered;
    let mut latency = clients.tally.latency.take().unwrap_or_default();
    latency.sort_unstable();
    Ok(json!({
        "cost": used as f64 / delivered.max(1) as f64,
        "rate": delivered as f64 / time.as_secs_f64(),
        "delivered": delivered, "all": all, "lost": lost, "disorder": clients.tally.disorder,
        "p50": percentile(&latency, 0.5), "p99": percentile(&latency, 0.99),
    }))
}

/// How long to wait until the server has finished its work on the subscriptions.
const SETTLE: Duration = Duration::from_millis(250);
