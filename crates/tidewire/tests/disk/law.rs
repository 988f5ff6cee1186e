//! Publishers and readers under load, and what must be true of them at the end: what was
//! acknowledged is there once and in order, what was not acknowledged may be there once, and
//! readers get exactly the log.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::retries::{Publisher, Told, Way, close_with_last};
use crate::common::{Client, Ended, Feed, FeedEvent, PATIENCE, Rng, eventually, open, seq, soon};

/// What publishers and readers know of the test.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: String,
    /// The number of starts of the server before this one.
    life: Arc<AtomicUsize>,
    acks: Arc<AtomicUsize>,
    stops: Arc<AtomicBool>,
    /// Counts the syncs of the disk.
    syncs: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// A message that was acknowledged.
#[derive(Debug)]
pub(crate) struct Ack {
    payload: String,
    cursor: String,
    /// Which start of the server has acknowledged it. `None` if that is not clear.
    pub(crate) life: Option<usize>,
    /// The number of syncs when the acknowledgement came.
    pub(crate) syncs: u64,
    /// When the acknowledgement came.
    pub(crate) at: Instant,
}

/// What a publisher has done.
#[derive(Debug)]
pub(crate) struct Sent {
    channel: String,
    id: String,
    /// How many messages it has sent at least once.
    count: usize,
    acks: Vec<Ack>,
}

impl Load {
    pub(crate) fn new(address: &str) -> Self {
        Self::on(address, || 0)
    }

    /// On a disk whose syncs are counted.
    pub(crate) fn on(address: &str, syncs: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let (life, acks) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        Load { address: address.to_owned(), life, acks, stops: Arc::default(), syncs: Arc::new(syncs) }
    }

    /// The server has ended, and starts again.
    pub(crate) fn next_life(&self) {
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many more messages are acknowledged.
    pub(crate) fn wait_for(&self, acks: usize) {
        let until = self.acks.load(Ordering::SeqCst) + acks;
        eventually("acknowledgements", || self.acks.load(Ordering::SeqCst) >= until);
    }

    /// Asks the publishers to stop. Each of them ends with an acknowledged message.
    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
    }

    /// Publishes messages, one after the other, until the end of the load.
    pub(crate) async fn publish(self, channel: &'static str, id: &'static str, way: Way) -> Sent {
        let mut publisher = Publisher::new(&self.address, channel, id, way);
        let mut sent = Sent { channel: channel.to_owned(), id: id.to_owned(), count: 0, acks: Vec::new() };
        let mut n = 0;
        while !self.stops.load(Ordering::SeqCst) || n < sent.count {
            sent.count = sent.count.max(n + 1);
            let life = self.life.load(Ordering::SeqCst);
            let what = format!("an answer for {} in life {life}", publisher.payload(n));
            match soon(&what, publisher.send(n)).await {
                Told::Kept { cursor, .. } => {
                    self.acks.fetch_add(1, Ordering::SeqCst);
                    let (at, syncs) = (Instant::now(), (self.syncs)());
                    let life = (life == self.life.load(Ordering::SeqCst)).then_some(life);
                    sent.acks.push(Ack { payload: publisher.payload(n), cursor, life, syncs, at });
                    n += 1;
                    continue;
                }
                Told::Failed => {}
                Told::Unknown if way == Way::Plain => n += 1,
                Told::Unknown => {}
                Told::Lost { expected } => n = expected,
            }
            // The server is away.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sent
    }

    /// Reads a channel to its end, on feed after feed, at the cursor of the last one.
    pub(crate) async fn follow(self, channel: &'static str, mut client: Client, mut rng: Rng) -> Client {
        let mut progress = (Instant::now(), String::new());
        while !client.has_ended {
            if progress.1 != client.cursor {
                progress = (Instant::now(), client.cursor.clone());
            }
            assert!(progress.0.elapsed() < PATIENCE, "no feed leads on from {}", client.cursor);
            let feed = *rng.pick(&Feed::ALL);
            let stay = if rng.chance(20) { rng.below(40) } else { usize::MAX };
            let what = format!("an answer of {feed:?} after {}", client.cursor);
            let Ok(mut reader) = soon(&what, client.open(feed, &self.address, channel)).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            for _ in 0..stay {
                match soon(&what, reader.next()).await {
                    Ok(event @ FeedEvent::Gap { .. }) => {
                        panic!("{feed:?} tells a gap after {}: {event:?}", client.cursor)
                    }
                    Ok(event) => client.take(feed, event),
                    Err(Ended::Cut(_) | Ended::Well) => break,
                }
                if client.has_ended {
                    break;
                }
            }
        }
        client
    }

    /// Closes a channel with a last message. Returns what is in its log.
    pub(crate) async fn close(&self, channel: &str) -> Truth {
        soon("the end", close_with_last(&self.address, channel)).await;
        Truth::of(&self.address, channel).await
    }
}

/// The log of a channel: the cursors and payloads of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth(pub(crate) Vec<(String, String)>);

impl Truth {
    /// Reads a log of a channel that was closed.
    pub(crate) async fn of(address: &str, channel: &str) -> Self {
        let mut reader = soon("the log", open(Feed::Stream, address, channel, "earliest")).await.unwrap();
        let mut log = Vec::new();
        loop {
            match soon("the rest of the log", reader.next()).await.unwrap() {
                FeedEvent::Message(message) => {
                    log.push((message.cursor, String::from_utf8(message.payload).unwrap()));
                }
                FeedEvent::End { .. } => return Truth(log),
                event => panic!("{event:?}"),
            }
        }
    }

