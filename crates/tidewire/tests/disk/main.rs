//! The server with `--data`, as its users know it: the real program, real signals, real disks, and
//! a disk that loses what was not synced.
//!
//! | file | what |
//! |---|---|
//! | `data_server.rs` | a server that starts again at its address |
//! | `law.rs` | publishers and readers under load, and what must be true of them at the end |
//! | `survives.rs` | what is there after a stop and a start |
//! | `restarts.rs` | many readers on all feeds across a planned restart |
//! | `kills.rs` | `kill -9` under load |
//! | `power.rs` | power cuts under load, with each `--sync` |
//! | `failing.rs` | a disk that is full, and one whose syncs fail |
//! | `damage.rs` | a flipped bit, a damaged file, and files that a server must not open |
//! | `backup.rs` | a copy of a server that runs |
//!
//! The tests of `kills.rs`, `power.rs` and `restarts.rs` are short. With `TIDEWIRE_LONG=1` they
//! kill, cut and read as much as a release needs.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod backup;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod data_server;
#[cfg(target_os = "linux")]
mod failing;
mod kills;
mod law;
#[cfg(target_os = "linux")]
mod power;
mod restarts;
mod survives;

/// Returns the first number in the check, and the second one in a long run.
fn short_or_long(short: usize, long: usize) -> usize {
    if std::env::var_os("TIDEWIRE_LONG").is_some() { long } else { short }
}
