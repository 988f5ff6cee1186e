//! The parts of the simulation: all published messages (`history`), the items of a feed (`item`),
//! the server that writes them (`server`, `connection`), its store (`store`, `publishing`, and
//! `life` for what happens to logs), the readers (`reader`, `feed` for one connection, and
//! `merger` for several at a time), and the network between them (`world`, `links`). The commands
//! of a WebSocket involve all of these and are in `commands`.

mod checks;
mod commands;
mod connection;
mod counts;
mod fault;
mod feed;
mod finish;
mod history;
mod item;
mod life;
mod links;
mod merger;
mod publisher;
mod publishing;
mod reader;
mod rng;
mod server;
mod store;
mod world;

pub(crate) use counts::Counts;
pub(crate) use fault::Fault;
pub(crate) use reader::FEEDS;
pub(crate) use world::simulate;
