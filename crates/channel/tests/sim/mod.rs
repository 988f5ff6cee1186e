//! The parts of the simulation: what is true (`history`), what a feed consists of (`item`), who
//! writes it (`server`, `connection`), who reads it (`reader`, and `merger` for several feeds at a
//! time), and the network between them (`world`). A WebSocket's commands go through all of these
//! and have a file of their own (`commands`).

mod checks;
mod commands;
mod connection;
mod counts;
mod fault;
mod finish;
mod history;
mod item;
mod merger;
mod publisher;
mod reader;
mod rng;
mod server;
mod world;

pub(crate) use counts::Counts;
pub(crate) use fault::Fault;
pub(crate) use reader::FEEDS;
pub(crate) use world::simulate;
