//! The engine, as seen from raw sockets: bytes in, bytes out, and the clock.
//!
//! | file | what |
//! |---|---|
//! | `site.rs` | the server under test, and a handler with a resource for each thing an answer can be |
//! | `framing.rs` | what must be refused, each with a second request behind it that must never be answered |
//! | `threats.rs` | what other servers fell for, each by its name, and every refusal of the wire documents |
//! | `cycle.rs` | requests that are served: pipelining, bodies, `Expect`, keep-alive, HEAD |
//! | `parts.rs` | bodies of several parts, long and short |
//! | `time.rs` | deadlines, slow and absent peers, limits on connections |
//! | `stopped.rs` | a process that did not run for a while |
//! | `turns.rs` | one client does not keep a worker from the others |
//! | `detached.rs` | upgrades, connections that leave the cycle and come back |
//! | `service.rs` | an axum `Router` as the handler |
//! | `stop.rs` | the end in good order |
//! | `failure.rs` | an essential part of the server fails |
#![allow(clippy::unwrap_used)]

mod cycle;
mod detached;
mod failure;
mod framing;
mod parts;
mod service;
mod site;
mod stop;
#[cfg(target_os = "linux")]
mod stopped;
mod threats;
mod time;
mod turns;
