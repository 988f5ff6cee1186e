//! The hub: channels by name, shared by all workers. Publishing is in `publishing.rs`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use tidewire_server::Inbox;
use tidewire_store::ChannelName;

use crate::channel::Channel;
use crate::config::HubConfig;
use crate::counters::{Counters, Work};
use crate::directory::Directory;
use crate::error::HubError;

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
    config: HubConfig,
    clock: Clock,
    /// Used only for the times of messages, because it may step back.
    wall: Box<dyn Fn() -> u64 + Send + Sync>,
    channels: Directory,
    inboxes: Vec<Inbox<Arc<Channel>>>,
    /// Read under the lock of a channel. The lock orders it with appends to that channel.
    pub(crate) stopped: AtomicBool,
    pub(crate) counters: Counters,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Hub {
    /// An empty hub for `workers` workers. Each of them has a [`Site`](crate::Site), so pass the
    /// number of [threads](tidewire_server::Server::threads) of the server. Pass 0 if no site is
    /// served.
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
        Arc::new(Hub {
            channels: Directory::new(config.max_channels),
            config,
            clock: Clock::new(),
            wall: Box::new(wall),
            inboxes: (0..workers).map(|_| Inbox::new()).collect(),
            stopped: AtomicBool::new(false),
            counters: Counters::default(),
        })
    }

    /// The limits of this hub.
    pub fn config(&self) -> &HubConfig {
        &self.config
    }

    /// Milliseconds since the hub was made. Never steps back.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The same for an earlier moment.
    pub(crate) fn ms_at(&self, at: Instant) -> u64 {
        self.clock.ms_at(at)
    }

    /// The wall clock in milliseconds since 1970, for [`Message::new`](crate::Message::new).
    pub fn wall_ms(&self) -> u64 {
        (self.wall)()
    }

    /// The channel with this name. Creates it if there is none.
    ///
    /// # Errors
    /// [`HubError::TooManyChannels`].
    pub fn channel(&self, name: &ChannelName) -> Result<Arc<Channel>, HubError> {
        self.channels.find_or_add(name, self.now_ms(), || Channel::new(name.clone(), &self.config))
    }

    /// The channel with this name, if there is one.
    pub(crate) fn find_channel(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        self.channels.find(name, self.now_ms())
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

    /// Tells a waiting worker that a channel has a new message.
    pub(crate) fn send_news(&self, worker: u16, channel: &Arc<Channel>) {
        self.counters.wakes.add(1);
        self.inboxes[usize::from(worker)].push(channel.clone());
    }

    /// The number of workers that the hub was made for.
    pub(crate) fn workers(&self) -> usize {
        self.inboxes.len()
    }

    /// The inbox of a worker, which receives channels with new messages.
    pub(crate) fn inbox(&self, worker: u16) -> Inbox<Arc<Channel>> {
        self.inboxes[usize::from(worker)].clone()
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
        self.channels.sweep_some(from, self.now_ms())
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

/// A clock that never steps back, whatever happens to the wall clock.
#[derive(Debug)]
struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Clock(Instant::now())
    }

    fn now_ms(&self) -> u64 {
        self.ms_at(Instant::now())
    }

    fn ms_at(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.0).as_millis() as u64
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
        assert_ne!(again.head().epoch(), watched.head().epoch(), "a new log has a new epoch");
    }
}
