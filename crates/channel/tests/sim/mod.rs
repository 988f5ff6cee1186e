//! The parts of the simulation, from the inside out: what is true (`history`), what is said (`told`), who says it (`conn`,
//! `server`), who hears it (`reader`), and what comes between (`world`). A WebSocket's commands
//! go through all of them and have a file of their own (`changes`).

mod calm;
mod changes;
mod checks;
mod conn;
mod fault;
mod history;
mod publisher;
mod reader;
mod rng;
mod seen;
mod server;
mod told;
mod world;

pub(crate) use fault::Fault;
pub(crate) use reader::FEEDS;
pub(crate) use seen::Seen;
pub(crate) use world::live;
