//! `cargo xtask bench disk`: compares the server over the store on a disk with the server over the
//! store in memory.
//!
//! The servers and the load share all cores, as they do on a machine of their own. Runs are short
//! and interleaved, and each server has its retention full before the first one: so the store on
//! the disk deletes as much as it writes.

mod connection;
mod latency;
mod plan;
mod publish;
mod readers;
mod report;
mod server;
mod start;

use crate::results::Results;
use plan::{CHANNELS, PUBLISHERS};
pub(crate) use plan::{Part, Plan};
use publish::Publish;
use server::{Started, Store};
use std::io::Write as _;
use std::time::{Duration, Instant};
use tidewire_testkit::run::Result;

pub(crate) fn run(plan: &Plan) -> Result {
    server::prepare()?;
    let rounds = if plan.quick { 1 } else { plan.rounds };
    let wants = |part| plan.only.is_empty() || plan.only.contains(&part);
    let mut lab = Lab { results: Results::default(), quick: plan.quick, start: Instant::now() };
    if wants(Part::Publish) {
        lab.publish(rounds)?;
    }
    if wants(Part::Always) {
        lab.always(rounds)?;
    }
    if wants(Part::Latency) {
        lab.latency(rounds)?;
    }
    if wants(Part::Readers) {
        lab.readers()?;
    }
    if wants(Part::Start) {
        lab.starts()?;
    }
    report::write(&lab.results, rounds, plan.quick || !plan.only.is_empty())
}

struct Lab {
    results: Results,
    quick: bool,
    start: Instant,
}

impl Lab {
    /// Fifty publishers with sixteen requests in flight each.
    fn publish(&mut self, rounds: usize) -> Result {
        for channels in CHANNELS {
            let running = Store::ALL.map(Started::start);
            let running = running.into_iter().collect::<Result<Vec<_>>>()?;
            let load = Publish { publishers: 50, depth: 16, channels, time: self.time() };
            for server in &running {
                self.say(&format!("the retention of {channels} channels"), server.store);
                load.fill(server, 1_050)?;
            }
            for _ in 0..rounds {
                for server in &running {
                    self.say(&format!("publish to {channels} channels"), server.store);
                    self.results.add(&format!("publish {channels}"), server.store.name(), load.run(server)?);
                }
            }
        }
        Ok(())
    }

    /// Publishers that wait for each answer.
    fn always(&mut self, rounds: usize) -> Result {
        let running = [Store::Always, Store::Interval].map(Started::start);
        let running = running.into_iter().collect::<Result<Vec<_>>>()?;
        for _ in 0..rounds {
            for publishers in PUBLISHERS {
                for server in &running {
                    self.say(&format!("{publishers} publishers"), server.store);
                    let load = Publish { publishers, depth: 1, channels: 1, time: self.time() };
                    let cell = format!("publishers {publishers}");
                    self.results.add(&cell, server.store.name(), load.run(server)?);
                }
            }
        }
        Ok(())
    }

    fn latency(&mut self, rounds: usize) -> Result {
        let running = Store::ALL.map(Started::start);
        let running = running.into_iter().collect::<Result<Vec<_>>>()?;
        for _ in 0..rounds {
            for server in &running {
                self.say("latency", server.store);
                let figures = latency::run(server, self.time() * 2)?;
                self.results.add("latency", server.store.name(), figures);
            }
        }
        Ok(())
    }

    fn readers(&mut self) -> Result {
        let (readers, messages) = if self.quick { (100, 50_000) } else { (1_000, 1_000_000) };
        let mut server = Started::start(Store::Interval)?;
        self.say("a long log", server.store);
        readers::fill(&server, messages)?;
        // Now the window is empty: the readers get all from the disk.
        server.restart()?;
        self.say("readers from its start", server.store);
        let figures = readers::run(&server, readers, messages, self.time() * 10)?;
        self.results.add("readers", server.store.name(), figures);
        Ok(())
    }

    fn starts(&mut self) -> Result {
        let (channels, messages) = if self.quick { (1_000, 100_000) } else { (100_000, 10_000_000) };
        self.say("a large database", Store::Interval);
        let folder = start::fill(channels, messages)?;
        for _ in 0..3 {
            self.say("the start", Store::Interval);
            self.results.add("start", Store::Interval.name(), start::run(&folder, channels)?);
        }
        Ok(())
    }

    fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 2_000 })
    }

    fn say(&self, what: &str, store: Store) {
        print!("\r{:4} s  {what}  {}\x1b[K", self.start.elapsed().as_secs(), store.name());
        let _ = std::io::stdout().flush();
    }
}
