//! A subscription: one cursor that all connections and feeds share.
//!
//! Everything runs inside the caller's poll: one future that reads, delivers and recovers. It puts
//! an event into a slot, and continues when the caller asks for the next event. So the client reads
//! only while the caller asks, there is no task to stop and no queue to bound, and a caller can
//! drop `next()` halfway without a loss.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::cursor::Step;
use crate::error::{Awaited, Protocol};
use crate::feeds::poll::{PollParameters, poll};
use crate::feeds::{StreamingFeed, longpoll};
use crate::item::Item;
use crate::kept::KeptConnection;
use crate::position::Position;
use crate::recovery::{Decision, Recovery};
use crate::settings::Settings;
use crate::time::after;
use crate::{Cursor, Error, Event, Feed, Options};

/// The messages of a channel, in order, each once.
///
/// Call [`next`](Self::next) in a loop, or use the subscription as a `Stream`. It makes, checks and
/// replaces connections during these calls, and reads nothing between them. So call again soon: a
/// server drops a reader that reads nothing for a minute. This costs a new connection, but no
/// message.
///
/// ```no_run
/// use tidewire_client::{Client, Cursor, Error, Event, Options, Since};
///
/// # async fn read(stored: Option<Cursor>) -> Result<(), Error> {
/// let since = stored.map_or(Since::Earliest, Since::After);
/// let client = Client::new("http://127.0.0.1:8080/c/demo")?;
/// let mut events = client.subscribe(Options::DEFAULT.with_since(since));
/// loop {
///     match events.next().await? {
///         Event::Message(message) => println!("{}: {:?}", message.cursor, message.text()),
///         Event::Gap { missed, .. } => println!("{missed} messages are lost"),
///         Event::Reset { .. } => println!("the log is new: load the state again"),
///         _ => {} // connected, disconnected
///     }
/// }
/// # }
/// ```
pub struct Subscription {
    run: Pin<Box<dyn Future<Output = Error> + Send>>,
    slot: EventSlot,
    cursor: Option<Cursor>,
    ended: Option<Error>,
}

impl Subscription {
    pub(crate) fn new(settings: Arc<Settings>, options: Options) -> Self {
        let slot = EventSlot::default();
        let cursor = match &options.since {
            crate::Since::After(cursor) => Some(cursor.clone()),
            _ => None,
        };
        let position = Position::new(cursor.clone());
        let driver = Driver { settings, slot: slot.clone(), position, last_hole: None };
        Self { run: Box::pin(driver.run(options)), slot, cursor, ended: None }
    }

    /// The next event. If you drop the future, nothing is lost, so you can use it in a `select!` or
    /// with a timeout.
    ///
    /// # Errors
    /// Errors for which another attempt is useless: the server itself refuses ([`Error::Refused`]),
    /// an answer is over the limit ([`Error::TooLarge`]), every feed is compressed on the way
    /// ([`Protocol::ContentCoding`]), the retry limit is reached ([`Error::GaveUp`]), or the server
    /// asks its readers to stop ([`Error::Stopped`]). Each later call returns the same error. A
    /// temporary error is an [`Event::Disconnected`], and the subscription reconnects.
    pub async fn next(&mut self) -> Result<Event, Error> {
        poll_fn(|context| self.poll(context)).await
    }

    /// The position after the last event that was returned. Store it to subscribe again later. It
    /// is `None` until the first connection, unless [`Since::After`](crate::Since::After) was
    /// given.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        if let Some(error) = &self.ended {
            return Poll::Ready(Err(error.clone()));
        }
        if let Poll::Ready(error) = self.run.as_mut().poll(context) {
            self.ended = Some(error.clone());
            return Poll::Ready(Err(error));
        }
        let Some(event) = self.slot.take() else { return Poll::Pending };
        if let Some(cursor) = event.cursor() {
            self.cursor = Some(cursor.clone());
        }
        Poll::Ready(Ok(event))
    }
}

impl futures_core::Stream for Subscription {
    type Item = Result<Event, Error>;

    /// The same as [`next`](Subscription::next). The stream ends after an error. At
    /// [`Error::Stopped`] it ends without yielding the error.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended.is_some() {
            return Poll::Ready(None);
        }
        this.poll(context).map(|next| if matches!(next, Err(Error::Stopped)) { None } else { Some(next) })
    }
}

/// Holds an event between the future that made it and the caller that takes it.
#[derive(Clone, Default)]
struct EventSlot(Arc<Mutex<Option<Event>>>);

impl EventSlot {
    fn take(&self) -> Option<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Passes an event to the caller. Returns when the caller has taken it and asks for more.
    async fn put(&self, event: Event) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(event);
        let mut is_first = true;
        // No waker is needed: the caller takes the event and polls again for the next one.
        poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

/// The state of the future of a subscription.
struct Driver {
    settings: Arc<Settings>,
    slot: EventSlot,
    position: Position,
    /// The position before the last missing numbers.
    last_hole: Option<Cursor>,
}

impl Driver {
    /// Runs until an error for which another attempt is useless.
    async fn run(mut self, options: Options) -> Error {
        let mut recovery = Recovery::new(options, Instant::now());
        loop {
            let feed = recovery.feed();
            recovery.opening(Instant::now());
            let outcome = match feed {
                Feed::LongPoll | Feed::Poll => self.polls(feed, &mut recovery).await,
                Feed::WebSocket | Feed::Sse | Feed::Stream => self.stream(feed, &mut recovery).await,
            };
            let Err(reason) = outcome else { continue };
            match recovery.failed(&reason, Instant::now()) {
                Decision::End(error) => return error,
                Decision::Wait(retry_in) => {
                    tracing::debug!(%feed, %reason, ?retry_in, next = %recovery.feed(), "disconnected");
                    self.slot.put(Event::Disconnected { feed, reason, retry_in }).await;
                    sleep(retry_in).await;
                }
            }
        }
    }

