//! Power cuts at random, under load. The disk loses, tears and reorders what was not synced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_lossydisk::{Loss, LossyDisk};
use tokio::task::block_in_place;

use crate::common::retries::start_of;
use crate::common::{Client, Post, Seed, soon};
use crate::data_server::DataServer;
use crate::law::{Ack, CHANNELS, KEEPS_ALL, Load, Sent, Truth, publish_all, sent_by};
use crate::short_or_long;

/// What is known of a power cut.
struct Cut {
    /// The number of syncs before it.
    syncs: u64,
    at: Instant,
}

/// What is known of a run with power cuts.
struct Run {
    cuts: Vec<Cut>,
    sent: BTreeMap<String, Vec<Sent>>,
    truths: BTreeMap<&'static str, Truth>,
    readers: Vec<(&'static str, Client)>,
    /// The longest time that a thread of this machine had to wait for the processor.
    stall: Duration,
}

/// Runs a server under load, and cuts the power of its disk again and again.
async fn run(sync: &str, cuts: usize, seed: &Seed) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(LossyDisk::mount(folder.path().join("disk")).unwrap());
    let mut args = KEEPS_ALL.to_vec();
    args.extend(["--sync", sync]);
    let mut server = block_in_place(|| DataServer::start(&disk.path().join("data"), &args));
    let counted = disk.clone();
    let load = Load::on(&server.address, move || counted.counters().syncs);
    let mut readers = Vec::new();
    for channel in CHANNELS.into_iter().cycle().take(6) {
        let start = soon("the start", start_of(&server.address, channel)).await;
        let (client, rng) = (Client::across_crashes(&start), seed.rng(readers.len() as u64));
        readers.push((channel, tokio::spawn(load.clone().follow(channel, client, rng))));
    }
    block_in_place(|| {
        // The first message of each channel is safe: a channel of which nothing is left is another
        // one, and its readers are told so.
        for channel in CHANNELS {
            Post::new("first").to(&server.address, channel);
        }
        server.stop();
        load.next_life();
        server.again(&[]);
    });
    let publishers = publish_all(&load);
    let watch = Stalls::start();

    let mut rng = seed.rng(1_000);
    let mut all = vec![Cut { syncs: 0, at: Instant::now() }];
    for _ in 0..cuts {
        block_in_place(|| {
            load.wait_for(1 + rng.below(150));
            // A power cut ends the server too: it sees nothing of a disk without power.
            server.freeze();
            all.push(Cut { syncs: disk.counters().syncs, at: Instant::now() });
            disk.cut(Loss::Seed(rng.below(usize::MAX) as u64));
            server.kill();
            load.next_life();
            disk.restart().unwrap();
            server.again(&[]);
        });
    }
    block_in_place(|| load.wait_for(50));
    load.stop();
    let stall = watch.stop();
    let sent = sent_by(publishers).await;
    let mut run = Run { cuts: all, sent, truths: BTreeMap::new(), readers: Vec::new(), stall };
    for channel in CHANNELS {
        run.truths.insert(channel, load.close(channel).await);
    }
    for (channel, reader) in readers {
        run.readers.push((channel, soon("the end of a reader", reader).await.unwrap()));
    }
    block_in_place(|| server.stop());
    run
}

impl Run {
    /// The cut that ended the life in which a message was acknowledged, if that is clear.
    fn cut_after(&self, ack: &Ack) -> Option<&Cut> {
        self.cuts.get(ack.life?)
    }

    fn check_publishers(&self, may_lose: impl Fn(&Ack) -> bool) {
        for channel in CHANNELS {
            self.truths[channel].check_publishers(&self.sent[channel], &may_lose);
        }
    }
}

/// Measures how long a thread has to wait for the processor.
struct Stalls {
    thread: std::thread::JoinHandle<Duration>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Stalls {
    fn start() -> Self {
        const STEP: Duration = Duration::from_millis(5);
        let stop = Arc::<std::sync::atomic::AtomicBool>::default();
        let stops = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stops.load(std::sync::atomic::Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(STEP);
                longest = longest.max(start.elapsed().saturating_sub(STEP));
            }
            longest
        });
        Stalls { thread, stop }
    }

    fn stop(self) -> Duration {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// With `always`, a power cut is as a kill: nothing is lost, and nobody is told anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_acknowledged_with_always() {
    let seed = Seed::draw();
    let run = run("always", short_or_long(6, 60), &seed).await;
    run.check_publishers(|_| false);
    for (channel, client) in &run.readers {
        run.truths[channel].check_undisturbed(client);
    }
}

/// With `interval`, a message is safe when a sync has begun and ended after it was acknowledged.
/// The syncs are counted by the disk, so that a busy machine changes nothing. A checkpoint has two
/// further syncs, which need not be of the file with the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_only_the_last_100_ms_with_interval_and_it_is_told() {
    const ENOUGH_SYNCS: u64 = 4;
    let seed = Seed::draw();
    let run = run("interval", short_or_long(6, 60), &seed).await;
    run.check_publishers(|ack| run.cut_after(ack).is_none_or(|cut| cut.syncs < ack.syncs + ENOUGH_SYNCS));
    for (channel, client) in &run.readers {
        run.truths[channel].check_reader(client);
    }
    if short_or_long(0, 1) == 1 {
        let bound = Duration::from_millis(100) + 2 * run.stall;
        run.check_publishers(|ack| {
            run.cut_after(ack).is_none_or(|cut| cut.at.saturating_duration_since(ack.at) < bound)
        });
    }
}

/// With `never`, the file is never damaged, and what is lost is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_damages_nothing_with_never() {
    let seed = Seed::draw();
    let run = run("never", short_or_long(6, 60), &seed).await;
    run.check_publishers(|_| true);
    for (channel, client) in &run.readers {
        run.truths[channel].check_reader(client);
    }
}
