//! `cargo xtask transports`: measures every technique with the same messages, against the release
//! binary on loopback. Writes the tables of `docs/transports.md`. The prose around them is written
//! by hand.
//!
//! ```text
//!   publisher ── POST ──► server ──┬── short polls ──► readers, a few of each technique, all at once.
//!     ~000007~ + filler            ├── long polls      Each counts the bytes of its socket,
//!                                  └── streams         and finds messages by their marks.
//! ```
//!
//! The readers use sockets and threads of the standard library, because a client library would hide
//! what is on the wire.

mod idle;
mod reader;
mod report;
mod response;
mod server;
mod technique;
mod traffic;

use std::time::Instant;
use technique::TECHNIQUES;
use tidewire_testkit::run::{Result, cargo, run as start};

pub(crate) fn run() -> Result {
    if !cfg!(target_os = "linux") {
        return Err("memory is read from /proc; run this on Linux".into());
    }
    start(&mut cargo(&["build", "--quiet", "--release", "--package", "tidewire"]))?;
    rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("the limit of descriptors: {error}"))?;
    let begun = Instant::now();
    println!("    {} messages to {} readers of each technique", traffic::MESSAGES, traffic::READERS);
    let traffic = traffic::measure().map_err(|error| format!("measuring traffic: {error}"))?;
    let mut idle = Vec::new();
    for technique in &TECHNIQUES {
        println!("    {} idle connections: {}", idle::CONNECTIONS, technique.name);
        let bytes = idle::cost(technique).map_err(|error| format!("{}: {error}", technique.name))?;
        idle.push(bytes);
    }
    let rows: Vec<_> = TECHNIQUES.iter().zip(traffic).zip(idle).collect();
    let path = report::write(&rows)?;
    println!("    {} written after {:.0} s", path.display(), begun.elapsed().as_secs_f32());
    Ok(())
}
