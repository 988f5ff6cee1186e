//! A subscription: one cursor, carried from connection to connection and from feed to feed.
//!
//! Everything runs inside the caller's poll: one future that reads, delivers and recovers, in that order. It hands an event over
//! through a slot and goes on when the caller comes for the next one. So nothing is read while nobody listens, there is
//! no task to stop and no queue to bound, and dropping `next()` halfway loses nothing.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::Settings;
use crate::cursor::Step;
use crate::error::{Awaited, Protocol};
use crate::feeds::poll::Question;
use crate::feeds::{Item, Live, longpoll, poll};
use crate::recovery::{Recovery, Verdict};
use crate::{Cursor, Error, Event, Feed, Options};

/// The messages of a channel, in order, each once.
///
/// Ask for [`next`](Self::next) in a loop, or use it as a `Stream`. Connections are made, watched and replaced
/// while it is being asked; between two calls nothing is read, so call it again soon: a server drops a reader that takes nothing
/// for a minute (which costs no message, only a new connection).
pub struct Subscription {
    run: Pin<Box<dyn Future<Output = Error> + Send>>,
    slot: Slot,
    cursor: Option<Cursor>,
    ended: Option<Error>,
}

impl Subscription {
    pub(crate) fn new(settings: Arc<Settings>, options: Options) -> Self {
        let slot = Slot::default();
        let cursor = match &options.since {
            crate::Since::After(cursor) => Some(cursor.clone()),
            _ => None,
        };
        let driver = Driver { settings, slot: slot.clone(), cursor: cursor.clone(), hole: None };
        Self { run: Box::pin(driver.run(options)), slot, cursor, ended: None }
    }

    /// The next event. Dropping the future loses nothing, so it can stand in a `select!` or under a timeout.
    ///
    /// # Errors
    /// What coming back does not help against: the server refuses in its own words ([`Error::Refused`]), an answer is over the
    /// limit ([`Error::TooLarge`]), the retry limit is reached ([`Error::GaveUp`]). Each later call returns the same error. What may
    /// pass is told as [`Event::Disconnected`] and seen to.
    pub async fn next(&mut self) -> Result<Event, Error> {
        poll_fn(|context| self.poll(context)).await
    }

    /// The position after the last event that was handed out: what to store, and to subscribe with again. `None` as long as no
    /// connection was made and [`Since::After`](crate::Since::After) was not given.
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

    /// As [`next`](Subscription::next); ends after an error.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended.is_some() {
            return Poll::Ready(None);
        }
        this.poll(context).map(Some)
    }
}

/// Where an event lies between the future that made it and the caller who takes it.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Event>>>);

