//! Ten thousand short simulations of a server, its readers and its publishers, each from a seed.
//! All must obey one law:
//!
//! > A reader gets a contiguous run of the log. Where messages are missing between two runs, the
//! > reader is told.
//!
//! The server has a store that carries out appends later, fails, and loses answers. Logs lose their
//! newest messages, are closed and are deleted. The log is that of this crate. The protocol crates
//! make the bytes: `tidewire-http1` with `tidewire-chunked` the requests and answers,
//! `tidewire-sse` the events, `tidewire-ws` the frames. `sim/world.rs` lists what can happen.
//!
//! ```text
//! # one seed again, with its trace
//! TIDEWIRE_SEED=4711 cargo test -p tidewire-channel --test simulation
//! # more seeds
//! TIDEWIRE_SEEDS=1000000 cargo test --release -p tidewire-channel --test simulation
//! ```

#![allow(clippy::print_stdout)] // the trace of a seed that fails

mod sim;

use sim::{Counts, FEEDS, Fault, simulate};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The number of simulations in an ordinary test run.
const SEEDS: u64 = 10_000;

#[test]
fn the_law_holds() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("TIDEWIRE_SEED") {
        return replay(seed);
    }
    let seeds = number("TIDEWIRE_SEEDS").unwrap_or(SEEDS);
    let counts = all(seeds, None).unwrap_or_else(|(seed, _)| {
        replay(seed);
        unreachable!("seed {seed} fails only together with others")
    });
    println!("{seeds} seeds: {counts:?}");
    // A simulation in which nothing goes wrong proves nothing. Each of these must happen often.
    let often = seeds / 100;
    for (what, count) in [
        ("messages", counts.readers.messages / 10),
        ("duplicates dropped at a switch", counts.readers.duplicates),
        ("gaps told", counts.readers.gaps),
        ("resets told", counts.readers.resets),
        ("messages of a log that was left", counts.readers.outdated_messages),
        ("lost tails told", counts.readers.tails_lost),
        ("epochs that went on with the next number", counts.readers.new_epochs),
        ("first messages of channels", counts.readers.first_messages),
        ("ends told", counts.readers.ends),
        ("ends told to those who came back", counts.readers.late_ends),
        ("event sources that need not come back", counts.readers.ended_for_good),
        ("deletions told", counts.readers.deletions),
        ("channels dropped and taken up", counts.readers.channel_changes),
        ("cuts", counts.cuts),
        ("switches", counts.switches),
        ("publishes tried again", counts.publishers.retries),
        ("producers that began again", counts.publishers.restarts),
        ("publishers that found a closed log", counts.publishers.refused),
        ("channels lost", counts.losses),
        ("tails lost", counts.tails_lost),
        ("restarts that lose nothing", counts.clean_restarts),
        ("logs closed with a last message", counts.server.closed - counts.server.closed_alone),
        ("logs closed without a message", counts.server.closed_alone),
        ("logs deleted", counts.deletions),
        ("appends that failed", counts.server.failed),
        ("answers lost", counts.server.unknown),
        ("appends that were there already", counts.server.duplicates),
        ("answers in another order", counts.server.reordered),
        ("polls that end as their message comes", counts.server.poll_races),
    ] {
        assert!(count >= often, "{what}: {count} in {seeds} seeds");
    }
    // A reader continues from any feed on any other feed.
    for (from, row) in counts.readers.feed_changes.iter().enumerate() {
        for (to, count) in row.iter().enumerate() {
            assert!(*count >= often / 4, "from {} to {}: {count} in {seeds} seeds", FEEDS[from], FEEDS[to]);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let trace = |seed| simulate(seed, None, Some(Vec::new())).0.into_trace();
    for seed in 0..20 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

/// A seed that fails can be repeated: it fails at the same place, after the same steps.
#[test]
fn a_seed_that_fails_can_be_repeated_step_by_step() {
    let fault = Some(Fault::WaitsTooLate);
    let (seed, violation) = all(SEEDS, fault).expect_err("the fault is found");
    let run = |seed| {
        let (world, result) = simulate(seed, fault, Some(Vec::new()));
        (world.into_trace(), result)
    };
    let (trace, result) = run(seed);
    assert_eq!(result, Err(violation));
    assert!(trace.len() > 10, "{trace:?}");
    assert_eq!(run(seed), (trace, result));
}

/// The law must be able to fail: the simulation must find each way in which other systems lost
/// messages.
#[test]
fn every_known_way_to_lose_messages_is_found() {
    for fault in Fault::ALL {
        let found = all(SEEDS / 5, Some(fault));
        let Err((seed, violation)) = found else { panic!("{fault:?} goes unnoticed") };
        println!("{fault:?}: seed {seed}: {violation}");
    }
}

/// Repeats one simulation and prints it step by step. Panics where it fails.
fn replay(seed: u64) {
    let (world, result) = simulate(seed, None, Some(Vec::new()));
    for line in world.into_trace() {
        println!("{line}");
    }
    if let Err(violation) = result {
        panic!("TIDEWIRE_SEED={seed}: {violation}");
    }
}

/// Runs many simulations on all processors. An error has the lowest seed that fails, and why.
fn all(seeds: u64, fault: Option<Fault>) -> Result<Counts, (u64, String)> {
    let next = AtomicU64::new(0);
    let worst = AtomicU64::new(u64::MAX);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let (mut counts, mut failure) = (Counts::default(), None);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds || seed >= worst.load(Ordering::Relaxed) {
                            return (counts, failure);
                        }
                        match catch_unwind(|| {
                            let (world, result) = simulate(seed, fault, None);
                            (world.counts, result)
                        }) {
                            Ok((one, Ok(()))) => counts += one,
                            Ok((_, Err(violation))) => {
                                worst.fetch_min(seed, Ordering::Relaxed);
                                failure = Some((seed, violation));
                            }
                            Err(_) => {
                                worst.fetch_min(seed, Ordering::Relaxed);
                                failure = Some((seed, "the simulation panics".into()));
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            let (some, failure) = worker.join().expect("a worker catches what its simulations panic with");
            counts += some;
            failures.extend(failure);
        }
    });
    match failures.into_iter().min() {
        Some(failure) => Err(failure),
        None => Ok(counts),
    }
}
