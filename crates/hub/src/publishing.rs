//! Publishing: what a publisher, or an upload, asks of the hub. Nothing but the append and the
//! wake-ups happens on the publisher's time.
//!
//! ```text
//!   publish ───────────► append ──► waiters of the channel: Inbox of worker 0, 1, …  (once until they read)
//!                          ▲                           └──► Waker of a task
//!   publish_when_room ─► is there room for it? (room.rs)
//! ```

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::channel::Channel;
use crate::channel_state::{Append, AppendOutcome, AppendedBy, Published, Waiter};
use crate::error::HubError;
use crate::hub::Hub;
use crate::message::Message;
use crate::name::ChannelName;
use crate::publication::Publication;

impl Hub {
    /// Appends a message and wakes who waits for it. With a `key`, a message whose key is known is
    /// not appended again; if the key belongs to another message, it is refused.
    /// A message that says an earlier time than the one before it takes that one's.
    ///
    /// It never waits: a flood evicts messages before they are delivered, and their readers are
    /// told a gap. Who can wait uses [`publish_when_room`](Self::publish_when_room).
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended then.
    pub fn publish(
        &self,
        name: &ChannelName,
        message: Message,
        key: Option<&[u8]>,
    ) -> Result<Published, HubError> {
        let publication = Publication::new(name.clone(), message, key);
        self.check_len(&publication.message)?;
        loop {
            let channel = self.channel(name)?;
            let append = self.publisher_appends(&publication);
            // A channel that was forgotten since the look-up is looked up again.
            if let Some(outcome) = channel.append(append)? {
                return Ok(self.wake(&channel, outcome));
            }
        }
    }

