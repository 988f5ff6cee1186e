//! Waiting subscribers: the server's memory for each.

use super::args::Args;
use super::clients::Clients;
use serde_json::{Value, json};
use std::io::{Error, Result};
use std::time::Duration;

pub(super) fn run(args: &Args) -> Result<Value> {
    let before = args.usage()?.resident;
    let mut clients = Clients::new(args)?;
    clients.open(args.subscribers, 0)?;
    clients.rest(SETTLE)?;
    let open = args.usage()?.resident;
    for number in 1..=MESSAGES {
        clients.publish()?;
        if !clients.wait(number * args.subscribers as u64)? {
            return Err(Error::other("a message did not reach all subscribers"));
        }
    }
    clients.rest(SETTLE)?;
    let touched = args.usage()?.resident;
    drop(clients);
    std::thread::sleep(LEAVE);
    let left = args.usage()?.resident;
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / args.subscribers as f64;
    Ok(json!({ "before": before, "left": left, "open": each(open), "touched": each(touched) }))
}

/// The messages that all subscribers get between the two measurements.
const MESSAGES: u64 = 3;

/// How long a server may take to notice that all have left, and to clean up. Some do that once a
/// second.
const LEAVE: Duration = Duration::from_millis(2500);

/// How long to wait until a server is idle.
const SETTLE: Duration = Duration::from_millis(700);
