//! The world: a server, readers and publishers, and the network between them. One seed is one
//! simulation.
//!
//! ```text
//!   publishers ──┐                                      ┌── readers: poll, longpoll, sse, lines, ws
//!                ├── links: bytes up, bytes down ───────┤
//!                │   any number at a time, cut anywhere │
//!                └──────────────► server ◄──────────────┘
//!                        wake-ups and waits take place later; clocks jump;
//!                        messages are evicted; channels are lost
//! ```
//!
//! The seed makes every choice. After each step the law is checked for each reader. After some
//! hundred steps the faults stop, and all readers must reach the head of their channels.

use std::collections::BTreeMap;

use tidewire_channel::{Budget, Cursor, Cursors, Limits, Retention};

use super::counts::Counts;
use super::fault::Fault;
use super::history::{FORGED, Violation};
use super::links::Link;
use super::publisher::Publisher;
use super::reader::{FEEDS, Reader};
use super::rng::Rng;
use super::server::Server;

pub(crate) struct World {
    pub(super) rng: Rng,
    pub(super) server: Server,
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) next_link: u32,
    pub(super) readers: Vec<Reader>,
    pub(super) publishers: Vec<Publisher>,
    pub(super) channels: Vec<String>,
    weights: [usize; ACTIONS.len()],
    pub(super) published: u64,
    fault: Option<Fault>,
    trace: Option<Vec<String>>,
    pub(crate) counts: Counts,
}

/// What can happen next, and its weight. A seed may change the weight.
const ACTIONS: [(Action, usize); 25] = [
    (Action::Publish, 60),
    (Action::PublishOverHttp, 20),
    (Action::Up, 160),
    (Action::Flush, 220),
    (Action::Down, 300),
    (Action::Wake, 100),
    (Action::RegisterWaits, 140),
    (Action::TimeOut, 16),
    (Action::PublishAsPollEnds, 28),
    (Action::Cut, 8),
    (Action::Vanish, 4),
    (Action::Notice, 12),
    (Action::End, 4),
    (Action::Read, 60),
    (Action::ChangeChannels, 40),
    (Action::Tick, 20),
    (Action::Jump, 1),
    (Action::Lose, 1),
    (Action::Restart, 3),
    (Action::Close, 2),
    (Action::Delete, 1),
    (Action::CarryOut, 30),
    (Action::Answer, 30),
    (Action::CatchUp, 10),
    (Action::Shrink, 1),
];

#[derive(Clone, Copy, Debug)]
enum Action {
    Publish,
    PublishOverHttp,
    Up,
    Flush,
    Down,
    Wake,
    RegisterWaits,
    TimeOut,
    PublishAsPollEnds,
    Cut,
    Vanish,
    Notice,
    End,
    Read,
    ChangeChannels,
    Tick,
    Jump,
    Lose,
    Restart,
    Close,
    Delete,
    CarryOut,
    Answer,
    CatchUp,
    Shrink,
}

/// Runs one simulation. `trace` collects what happens, for people.
pub(crate) fn simulate(
    seed: u64,
    fault: Option<Fault>,
    trace: Option<Vec<String>>,
) -> (World, Result<(), Violation>) {
    let mut world = World::new(seed, fault, trace);
    let result = world.run();
    world.counts.server = world.server.counts;
    for publisher in &world.publishers {
        world.counts.publishers += publisher.counts;
    }
    for reader in &world.readers {
        world.counts.readers += reader.counts;
    }
    (world, result)
}