    pub(crate) fn cursors(&self) -> Vec<&str> {
        self.0.iter().map(|(cursor, _)| &**cursor).collect()
    }

    /// The law for publishers. `may_lose` says whether an acknowledged message may have been lost.
    /// Besides them, the test has published the messages `EXTRA`.
    pub(crate) fn check_publishers(&self, sent: &[Sent], may_lose: impl Fn(&Ack) -> bool) {
        for (n, cursor) in self.cursors().into_iter().enumerate() {
            assert_eq!(seq(cursor), n as u64 + 1, "numbers are dense");
        }
        let places: BTreeMap<&str, &str> =
            self.0.iter().map(|(cursor, payload)| (&**payload, &**cursor)).collect();
        assert_eq!(places.len(), self.0.len(), "a message is there twice");
        let mut found = EXTRA.into_iter().filter(|one| places.contains_key(one)).count();
        for one in sent {
            let payload = |n: usize| format!("{}/{}/{n}", one.channel, one.id);
            let there: Vec<_> = (0..one.count).filter_map(|n| places.get(&*payload(n))).collect();
            assert!(there.is_sorted_by_key(|cursor| seq(cursor)), "{} are not in order", one.id);
            found += there.len();
            for ack in &one.acks {
                let place = places.get(&*ack.payload);
                assert!(
                    place == Some(&&*ack.cursor) || may_lose(ack),
                    "{ack:?} was acknowledged, and its place is {place:?}"
                );
            }
        }
        assert_eq!(found, self.0.len(), "there are messages that nobody sent");
    }

    /// The law for readers that nobody may tell anything.
    pub(crate) fn check_undisturbed(&self, client: &Client) {
        assert_eq!(client.tails.as_deref().unwrap_or_default(), [], "a reader was told of a loss");
        self.check_reader(client);
    }

    /// The law for readers: they have the log. Only one who had seen a lost message was told of
    /// it, and was sent to the last message before the loss.
    pub(crate) fn check_reader(&self, client: &Client) {
        assert_eq!(client.missed, 0, "a reader was told of a gap");
        assert_eq!(client.cursors, self.cursors());
        for ((_, feed, got), (cursor, payload)) in client.messages.iter().zip(&self.0) {
            assert_eq!(*got, payload.as_bytes(), "{feed:?}, {cursor}");
        }
        let there: HashSet<_> = self.cursors().into_iter().collect();
        for (had, to) in client.tails.iter().flatten() {
            assert!(!there.contains(&**had), "{had} was not lost, and a reader was sent to {to}");
            // The log does not remember an epoch of which no message is left. Then the reader
            // begins again.
            let is_forgotten = self.0.iter().all(|(cursor, _)| epoch(cursor) != epoch(had));
            assert!(
                self.heads().contains(&**to) || is_forgotten && seq(to) == 0,
                "{to} is not the last message before the loss of {had}"
            );
        }
    }

    /// The messages after which another epoch begins.
    fn heads(&self) -> HashSet<&str> {
        let cursors = self.cursors();
        cursors.windows(2).filter(|pair| epoch(pair[0]) != epoch(pair[1])).map(|pair| pair[0]).collect()
    }
}

/// Messages that a test may publish besides the load.
const EXTRA: [&str; 3] = ["first", "before", "last"];

fn epoch(cursor: &str) -> &str {
    cursor.rsplit_once('-').expect("a cursor has an epoch and a number").0
}

/// The publishers of the tests under load, for three channels.
pub(crate) const PUBLISHERS: [(&str, &str, Way); 8] = [
    ("one", "key", Way::Key),
    ("one", "producer", Way::Producer),
    ("one", "socket", Way::Socket),
    ("one", "plain", Way::Plain),
    ("two/three", "key", Way::Key),
    ("two/three", "producer", Way::Producer),
    ("three", "plain", Way::Plain),
    ("three", "producer", Way::Producer),
];

/// The names of these channels.
pub(crate) const CHANNELS: [&str; 3] = ["one", "two/three", "three"];

/// Options of a server whose channels keep all of a test, but have little in memory.
pub(crate) const KEEPS_ALL: [&str; 8] =
    ["--threads", "2", "--retain-messages", "1000000", "--retain-bytes", "1G", "--window-messages", "16"];

/// Starts the publishers.
pub(crate) fn publish_all(load: &Load) -> Vec<tokio::task::JoinHandle<Sent>> {
    let spawn = |(channel, id, way)| tokio::spawn(load.clone().publish(channel, id, way));
    PUBLISHERS.into_iter().map(spawn).collect()
}

/// Waits for the publishers. Returns what those of each channel have sent.
pub(crate) async fn sent_by(publishers: Vec<tokio::task::JoinHandle<Sent>>) -> BTreeMap<String, Vec<Sent>> {
    let mut sent = BTreeMap::<String, Vec<Sent>>::new();
    for publisher in publishers {
        let one = soon("the end of a publisher", publisher).await.unwrap();
        sent.entry(one.channel.clone()).or_default().push(one);
    }
    sent
}
