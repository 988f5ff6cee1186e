//! What all channels of a hub share: the store, the pages, the clock, and the way to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tidewire_channel::Retention;
use tidewire_server::Inbox;
use tidewire_store::{ChannelName, ChannelSettings, Retain, Store};

use crate::config::HubConfig;
use crate::counters::Counters;
use crate::flight::Flying;
use crate::pages::Pages;

/// What all channels `C` of a hub share.
pub(crate) struct Common<C> {
    pub(crate) config: HubConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) pages: Pages<C>,
    pub(crate) flying: Arc<Flying>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) inboxes: Vec<Inbox<Arc<C>>>,
    clock: Clock,
    /// The settings of channels that match no pattern.
    settings: Arc<ChannelSettings>,
    numbers: AtomicU64,
    /// The last time at which the store has opened a log or read a page.
    answered_ms: AtomicU64,
}

impl<C> Common<C> {
    pub(crate) fn new(config: HubConfig, workers: usize, store: Arc<dyn Store>, wall_ms: u64) -> Arc<Self> {
        let settings = ChannelSettings::DEFAULT.with_retain(Retain::Bounded(config.retention));
        Arc::new(Common {
            config,
            store,
            pages: Pages::new(),
            flying: Arc::default(),
            counters: Arc::default(),
            inboxes: (0..workers).map(|_| Inbox::new()).collect(),
            clock: Clock { start: Instant::now(), start_ms: wall_ms },
            settings: Arc::new(settings),
            numbers: AtomicU64::new(0),
            answered_ms: AtomicU64::new(0),
        })
    }

    /// Milliseconds since 1970 by the wall clock at the start and a monotonic clock since. So it
    /// never steps back, and the ages of messages survive a restart.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.ms_at(Instant::now())
    }

    /// The same for an earlier moment.
    pub(crate) fn ms_at(&self, at: Instant) -> u64 {
        self.clock.ms_at(at)
    }

    /// Tells a waiting worker that a channel has news.
    pub(crate) fn send_news(&self, worker: u16, channel: &Arc<C>) {
        self.counters.wakes.add(1);
        self.inboxes[usize::from(worker)].push(channel.clone());
    }

    /// The store has opened a log or read a page.
    pub(crate) fn note_answer(&self, now_ms: u64) {
        self.answered_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The last time at which it did. A store that opens many logs after a restart is slow, but it
    /// works.
    pub(crate) fn answered_ms(&self) -> u64 {
        self.answered_ms.load(Ordering::Relaxed)
    }

    /// A number that no other channel of this hub gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The settings with which a log of this name is created.
    pub(crate) fn settings_of(&self, name: &ChannelName) -> Arc<ChannelSettings> {
        self.config.patterns.settings_of(name).unwrap_or_else(|| self.settings.clone())
    }

    /// What the window of a log with these settings keeps: no more than the log does.
    pub(crate) fn window_of(&self, settings: &ChannelSettings) -> Retention {
        let log = match settings.retain {
            Retain::Bounded(retention) => retention,
            Retain::All => self.config.retention,
        };
        let window = self.config.window;
        let age_ms = [log.max_age_ms, window.max_age_ms].into_iter().flatten().min();
        log.with_max_messages(log.max_messages.min(window.max_messages))
            .with_max_bytes(log.max_bytes.min(window.max_bytes))
            .with_max_age_ms(age_ms)
    }
}

/// A clock that never steps back, whatever happens to the wall clock.
#[derive(Debug)]
struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    fn ms_at(&self, at: Instant) -> u64 {
        self.start_ms.saturating_add(at.saturating_duration_since(self.start).as_millis() as u64)
    }
}