    /// [Publishes](Self::publish) when there is room: when the message evicts nothing that a worker
    /// has still to deliver to readers who keep up. So a flood slows its publisher. Nobody takes
    /// the room of a publisher that came before. A key that is known is answered at once.
    ///
    /// It waits no longer than 5 s and until the next [`sweep`](Self::sweep), which wakes it; then
    /// it appends without room. Needs no runtime.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_when_room(
        &self,
        name: &ChannelName,
        message: Message,
        key: Option<&[u8]>,
    ) -> Result<Published, HubError> {
        let mut publication = Publication::new(name.clone(), message, key);
        poll_fn(|cx| self.poll_publish(cx, &mut publication)).await
    }

    /// The step of [`publish_when_room`](Self::publish_when_room). A publication that waits has to
    /// be polled when it is woken, or dropped: those that came later wait for it. After `Ready` it
    /// is done; a further poll would publish once more.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn poll_publish(
        &self,
        cx: &mut Context<'_>,
        publication: &mut Publication,
    ) -> Poll<Result<Published, HubError>> {
        self.check_len(&publication.message)?;
        loop {
            let channel = match publication.channel() {
                Some(channel) => channel.clone(),
                None => self.channel(&publication.name)?,
            };
            let mut place = publication.place;
            let append = self.publisher_appends(publication);
            let Poll::Ready(outcome) = channel.poll_append(append, &mut place, cx) else {
                publication.waits_at(channel, place);
                return Poll::Pending;
            };
            publication.waits_no_more();
            // A channel that was forgotten is looked up again.
            if let Some(outcome) = outcome? {
                return Poll::Ready(Ok(self.wake(&channel, outcome)));
            }
        }
    }

    fn publisher_appends<'a>(&'a self, publication: &'a Publication) -> Append<'a> {
        Append {
            now_ms: self.now_ms(),
            message: &publication.message,
            key: publication.key(),
            by: AppendedBy::Publisher,
            stopped: &self.stopped,
        }
    }

    fn check_len(&self, message: &Message) -> Result<(), HubError> {
        let (len, limit) = (message.data().len(), self.config().max_message);
        if len > limit { Err(HubError::MessageTooLarge { len, limit }) } else { Ok(()) }
    }

    /// Appends what an upload brings to the channel that it has.
    pub(crate) fn append_upload(&self, channel: &Arc<Channel>, message: Message) -> Published {
        let append = Append {
            now_ms: self.now_ms(),
            message: &Arc::new(message),
            key: None,
            by: AppendedBy::Upload,
            stopped: &self.stopped,
        };
        let outcome = channel.append(append);
        let outcome = outcome.expect("an upload is refused nothing: it has no key, and owns the channel");
        self.wake(channel, outcome.expect("a channel with an upload is not forgotten"))
    }

    /// Wakes who waited for a message.
    fn wake(&self, channel: &Arc<Channel>, outcome: AppendOutcome) -> Published {
        for waiter in outcome.woken {
            match waiter {
                Waiter::Worker(worker) => self.send_news(worker, channel),
                Waiter::Task(waker) => waker.wake(),
            }
        }
        outcome.published
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tidewire_channel::Retention;

    use super::*;
    use crate::channel::Watch;
    use crate::config::HubConfig;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    /// A hub whose channel `a` is full of what worker 0 has still to serve.
    fn full() -> (Arc<Hub>, Arc<Channel>) {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let channel = hub.channel(&name("a")).unwrap();
        watch(&channel);
        assert_eq!(poll(&hub, &mut publication(None)).map(|done| done.unwrap().cursor.seq()), Poll::Ready(1));
        (hub, channel)
    }

    /// Worker 0 has served everything.
    fn watch(channel: &Channel) {
        let head = channel.head();
        assert!(matches!(channel.watch(head, head, Waiter::Worker(0)), Watch::Waiting(_)));
    }

    fn publication(key: Option<&[u8]>) -> Publication {
        Publication::new(name("a"), Message::new("x".into(), 0), key)
    }

    fn poll(hub: &Hub, publication: &mut Publication) -> Poll<Result<Published, HubError>> {
        hub.poll_publish(&mut Context::from_waker(Waker::noop()), publication)
    }

    #[test]
    fn a_publication_waits_for_the_workers() {
        let (hub, channel) = full();
        let mut waits = publication(Some(b"key"));
        assert!(poll(&hub, &mut waits).is_pending());
        watch(&channel);
        assert!(matches!(poll(&hub, &mut waits), Poll::Ready(Ok(Published { duplicate: false, .. }))));
        let again = poll(&hub, &mut publication(Some(b"key")));
        assert!(matches!(again, Poll::Ready(Ok(Published { duplicate: true, .. }))), "at once");
        let other = Publication::new(name("a"), Message::new("y".into(), 0), Some(b"key"));
        assert_eq!(poll(&hub, &mut { other }), Poll::Ready(Err(HubError::KeyTaken)));
        assert!(poll(&hub, &mut publication(None)).is_pending());
        channel.leave(0);
        assert!(poll(&hub, &mut publication(None)).is_ready(), "nobody reads");
    }

    #[test]
    fn a_publication_that_is_dropped_keeps_nobody_back() {
        let (hub, channel) = full();
        let (mut first, mut second) = (publication(None), publication(None));
        assert!(poll(&hub, &mut first).is_pending() && poll(&hub, &mut second).is_pending());
        watch(&channel);
        assert!(poll(&hub, &mut second).is_pending(), "another is the first");
        drop(first);
        assert!(poll(&hub, &mut second).is_ready());
    }

    #[test]
    fn who_waits_is_refused_when_the_server_stops_or_an_upload_begins() {
        let (hub, channel) = full();
        let mut waits = publication(None);
        assert!(poll(&hub, &mut waits).is_pending());
        assert!(channel.begin_upload().unwrap());
        assert_eq!(poll(&hub, &mut waits), Poll::Ready(Err(HubError::Uploading)));
        channel.end_upload();
        assert!(poll(&hub, &mut waits).is_pending());
        hub.stop();
        assert_eq!(poll(&hub, &mut waits), Poll::Ready(Err(HubError::Stopping)));
        // It has left the line.
        let no_key = hub.publish(&name("a"), Message::new("x".into(), 0), None);
        assert_eq!(no_key, Err(HubError::Stopping));
    }
}
