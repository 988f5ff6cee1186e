//! The hub: channels by name, shared by all workers. Publishing is in `publishing.rs`.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use tidewire_server::Inbox;
use tidewire_store::{ChannelName, ChannelSettings, Created, Limits, Listener, MemoryStore, Store};

use crate::changing::Change;
use crate::channel::{Channel, Common};
use crate::config::HubConfig;
use crate::counters::{Counters, Work};
use crate::directory::Directory;
use crate::error::HubError;
use crate::fetching::fetch;

/// All channels, by name. Workers and publishers share one hub through an [`Arc`].
///
/// ```
/// use tidewire_hub::{Budget, ChannelName, Hub, HubConfig, HubError, Message, Since};
///
/// let hub = Hub::new(HubConfig::DEFAULT.with_max_message(16), 0); // 0: no site is served
/// let name = ChannelName::new("tide")?;
/// let published = hub.publish(&name, Message::new("high".into(), hub.wall_ms()), None)?;
///
/// let page = hub.channel(&name)?.read(Since::Earliest, Budget::UNLIMITED);
/// assert_eq!(page.messages[0].1.text(), Some("high"));
/// assert_eq!(page.cursor, published.cursor);
///
/// let long = hub.publish(&name, Message::new("x".repeat(17).into(), hub.wall_ms()), None);
/// assert_eq!(long, Err(HubError::MessageTooLarge { len: 17, limit: 16 }));
/// assert_eq!(long.unwrap_err().status(), 413);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hub {
    this: Weak<Hub>,
    pub(crate) common: Arc<Common>,
    /// Used only for the times of messages, because it may step back.
    wall: Box<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) channels: Directory,
    /// Read under the lock of a channel. The lock orders it with appends to that channel.
    pub(crate) stopped: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    /// Whether the store has not answered the last sweep.
    pub(crate) is_store_sweeping: AtomicBool,
    /// When the last sweep began.
    sweep_began_ms: AtomicU64,
    /// When the last sweep began that has visited every channel.
    visited_ms: AtomicU64,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("config", self.config()).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub for `workers` workers, whose logs are in memory. Each worker has a
    /// [`Site`](crate::Site), so pass the number of [threads](tidewire_server::Server::threads) of
    /// the server. Pass 0 if no site is served.
    pub fn new(config: HubConfig, workers: usize) -> Arc<Self> {
        Self::with_wall_clock(config, workers, system_ms)
    }

    /// The same with another wall clock, which returns milliseconds since 1970. It may step back.
    // Hidden: for our tests.
    #[doc(hidden)]
    pub fn with_wall_clock(
        config: HubConfig,
        workers: usize,
        wall: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let store = MemoryStore::new(Limits::DEFAULT.with_max_logs(config.max_channels));
        Self::with_clock_and_store(config, workers, Box::new(wall), Arc::new(store))
    }

    /// The same with logs in this store. A store that answers later needs the methods that wait:
    /// [`open`](Self::open) and [`publish_when_room`](Self::publish_when_room).
    pub fn with_store(config: HubConfig, workers: usize, store: Arc<dyn Store>) -> Arc<Self> {
        Self::with_clock_and_store(config, workers, Box::new(system_ms), store)
    }

    fn with_clock_and_store(
        config: HubConfig,
        workers: usize,
        wall: Box<dyn Fn() -> u64 + Send + Sync>,
        store: Arc<dyn Store>,
    ) -> Arc<Self> {
        let channels = Directory::new(config.max_channels);
        let common = Common::new(config, workers, store, wall());
        let hub = Arc::new_cyclic(|this| Hub {
            this: this.clone(),
            channels,
            wall,
            stopped: AtomicBool::new(false),
            counters: common.counters.clone(),
            is_store_sweeping: AtomicBool::new(false),
            sweep_began_ms: AtomicU64::new(0),
            visited_ms: AtomicU64::new(0),
            common,
        });
        hub.common.store.listen(Arc::new(Ear(hub.this.clone())));
        hub
    }

    /// The limits of this hub.
    pub fn config(&self) -> &HubConfig {
        &self.common.config
    }

    /// Milliseconds since 1970 by the wall clock at the start, and a monotonic clock since. Never
    /// steps back.
    pub(crate) fn now_ms(&self) -> u64 {
        self.common.now_ms()
    }

    /// The same for an earlier moment.
    pub(crate) fn ms_at(&self, at: Instant) -> u64 {
        self.common.ms_at(at)
    }

    /// The wall clock in milliseconds since 1970, for [`Message::new`](crate::Message::new).
    pub fn wall_ms(&self) -> u64 {
        (self.wall)()
    }

    /// The channel with this name. If nothing was ever published to it, it is empty. For a store
    /// that answers at once, as the one in memory does.
    ///
    /// # Errors
    /// [`HubError::Deleted`] if it was deleted a short time ago, [`HubError::NotReady`] if the
    /// store answers later, [`HubError::TooManyChannels`], [`HubError::Store`].
    pub fn channel(&self, name: &ChannelName) -> Result<Arc<Channel>, HubError> {
        match self.poll_channel(name, false, Waker::noop())? {
            Poll::Ready(channel) => Ok(channel),
            Poll::Pending => Err(HubError::NotReady),
        }
    }

    /// The same for any store.
    ///
    /// # Errors
    /// As [`channel`](Self::channel), except [`HubError::NotReady`].
    pub async fn open(&self, name: &ChannelName) -> Result<Arc<Channel>, HubError> {
        poll_fn(|cx| self.poll_open(cx, name)).await
    }

    /// Polls as [`open`](Self::open) does. All who open a channel at one time wait for the same
    /// answer of the store.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn poll_open(
        &self,
        cx: &mut Context<'_>,
        name: &ChannelName,
    ) -> Poll<Result<Arc<Channel>, HubError>> {
        flatten(self.poll_channel(name, false, cx.waker()))
    }

    /// The channel with this name, for a reader or for a writer.
    pub(crate) fn poll_channel(
        &self,
        name: &ChannelName,
        writes: bool,
        waker: &Waker,
    ) -> Result<Poll<Arc<Channel>>, HubError> {
        loop {
            let now_ms = self.now_ms();
            let channel =
                self.channels.find_or_add(name, now_ms, || Channel::new(name.clone(), &self.common))?;
            match channel.poll_open(writes, waker) {
                Poll::Ready(Ok(())) => {
                    channel.prolong(now_ms);
                    return Ok(Poll::Ready(channel));
                }
                Poll::Pending => return Ok(Poll::Pending),
                // It was forgotten after the look-up: look it up again.
                Poll::Ready(Err(HubError::NotReady)) => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    /// The settings with which a log of this name is created, if the request sets none.
    pub(crate) fn settings_of(&self, name: &ChannelName) -> Arc<ChannelSettings> {
        self.common.settings_of(name)
    }

    /// The channel with this name, if it is open.
    pub(crate) fn find_channel(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        self.channels.find(name, self.now_ms()).filter(|channel| channel.is_open())
    }

    #[cfg(test)]
    pub(crate) fn peek(&self, name: &ChannelName) -> Arc<Channel> {
        self.channels.peek(name).expect("the channel was looked up")
    }

    /// Creates a log with settings. If it exists with the same settings, this changes nothing.
    ///
    /// # Errors
    /// [`HubError::Exists`] if it exists with other settings, [`HubError::NoRoom`],
    /// [`HubError::TooManyChannels`], [`HubError::Store`], [`HubError::Stopping`].
    pub async fn create(&self, name: &ChannelName, settings: ChannelSettings) -> Result<Created, HubError> {
        let settings = Arc::new(settings);
        self.change(name, |channel, waker| channel.create(&settings, waker)).await
    }

    /// Deletes a log. Its readers are told. Returns whether there was one.
    ///
    /// # Errors
    /// [`HubError::Store`], [`HubError::TooManyChannels`], [`HubError::Stopping`].
    pub async fn delete(&self, name: &ChannelName) -> Result<bool, HubError> {
        self.change(name, Channel::delete).await
    }

    /// Changes a log, after other changes of it.
    async fn change<T: Clone>(
        &self,
        name: &ChannelName,
        begin: impl Fn(&Channel, &Waker) -> Result<Option<Change<T>>, HubError>,
    ) -> Result<T, HubError> {
        let begun = poll_fn(|cx| {
            loop {
                if self.is_stopped() {
                    return Poll::Ready(Err(HubError::Stopping));
                }
                let channel = match self.poll_channel(name, true, cx.waker()) {
                    Ok(Poll::Ready(channel)) => channel,
                    Ok(Poll::Pending) => return Poll::Pending,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                match begin(&channel, cx.waker())? {
                    Some(change) => return Poll::Ready(Ok(change)),
                    // It was forgotten after the look-up: look it up again.
                    None if channel.life().is_over() => {}
                    None => return Poll::Pending,
                }
            }
        });
        begun.await?.wait().await
    }

    /// Refuses messages from now on, because their readers are about to be disconnected. Code that
    /// reads a channel after this call sees every message that was acknowledged. Uploads may still
    /// append, so that they can be marked as aborted.
    pub(crate) fn stop(&self) {
        // Relaxed is enough: the lock of each channel orders this with appends.
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping. Messages are refused then.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The number of workers that the hub was made for.
    pub(crate) fn workers(&self) -> usize {
        self.common.inboxes.len()
    }

    /// The inbox of a worker, which receives channels with new messages.
    pub(crate) fn inbox(&self, worker: u16) -> Inbox<Arc<Channel>> {
        self.common.inboxes[usize::from(worker)].clone()
    }

    /// Evicts expired messages, forgets idle channels, and wakes publishers that have waited for
    /// too long. Visits every channel. The site of worker 0 calls this every few seconds. Without a
    /// site, call it yourself.
    pub fn sweep(&self) {
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.sweep_some(from);
        }
    }

    /// One step of a [`sweep`](Self::sweep), which takes a fraction of a millisecond. It visits 256
    /// channels, or fewer if many messages expired. Pass 0 to begin. Returns the argument for the
    /// next step, or `None` at the end.
    pub fn sweep_some(&self, from: usize) -> Option<usize> {
        self.sweep_some_at(from, self.now_ms())
    }

    pub(crate) fn sweep_some_at(&self, from: usize, now_ms: u64) -> Option<usize> {
        if from == 0 {
            self.tend_pages();
            self.sweep_began_ms.store(now_ms, Ordering::Relaxed);
        }
        let next = self.channels.sweep_some(from, now_ms);
        if next.is_none() {
            self.visited_ms.fetch_max(self.sweep_began_ms.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.sweep_store();
        next
    }

    /// One step of the sweep of the store, for each step of ours: both are short. The store gets
    /// the beginning of our last whole sweep, and not the time of now: since then, every channel
    /// with readers was visited and the store was told. So no log expires under readers that wait,
    /// even if its time is shorter than the time between two sweeps.
    fn sweep_store(&self) {
        if self.is_store_sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let hub = self.this.clone();
        self.common.store.sweep(self.visited_ms.load(Ordering::Relaxed)).then(move |swept| {
            let Some(hub) = hub.upgrade() else { return };
            hub.is_store_sweeping.store(false, Ordering::Relaxed);
            if let Some(Ok(swept)) = swept {
                let expired = swept.expired.iter().filter_map(|name| hub.channels.peek(name));
                expired.for_each(|channel| channel.vanished(true));
            }
        });
    }

    /// Reads pages again whose reading failed, after a pause. Every worker calls this each second.
    pub(crate) fn tend_pages(&self) {
        fetch(self.common.pages.due(self.now_ms()));
    }

    /// Counters of the work done so far.
    pub fn work(&self) -> Work {
        self.counters.work()
    }

    /// Bytes in memory of the encoded forms of long payloads: those that the workers keep, and
    /// those that slow readers have not taken. Bytes that several readers share count once.
    // Hidden: for our tests.
    #[doc(hidden)]
    pub fn forms_held(&self) -> u64 {
        self.counters.forms.held()
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }
}

/// The wall clock of the system.
fn system_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Hears that another node has changed a log.
struct Ear(Weak<Hub>);

impl Listener for Ear {
    fn changed(&self, name: &ChannelName) {
        if let Some(channel) = self.0.upgrade().and_then(|hub| hub.channels.peek(name)) {
            channel.changed_elsewhere();
        }
    }
}

fn flatten<T>(poll: Result<Poll<T>, HubError>) -> Poll<Result<T, HubError>> {
    match poll {
        Ok(poll) => poll.map(Ok),
        Err(error) => Poll::Ready(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tidewire_channel::{Budget, Since};
    use tidewire_store::Message;

    use super::*;
    use crate::channel::Watch;
    use crate::channel_state::{Published, Waiter};

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    #[test]
    fn a_woken_worker_is_not_woken_again_before_it_reads() {
        let hub = Hub::new(HubConfig::default(), 1);
        let channel = hub.channel(&name("a")).unwrap();
        let Watch::Waiting(_) = channel.watch(channel.head(), channel.head(), Waiter::Worker(0)) else {
            panic!("must wait")
        };
        for _ in 0..3 {
            hub.publish(&name("a"), Message::new("x".into(), 0), None).unwrap();
        }
        let mut news = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(hub.inbox(0).poll_take(&mut cx, &mut news).is_ready());
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].read(Since::Earliest, Budget::UNLIMITED).messages.len(), 3);
    }

    #[test]
    fn any_number_of_tasks_wait_beside_a_worker() {
        let hub = Hub::new(HubConfig::default(), 1);
        let channel = hub.channel(&name("a")).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        // More than the default limit of a log.
        let mut waiting: Vec<_> = (0..100_001).map(|_| channel.changed(channel.head())).collect();
        assert!(waiting.iter_mut().all(|changed| Pin::new(changed).poll(&mut cx).is_pending()));
        assert!(matches!(
            channel.watch(channel.head(), channel.head(), Waiter::Worker(0)),
            Watch::Waiting(_)
        ));
    }

    #[test]
    fn a_publish_with_a_known_key_appends_nothing() {
        let hub = Hub::new(HubConfig::default(), 1);
        let publish = |key| hub.publish(&name("a"), Message::new("x".into(), 0), Some(key)).unwrap();
        let first = publish(b"k1");
        assert!(!first.duplicate);
        assert_eq!(publish(b"k1"), Published { duplicate: true, ..first });
        assert!(!publish(b"k2").duplicate);
        let other = hub.publish(&name("a"), Message::new("y".into(), 0), Some(b"k1"));
        assert_eq!(other, Err(HubError::KeyTaken));
        assert_eq!(HubError::KeyTaken.status(), 422);
        let elsewhere = hub.publish(&name("b"), Message::new("y".into(), 0), Some(b"k1"));
        assert!(elsewhere.is_ok(), "another channel may use the same key");
    }

    #[test]
    fn an_exceeded_limit_is_an_error() {
        let config = HubConfig { max_message: 3, max_channels: 1, ..HubConfig::default() };
        let hub = Hub::new(config, 1);
        let publish =
            |channel, data: &'static str| hub.publish(&name(channel), Message::new(data.into(), 0), None);
        assert_eq!(publish("a", "1234").unwrap_err().status(), 413);
        assert!(publish("a", "123").is_ok());
        assert_eq!(publish("b", "1").unwrap_err(), HubError::TooManyChannels(1));
    }

    #[test]
    fn an_idle_channel_is_forgotten_and_a_watched_one_is_not() {
        let config = HubConfig { idle: Duration::ZERO, ..HubConfig::default() };
        let hub = Hub::new(config, 1);
        hub.channel(&name("idle")).unwrap();
        let watched = hub.channel(&name("watched")).unwrap();
        let wait = || watched.watch(watched.head(), watched.head(), Waiter::Worker(0));
        assert!(matches!(wait(), Watch::Waiting(_)));
        hub.sweep();
        assert_eq!(hub.channels(), 1);
        watched.leave(0);
        hub.sweep();
        assert_eq!(hub.channels(), 0);
        assert!(matches!(wait(), Watch::Closed));
        let again = hub.channel(&name("watched")).unwrap();
        assert_eq!(again.head(), watched.head(), "nothing was ever published");
    }
}