    /// Reads a streaming feed until it fails.
    async fn stream(&mut self, feed: Feed, recovery: &mut Recovery) -> Result<(), Error> {
        let heartbeat = recovery.options().heartbeat_timeout;
        let deadline = after(Instant::now(), self.settings.connect_timeout);
        let since = self.since(recovery.options());
        let timed_out = Error::Timeout(Awaited::FirstBytes);
        let opening = timeout_at(deadline, StreamingFeed::open(feed, &self.settings, &since, deadline));
        let mut streaming = opening.await.map_err(|_| timed_out.clone())??;
        let mut session = Session { feed, is_open: false };
        let mut items = Vec::new();
        loop {
            let read = streaming.read(&mut items);
            let outcome = if session.is_open {
                timeout(heartbeat, read).await.unwrap_or(Err(Error::Timeout(Awaited::Heartbeat)))
            } else {
                timeout_at(deadline, read).await.unwrap_or(Err(timed_out.clone()))
            };
            for item in items.drain(..) {
                self.deliver(item, &mut session, recovery).await?;
            }
            outcome?;
        }
    }

    /// Polls until it fails, or until it is time to try a better feed.
    async fn polls(&mut self, feed: Feed, recovery: &mut Recovery) -> Result<(), Error> {
        let (limit, wanted) = (recovery.options().limit, recovery.options().wait);
        let interval = recovery.options().poll_interval;
        let mut session = Session { feed, is_open: false };
        let mut kept = KeptConnection::new(self.settings.max_message);
        loop {
            let is_first = !session.is_open;
            let wait = longpoll::wait(is_first || feed == Feed::Poll, wanted);
            let began = Instant::now();
            let moves_before = self.position.move_count();
            let deadline = after(began, self.settings.connect_timeout);
            let since = self.since(recovery.options());
            let parameters = PollParameters { feed, since: &since, limit, wait };
            let polling = poll(&mut kept, &self.settings, &parameters, deadline);
            let awaited = if session.is_open { Awaited::Answer } else { Awaited::FirstBytes };
            let answer =
                timeout_at(after(deadline, wait), polling).await.map_err(|_| Error::Timeout(awaited))??;
            if self.position.is_repeated(&answer.items, answer.end.as_ref()) {
                return Err(Protocol::Repeated.into());
            }
            for item in answer.items {
                self.deliver(item, &mut session, recovery).await?;
            }
            let has_moved = self.position.move_count() != moves_before;
            if !has_moved {
                self.position.confirm(answer.end.as_ref());
            } else if self.position.has_too_many_losses() {
                return Err(Protocol::Repeated.into());
            }
            let is_first_due = recovery.is_first_due(Instant::now());
            sleep(match feed {
                _ if has_moved => Duration::ZERO,
                Feed::LongPoll if is_first_due => interval,
                Feed::LongPoll if is_first => Duration::ZERO,
                Feed::LongPoll => longpoll::pause(wait, began.elapsed(), interval),
                _ => interval,
            })
            .await;
            if is_first_due {
                recovery.return_to_first();
                return Ok(());
            }
        }
    }

    /// Passes an item to the caller as an event, then moves the cursor.
    async fn deliver(
        &mut self,
        item: Item,
        session: &mut Session,
        recovery: &mut Recovery,
    ) -> Result<(), Error> {
        if let Item::Hello(cursor) = &item {
            self.position.start(cursor);
        }
        if !session.is_open && !matches!(item, Item::Retry(_)) {
            session.is_open = true;
            recovery.opened(Instant::now());
            self.slot
                .put(Event::Connected { feed: session.feed, cursor: self.position.cursor().cloned() })
                .await;
        }
        match self.position.step(&item) {
            Step::New => {}
            Step::Duplicate => return Ok(()),
            Step::Hole(missed) => self.report_hole(missed).await?,
        }
        match item {
            Item::Hello(_) => {}
            Item::Retry(wait) => recovery.set_retry(wait),
            Item::Message(message) => {
                recovery.progressed();
                let cursor = message.cursor.clone();
                self.slot.put(Event::Message(message)).await;
                self.position.advance(cursor);
            }
            Item::Gap { from, cursor, missed } => {
                self.slot.put(Event::Gap { from, cursor: cursor.clone(), missed }).await;
                self.position.skip(cursor);
            }
            Item::Reset { reason, cursor } => {
                self.slot.put(Event::Reset { reason, cursor: cursor.clone() }).await;
                self.position.reset(cursor);
            }
        }
        Ok(())
    }

    /// Handles missing sequence numbers. Numbers have no gaps on the server, so this is a loss that
    /// the server did not report. The first time, the feed is cut, because the log may still have
    /// the messages. If numbers are missing again at the same place, the caller gets a gap.
    async fn report_hole(&mut self, missed: u64) -> Result<(), Error> {
        let Some(from) = self.position.cursor().cloned() else { return Ok(()) };
        if self.last_hole.as_ref() != Some(&from) {
            self.last_hole = Some(from);
            return Err(Protocol::Hole { missed }.into());
        }
        self.slot.put(Event::Gap { cursor: from.clone(), from, missed }).await;
        Ok(())
    }

    fn since(&self, options: &Options) -> String {
        self.position.cursor().map_or_else(|| options.since.to_string(), ToString::to_string)
    }
}

/// One connection, or one run of polls.
struct Session {
    feed: Feed,
    is_open: bool,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("cursor", &self.cursor)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
