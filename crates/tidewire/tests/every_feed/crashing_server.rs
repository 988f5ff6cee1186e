//! A server in this process, over a store that delays, fails and reorders, and that can crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tidewire::server::{Limits, Listen, Running, Server};
use tidewire::{App, ChannelName, Hub, HubConfig, Retention, Settings};
use tidewire_channel::{Budget, Since};
use tidewire_store::Store as _;
use tidewire_store::suite::{Fault, FaultyStore, JournalStore, Loss, Rates, RequestKind};

/// The number of messages that a channel has in memory. The log keeps all of the test.
const WINDOW: usize = 8;

pub(super) type Store = Arc<FaultyStore<JournalStore>>;

/// The server, until it crashes.
pub(super) struct CrashingServer {
    pub(super) store: Store,
    /// `127.0.0.1:PORT`
    pub(super) address: String,
    threads: usize,
    running: Running,
    /// Whether to release nothing, because the test does it.
    pub(super) pauses: Arc<AtomicBool>,
    stops: Arc<AtomicBool>,
    releaser: JoinHandle<()>,
}

/// The log in the store: the cursors, event names and payloads of its messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth(pub(super) Vec<(String, Option<String>, Vec<u8>)>);

impl CrashingServer {
    /// Starts with an empty store. Its faults follow from the seed.
    pub(super) fn start(threads: usize, seed: u64, rates: Rates) -> Self {
        Self::over(JournalStore::new(tidewire_store::Limits::DEFAULT), threads, seed, rates)
    }

    fn over(journal: JournalStore, threads: usize, seed: u64, rates: Rates) -> Self {
        let store = Arc::new(FaultyStore::seeded(journal, seed, rates));
        let retention = Retention::DEFAULT.with_max_messages(100_000).with_max_bytes(100_000_000);
        let window = Retention::DEFAULT.with_max_messages(WINDOW);
        let config = HubConfig::DEFAULT.with_retention(retention).with_window(window);
        let hub = Hub::with_store(config, threads, store.clone());
        let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
        // A crash lets nobody finish.
        let limits = Limits::default().with_drain_timeout(Duration::ZERO);
        let server = Server::builder().listen(listen).threads(threads).limits(limits).bind().unwrap();
        let mut settings = Settings::DEFAULT.with_heartbeat(Duration::from_secs(3_600));
        settings.comet = true;
        let (shared, settings) = (hub.clone(), Arc::new(settings));
        let serve = move |worker| App::new(shared.clone(), settings.clone(), worker);
        let running = server.serve(serve).unwrap();
        let address = running.addresses()[0].to_string().trim_start_matches("http://").to_owned();
        let (stops, pauses) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (held, swept, stop, pause) = (store.clone(), hub, stops.clone(), pauses.clone());
        let releaser = std::thread::spawn(move || {
            for turn in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // Several requests are held at a time, so that answers come in another order.
                if pause.load(Ordering::Relaxed) || !held.release_random() || turn.is_multiple_of(4) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if turn.is_multiple_of(16) {
                    swept.sweep();
                }
            }
        });
        CrashingServer { store, address, threads, running, pauses, stops, releaser }
    }

    /// Crashes, and starts again on another port with what the store has kept. Also returns the old
    /// store.
    pub(super) fn crash(self, loss: Loss, seed: u64, rates: Rates) -> (Self, Store) {
        let threads = self.threads;
        // What the old server does at its end comes too late.
        self.store.always(RequestKind::Append, Some(Fault::DropRequest));
        let old = tokio::task::block_in_place(|| self.stop());
        (Self::over(old.inner().restart(loss), threads, seed, rates), old)
    }

    /// Waits until a channel has so many messages.
    pub(super) async fn reach(&self, channel: &str, count: usize) {
        while Truth::of(&self.store, channel).0.len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops at once. Returns the store.
    pub(super) fn stop(self) -> Store {
        self.running.stop().unwrap();
        self.stops.store(true, Ordering::Relaxed);
        self.releaser.join().unwrap();
        self.store
    }
}

impl Truth {
    /// What is in the log now, whatever the server shows.
    pub(super) fn of(store: &Store, channel: &str) -> Self {
        let name = ChannelName::new(channel).unwrap();
        let page = store.inner().read(&name, Since::Earliest, Budget::UNLIMITED, 0).wait();
        let Some(Ok(page)) = page else { return Truth::default() };
        let messages = page.messages.iter().map(|(cursor, message)| {
            let payload = message.data().to_vec();
            (cursor.to_string(), message.event().map(str::to_owned), payload)
        });
        Truth(messages.collect())
    }

    pub(super) fn cursors(&self) -> Vec<&str> {
        self.0.iter().map(|(cursor, ..)| &**cursor).collect()
    }
}