impl Slot {
    fn take(&self) -> Option<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hands an event over. Returns when the caller has it and asks for more.
    async fn put(&self, event: Event) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(event);
        let mut is_first = true;
        // No waker: whoever takes the event polls again for the next one.
        poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

/// What the future of a subscription owns.
struct Driver {
    settings: Arc<Settings>,
    slot: Slot,
    /// The position after the last message delivered.
    cursor: Option<Cursor>,
    /// Where a hole was met before.
    hole: Option<Cursor>,
}

impl Driver {
    /// Runs until nothing can be done any more.
    async fn run(mut self, options: Options) -> Error {
        let mut recovery = Recovery::new(options, Instant::now());
        loop {
            let feed = recovery.feed();
            recovery.begins(Instant::now());
            let outcome = match feed {
                Feed::LongPoll | Feed::Poll => self.polls(feed, &mut recovery).await,
                Feed::WebSocket | Feed::Sse | Feed::Stream => self.stream(feed, &mut recovery).await,
            };
            let Err(reason) = outcome else { continue };
            match recovery.fails(&reason, Instant::now()) {
                Verdict::End(error) => return error,
                Verdict::Wait(retry_in) => {
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
        let deadline = Instant::now() + self.settings.connect_timeout;
        let since = self.since(recovery.options());
        let silent = Error::Timeout(Awaited::FirstBytes);
        let opening = timeout_at(deadline, Live::open(feed, &self.settings, &since, deadline));
        let mut live = opening.await.map_err(|_| silent.clone())??;
        let mut session = Session { feed, is_open: false };
        let mut items = Vec::new();
        loop {
            let read = live.read(&mut items);
            let outcome = if session.is_open {
                timeout(heartbeat, read).await.unwrap_or(Err(Error::Timeout(Awaited::Heartbeat)))
            } else {
                timeout_at(deadline, read).await.unwrap_or(Err(silent.clone()))
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
        let (mut kept, mut was_gone) = (None, false);
        loop {
            let wait = longpoll::wait(!session.is_open || feed == Feed::Poll, wanted);
            let began = Instant::now();
            let deadline = began + self.settings.connect_timeout;
            let since = self.since(recovery.options());
            let question = Question { feed, since: &since, limit, wait };
            let asking = poll::ask(&mut kept, &self.settings, &question, deadline);
            let silent = if session.is_open { Awaited::Answer } else { Awaited::FirstBytes };
            let answer = timeout_at(deadline + wait, asking).await.map_err(|_| Error::Timeout(silent))??;
            for item in answer.items {
                self.deliver(item, &mut session, recovery).await?;
            }
            if recovery.may_prefer(Instant::now()) {
                recovery.prefers();
                return Ok(());
            }
            // A server that does not know the cursor it has just named must not be asked without a pause.
            let any = answer.any && !(was_gone && answer.is_gone);
            was_gone = answer.is_gone;
            sleep(match feed {
                Feed::LongPoll => longpoll::pause(any, wait, began.elapsed(), interval),
                _ => poll::pause(any, interval),
            })
            .await;
        }
    }

    /// Tells the caller what a feed said, and moves the cursor once that is done.
    async fn deliver(
        &mut self,
        item: Item,
        session: &mut Session,
        recovery: &mut Recovery,
    ) -> Result<(), Error> {
        if let Item::Hello(cursor) = &item {
            // A reader that has a cursor knows better: to take another one here would skip messages in silence.
            self.cursor.get_or_insert_with(|| cursor.clone());
        }
        if !session.is_open && !matches!(item, Item::Retry(_)) {
            session.is_open = true;
            recovery.opens(Instant::now());
            self.slot.put(Event::Connected { feed: session.feed, cursor: self.cursor.clone() }).await;
        }
        let event = match item {
            Item::Hello(_) => return Ok(()),
            Item::Retry(wait) => {
                recovery.hints(wait);
                return Ok(());
            }
            Item::Message(message) => {
                match self.cursor.as_ref().map_or(Step::New, |cursor| cursor.step_to(&message.cursor)) {
                    Step::New => {}
                    Step::Duplicate => return Ok(()),
                    Step::Hole(missed) => self.meet_hole(missed).await?,
                }
                recovery.progresses();
                Event::Message(message)
            }
            Item::Gap { from, cursor, missed } => Event::Gap { from, cursor, missed },
            Item::Reset { reason, cursor } => Event::Reset { reason, cursor },
        };
        let cursor = event.cursor().cloned();
        self.slot.put(event).await;
        self.cursor = cursor;
        Ok(())
    }

    /// Numbers are dense, so a hole is a loss that nobody told. The first time, the feed is cut: it may have lost what the log
    /// still has. When it comes again at the same place, the caller is told.
    async fn meet_hole(&mut self, missed: u64) -> Result<(), Error> {
        let Some(from) = self.cursor.clone() else { return Ok(()) };
        if self.hole.as_ref() != Some(&from) {
            self.hole = Some(from);
            return Err(Protocol::Hole { missed }.into());
        }
        self.slot.put(Event::Gap { cursor: from.clone(), from, missed }).await;
        Ok(())
    }

    fn since(&self, options: &Options) -> String {
        self.cursor.as_ref().map_or_else(|| options.since.to_string(), ToString::to_string)
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
