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

use crate::error::{Awaited, Protocol};
use crate::feeds::poll::{PollParameters, poll};
use crate::feeds::{StreamingFeed, longpoll};
use crate::item::Item;
use crate::kept::KeptConnection;
use crate::position::{Position, Step};
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
///         Event::End { .. } => println!("nothing follows"),
///         _ => {} // deleted, connected, disconnected
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
        let position = Position::new(cursor.clone(), settings.url.channels());
        let driver =
            Driver { settings, slot: slot.clone(), position, last_doubt: None, is_deletion_told: false };
        Self { run: Box::pin(driver.run(options)), slot, cursor, ended: None }
    }

    /// The next event. If you drop the future, nothing is lost, so you can use it in a `select!` or
    /// with a timeout.
    ///
    /// # Errors
    /// Errors for which another attempt is useless: all channels have ended ([`Error::Ended`],
    /// after an [`Event::End`] for each), a channel was deleted ([`Error::Deleted`], after an
    /// [`Event::Deleted`]), the server itself refuses ([`Error::Refused`]), an answer is over the
    /// limit ([`Error::TooLarge`]), every feed is compressed on the way
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
    /// [`Error::Ended`] and [`Error::Stopped`] it ends without yielding the error.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended.is_some() {
            return Poll::Ready(None);
        }
        this.poll(context).map(|next| match next {
            Err(Error::Ended | Error::Stopped) => None,
            next => Some(next),
        })
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
    /// The position at which an item last did not follow.
    last_doubt: Option<Cursor>,
    is_deletion_told: bool,
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
            let reason = self.tell_end(reason).await;
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
            if !answer.is_closed && self.position.is_repeated(&answer.items, answer.end.as_ref()) {
                return Err(Protocol::Repeated.into());
            }
            for item in answer.items {
                self.deliver(item, &mut session, recovery).await?;
            }
            if let Some(end) = &answer.end {
                self.check_end_of_poll(end, answer.is_closed).await?;
                if answer.is_closed {
                    return Err(self.end_of_all(end).await.err().unwrap_or(Error::Ended));
                }
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
        // A reader that begins after an end has not been told it.
        let is_end_here = matches!(&item, Item::End { cursor, .. } if Some(cursor) == self.position.cursor());
        match self.position.step(&item) {
            Step::New => {}
            Step::Duplicate if is_end_here => {}
            Step::Duplicate => return Ok(()),
            Step::Hole(missed) => self.accept_hole(missed).await?,
            Step::Returned => self.accept_return(&item).await?,
            Step::Foreign => return Err(Protocol::Foreign.into()),
        }
        match item {
            Item::Hello(_) => {}
            Item::Retry(wait) => recovery.set_retry(wait),
            Item::Message(mut message) => {
                recovery.progressed();
                message.cursor = self.position.after(message.cursor, message.channel.as_deref());
                let cursor = message.cursor.clone();
                self.slot.put(Event::Message(message)).await;
                self.position.advance(cursor);
            }
            Item::Gap { from, cursor, missed } => {
                let cursor = self.position.after(cursor, None);
                self.slot.put(Event::Gap { from, cursor: cursor.clone(), missed }).await;
                self.position.skip(cursor);
            }
            Item::Reset { reason, cursor } => {
                let cursor = self.position.after_reset(&reason, &cursor);
                self.slot.put(Event::Reset { reason: reason.clone(), cursor: cursor.clone() }).await;
                self.position.reset(&reason, cursor);
            }
            Item::End { channel, cursor } => {
                recovery.progressed();
                let index = self.position.ending(channel.as_deref(), &cursor);
                let cursor = self.position.after(cursor, channel.as_deref());
                if let Some(index) = index.filter(|&index| self.position.is_open(index)) {
                    self.slot.put(Event::End { channel, cursor: cursor.clone() }).await;
                    self.position.end(index, cursor);
                }
                if self.position.open_channels().next().is_none() {
                    return Err(Error::Ended);
                }
            }
            Item::Deleted { channel } => {
                self.tell_deletion(channel.clone()).await;
                return Err(Error::Deleted { channel });
            }
        }
        Ok(())
    }

    /// If the reader is not to come back, tells the caller what the server has not told in so many
    /// words. Returns the reason for the caller.
    async fn tell_end(&mut self, reason: Error) -> Error {
        match (&reason, self.position.cursor().cloned()) {
            (Error::Ended, Some(end)) => self.end_of_all(&end).await.err().unwrap_or(reason),
            // The server answers 204 to a reader for which there is nothing more. After an end, the
            // reader has all that there will be.
            (Error::Stopped, Some(end)) if self.position.is_at_end() => {
                self.end_of_all(&end).await.err().unwrap_or(Error::Ended)
            }
            (Error::Deleted { channel }, _) => {
                self.tell_deletion(channel.clone()).await;
                reason
            }
            _ => reason,
        }
    }

    /// Checks that the answer of a poll ends after its last item. If it goes on without items for
    /// the second time, the caller gets a gap.
    async fn check_end_of_poll(&mut self, end: &Cursor, is_closed: bool) -> Result<(), Error> {
        let missed = match self.position.step_to_end_of_poll(end, is_closed) {
            Step::New | Step::Duplicate => return Ok(()),
            Step::Hole(missed) => missed,
            Step::Returned | Step::Foreign => return Err(Protocol::Foreign.into()),
        };
        if let Some(from) = self.second_time(Protocol::Hole { missed })? {
            let cursor = self.position.after(end.clone(), None);
            self.slot.put(Event::Gap { from, cursor: cursor.clone(), missed }).await;
            self.position.skip(cursor);
        }
        Ok(())
    }

    /// Tells the end of all channels whose end was not told: the server has said that they all end
    /// at `cursor`.
    async fn end_of_all(&mut self, cursor: &Cursor) -> Result<(), Error> {
        let open: Vec<usize> = self.position.open_channels().collect();
        for index in open {
            let channel = self.position.name(index);
            let cursor = self.position.after(cursor.clone(), None);
            self.slot.put(Event::End { channel, cursor: cursor.clone() }).await;
            self.position.end(index, cursor);
        }
        Ok(())
    }

    async fn tell_deletion(&mut self, channel: Option<String>) {
        if !std::mem::replace(&mut self.is_deletion_told, true) {
            self.slot.put(Event::Deleted { channel }).await;
        }
    }

    /// Handles missing sequence numbers. Numbers have no gaps on the server, so this is a loss that
    /// the server did not report. If the numbers are missing again, the caller gets a gap.
    async fn accept_hole(&mut self, missed: u64) -> Result<(), Error> {
        let from = self.second_time(Protocol::Hole { missed })?;
        if let Some(from) = from {
            self.slot.put(Event::Gap { cursor: from.clone(), from, missed }).await;
        }
        Ok(())
    }

    /// Handles an item of a log that the reader has left with a reset. If it comes again, the log
    /// is in use again. The server did not say so, and the caller gets a reset.
    async fn accept_return(&mut self, item: &Item) -> Result<(), Error> {
        let at = self.second_time(Protocol::Foreign)?;
        if let (Some(cursor), Item::Message(_) | Item::End { .. } | Item::Gap { .. }) = (at, item) {
            self.slot.put(Event::Reset { reason: "unknown-epoch".to_owned(), cursor }).await;
        }
        Ok(())
    }

    /// Returns the position if an item comes there for the second time that does not follow. The
    /// first time is an error that cuts the feed: the next one may have what is missing.
    fn second_time(&mut self, error: Protocol) -> Result<Option<Cursor>, Error> {
        let cursor = self.position.cursor().cloned();
        if self.last_doubt == cursor {
            return Ok(cursor);
        }
        self.last_doubt = cursor;
        Err(error.into())
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
