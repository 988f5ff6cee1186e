//! The engine as a client with a raw socket sees it: bytes in, bytes out, and time.
//!
//! | file | what |
//! |---|---|
//! | `site.rs` | the server under test, and a handler with a resource for each kind of answer |
//! | `framing.rs` | requests that must be refused, each followed by a second request that must never be answered |
//! | `threats.rs` | attacks that worked on other servers, and every refusal of the wire documents |
//! | `cycle.rs` | requests that are served: pipelining, bodies, `Expect`, keep-alive, HEAD |
//! | `pipelined.rs` | several answers of one connection under way at one time |
//! | `parts.rs` | bodies of several parts, long and short |
//! | `time.rs` | deadlines, slow and absent peers, limits on connections |
//! | `stopped.rs` | a process that did not run for a while |
//! | `turns.rs` | one client does not block the other clients of its worker |
//! | `detached.rs` | upgrades, and connections that leave the request cycle and come back |
//! | `service.rs` | an axum `Router` as the handler |
//! | `lengths.rs` | the `Content-Length` of a service: static files, and lengths that are wrong |
//! | `inside.rs` | what a service can do with tokio, and servers that are started and awaited in a runtime |
//! | `listeners.rs` | listeners that the caller has bound |
//! | `given.rs` | connections that the caller has opened, over any stream |
//! | `stop.rs` | the server stops and drains |
//! | `failure.rs` | an essential part of the server fails |
#![allow(clippy::unwrap_used)]

mod cycle;
mod detached;
mod failure;
mod framing;
mod given;
mod inside;
mod lengths;
mod listeners;
mod parts;
mod pipelined;
mod service;
mod site;
mod stop;
#[cfg(target_os = "linux")]
mod stopped;
mod threats;
mod time;
mod turns;