impl World {
    fn new(seed: u64, fault: Option<Fault>, trace: Option<Vec<String>>) -> Self {
        let mut rng = Rng::new(seed);
        let mut pick = |from: &[usize]| from[rng.below(from.len())];
        let retention = Retention::DEFAULT
            .with_max_messages(pick(&[1, 3, 8, 20, 1_000]))
            .with_max_bytes(pick(&[1, 40, 300, 100_000]))
            .with_max_age_ms([None, Some(50), Some(2_000)][pick(&[0, 1, 2])]);
        let limits = Limits::DEFAULT.with_idle_ms(pick(&[10, 1_000]) as u64);
        let budget = Budget { messages: pick(&[1, 2, 5, 100]), bytes: pick(&[1, 64, 100_000]) };
        let server = Server::new(retention, limits, budget, fault);
        let channels: Vec<String> =
            ["a", "b", "c"].iter().take(pick(&[1, 1, 2, 3])).map(|name| (*name).into()).collect();
        let weights = ACTIONS.map(|(action, usual)| {
            let optional = !matches!(
                action,
                Action::Up
                    | Action::Flush
                    | Action::Down
                    | Action::Wake
                    | Action::RegisterWaits
                    | Action::Read
                    | Action::CarryOut
                    | Action::Answer
                    | Action::CatchUp
            );
            usual * pick(&[usize::from(!optional), 1, 2, 2, 5])
        });
        let (readers, publishers) = (pick(&[1, 2, 3]), pick(&[0, 1, 2]));
        let mut world = Self {
            rng,
            server,
            links: BTreeMap::new(),
            next_link: 0,
            readers: Vec::new(),
            publishers: (0..publishers).map(Publisher::new).collect(),
            channels,
            weights,
            published: 0,
            fault,
            trace,
            counts: Counts::default(),
        };
        for _ in 0..readers {
            let reader = world.reader().expect("nothing has gone wrong yet");
            world.readers.push(reader);
        }
        world
    }

    fn reader(&mut self) -> Result<Reader, Violation> {
        let from = self.rng.below(self.channels.len());
        let several = self.rng.below(2) == 0;
        let to = if several { self.channels.len() } else { from + 1 };
        let channels = self.channels[from..to].to_vec();
        let start = match self.rng.below(9) {
            0..4 => "earliest".into(),
            4..7 => "now".into(),
            // A cursor of an unknown log, or one ahead of the log.
            7 => vec!["forgotten-7"; channels.len()].join("."),
            _ => self.cursors_ahead(&channels)?,
        };
        let is_event_source = self.rng.below(3) == 0;
        Ok(Reader::new(channels, start, is_event_source, self.fault))
    }

    /// Returns cursors that the logs of these channels have not given out.
    fn cursors_ahead(&mut self, channels: &[String]) -> Result<String, Violation> {
        let mut cursors = Cursors::new();
        for name in channels {
            self.publish(name)?;
            let log = self.server.store.log(name);
            cursors.push(log.map_or(Cursor::FOREIGN, |log| Cursor::new(log.epoch(), FORGED)));
        }
        Ok(cursors.to_string())
    }

    fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..200 + self.rng.below(1_000) {
            self.step()?;
            self.check()?;
            self.counts.steps += 1;
        }
        self.finish()?;
        self.check()?;
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.cut(id);
        }
        self.server.check_empty()
    }

    /// Checks what must be true after each step: of the server, and of everything that the readers
    /// received.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        self.server.check()?;
        for Reader { channels, records, checked, .. } in &mut self.readers {
            for ((channel, record), so_far) in channels.iter().zip(records).zip(checked) {
                self.server.history.check(channel, record, so_far)?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Violation> {
        let mut at = self.rng.below(self.weights.iter().sum::<usize>().max(1));
        let mut action = Action::Tick;
        for (weight, (candidate, _)) in self.weights.iter().zip(ACTIONS) {
            if at < *weight {
                action = candidate;
                break;
            }
            at -= weight;
        }
        self.act(action)
    }

    fn act(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Publish => {
                let name = self.channel();
                self.publish(&name)?;
            }
            Action::PublishOverHttp => self.publish_over_http()?,
            Action::Up => self.up(usize::MAX)?,
            Action::Flush => self.flush(usize::MAX)?,
            Action::Down => self.down(usize::MAX)?,
            Action::Wake => self.server.wake()?,
            Action::RegisterWaits => {
                let ids = self.server.connection_ids();
                if let Some(id) = self.one_of(&ids) {
                    self.server.register_waits(id)?;
                }
            }
            Action::TimeOut => {
                let held = self.server.held();
                if let Some(id) = self.one_of(&held) {
                    self.note(|| format!("the poll on {id} times out"));
                    self.server.time_out(id)?;
                }
            }
            Action::PublishAsPollEnds => {
                let held = self.server.held();
                let Some(id) = self.one_of(&held) else { return Ok(()) };
                let Some(name) = self.server.held_on(id) else { return Ok(()) };
                self.note(|| format!("a publish as the poll on {id} times out"));
                if self.rng.below(2) == 0 {
                    self.publish(&name)?;
                    self.server.time_out(id)?;
                } else {
                    self.server.time_out(id)?;
                    self.publish(&name)?;
                }
            }
            Action::Cut => {
                if let Some(id) = self.some_link() {
                    self.cut(id);
                }
            }
            Action::Vanish => {
                if let Some(id) = self.some_link() {
                    self.client_vanishes(id);
                }
            }
            Action::Notice => self.notice_vanished(),
            Action::End => {
                let ids = self.server.connection_ids();
                if let Some(id) = self.one_of(&ids) {
                    self.note(|| format!("the server ends the stream on {id}"));
                    self.server.end(id, 1012)?;
                }
            }
            Action::Read => {
                let reader = self.rng.below(self.readers.len());
                self.read(reader)?;
            }
            Action::ChangeChannels => self.change_channels()?,
            Action::Tick => {
                self.server.now_ms += self.rng.below(40) as u64;
                self.server.sweep();
            }
            Action::Jump => {
                let by = self.rng.below(8_000) as u64;
                let back = self.rng.below(2) == 0;
                let now_ms = self.server.now_ms;
                self.server.now_ms = if back { now_ms.saturating_sub(by) } else { now_ms + by };
                self.note(|| format!("the clock jumps {} {by} ms", if back { "back" } else { "ahead" }));
            }
            Action::Lose => {
                let name = self.channel();
                self.note(|| format!("{name} is lost and created anew"));
                self.server.lose(&name);
                self.counts.losses += 1;
            }
            Action::Restart => self.restart(),
            Action::Close => self.close()?,
            Action::Delete => {
                let name = self.channel();
                self.delete(&name);
            }
            Action::CarryOut => self.carry_out_submitted()?,
            Action::Answer => self.take_answer()?,
            Action::CatchUp => self.catch_up(),
            Action::Shrink => {
                let name = self.channel();
                let fewer = Retention::DEFAULT.with_max_messages(self.rng.below(4));
                let retention = (self.rng.below(2) == 0).then_some(fewer);
                self.note(|| format!("{name} keeps {retention:?}"));
                self.server.shrink(&name, retention);
            }
        }
        Ok(())
    }

    fn publish_over_http(&mut self) -> Result<(), Violation> {
        if self.publishers.is_empty() {
            return Ok(());
        }
        let index = self.rng.below(self.publishers.len());
        // A publisher that still waits may give up.
        if let Some(link) = self.publishers[index].link {
            if self.rng.below(4) > 0 {
                return Ok(());
            }
            self.client_vanishes(link);
        }
        let name = self.channel();
        let link = self.link();
        self.note(|| format!("publisher {index} sends on {link}"));
        let up = &mut self.links.entry(link).or_default().up;
        self.publishers[index].send(link, &name, &mut self.rng, up)
    }

    /// A reader comes back, polls again, changes transports, or drops a feed.
    fn read(&mut self, index: usize) -> Result<(), Violation> {
        let known = self.readers[index].cursors().is_some();
        let feeds = self.readers[index].feeds.len();
        let idle = self.readers[index].feeds.iter().position(|feed| !feed.is_waiting);
        match (feeds, self.rng.below(8)) {
            (0, _) => self.open(index, None),
            (_, 0..4) if idle.is_some() => {
                let feed = idle.unwrap_or_default();
                let id = self.readers[index].feeds[feed].link;
                self.note(|| format!("reader {index} polls again on {id}"));
                let up = &mut self.links.entry(id).or_default().up;
                self.readers[index].send_request(feed, None, up)
            }
            // A reader without a cursor opens only one feed: two feeds that start "now" may start
            // at two places.
            (1..3, 4..6) if known => {
                self.counts.switches += 1;
                let now = (self.fault == Some(Fault::SwitchStartsNow)).then_some("now");
                self.open(index, now)
            }
            (2.., 6) => {
                let id = self.readers[index].feeds[0].link;
                self.client_vanishes(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn open(&mut self, index: usize, since: Option<&str>) -> Result<(), Violation> {
        let several = self.readers[index].channels.len() > 1;
        // A poll has one channel; the last three feeds take several.
        let kind = if several { FEEDS[2 + self.rng.below(3)] } else { FEEDS[self.rng.below(FEEDS.len())] };
        let link = self.link();
        self.note(|| format!("reader {index} opens {kind} on {link}"));
        let up = &mut self.links.entry(link).or_default().up;
        self.readers[index].open(kind, link, since, up)
    }

    pub(super) fn channel(&mut self) -> String {
        self.channels[self.rng.below(self.channels.len())].clone()
    }

    fn one_of(&mut self, ids: &[u32]) -> Option<u32> {
        ids.get(self.rng.below(ids.len())).copied()
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    pub(crate) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }
}
