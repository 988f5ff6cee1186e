//! Publishing. A publisher only appends; the workers encode and deliver later.
//!
//! ```text
//!   publish ───────────► append ──► waiters of the channel: Inbox of worker 0, 1, …  (once until they read)
//!                          ▲   (appending.rs)          └──► Waker of a task
//!   publish_when_room ─► is there room for it? (room.rs)
//! ```

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use tidewire_store::{ChannelName, Message};

use crate::appending::Sent;
use crate::channel_state::{Append, AppendedBy, Published};
use crate::error::HubError;
use crate::hub::Hub;
use crate::publication::Publication;

impl Hub {
    /// Appends a message and wakes its readers, without waiting.
    ///
    /// With an idempotency `key`, a message whose key is known is not appended again. If the key
    /// belongs to a different message, it is refused. If the time of the message is earlier than
    /// that of the previous message, it takes that time.
    ///
    /// A flood of messages evicts earlier ones before they are delivered, and their readers get a
    /// gap. To avoid that, use [`publish_when_room`](Self::publish_when_room).
    ///
    /// This is for a store that answers at once, as the one in memory does.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended. Except for [`HubError::Store`], which says what is known,
    /// and [`HubError::NotReady`]: the message may be kept later.
    pub fn publish(
        &self,
        name: &ChannelName,
        message: Message,
        key: Option<&[u8]>,
    ) -> Result<Published, HubError> {
        let publication = Publication::new(name.clone(), message, key);
        self.check_len(&publication)?;
        loop {
            let Poll::Ready(channel) = self.poll_channel(name, true, Waker::noop())? else {
                return Err(HubError::NotReady);
            };
            match channel.append(self.publisher_appends(&publication))? {
                // The hub forgot the channel after the look-up: look it up again.
                Sent::Over => {}
                Sent::Done(published) => return Ok(published),
                Sent::Flying(publishing) => {
                    return match publishing.poll(&Context::from_waker(Waker::noop())) {
                        Poll::Ready(outcome) => outcome,
                        Poll::Pending => Err(HubError::NotReady),
                    };
                }
            }
        }
    }

    /// [Publishes](Self::publish) as soon as there is room: when the message evicts nothing that a
    /// worker has still to deliver to readers that keep up. So a flood slows its publisher.
    /// Publishers get room in the order in which they came. If the key is known, returns at once.
    ///
    /// If there is no room after 5 s, the next [`sweep`](Self::sweep) wakes the publisher, and the
    /// message is appended without room. Needs no particular runtime.
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

    /// Polls a publish as [`publish_when_room`](Self::publish_when_room) does. A publication that
    /// waits must be polled when it is woken, or dropped, because later publishers wait for it. Do
    /// not poll it after `Ready`: that would publish again.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn poll_publish(
        &self,
        cx: &mut Context<'_>,
        publication: &mut Publication,
    ) -> Poll<Result<Published, HubError>> {
        self.check_len(publication)?;
        loop {
            if let Some(publishing) = &publication.publishing {
                let outcome = publishing.poll(cx);
                if outcome.is_ready() {
                    publication.publishing = None;
                }
                return outcome;
            }
            let channel = match publication.channel() {
                Some(channel) => channel.clone(),
                None => match self.poll_channel(&publication.name, true, cx.waker())? {
                    Poll::Ready(channel) => channel,
                    Poll::Pending => return Poll::Pending,
                },
            };
            let mut place = publication.place;
            let append = self.publisher_appends(publication);
            let Poll::Ready(sent) = channel.poll_append(append, &mut place, cx) else {
                publication.waits_at(channel, place);
                return Poll::Pending;
            };
            publication.waits_no_more();
            match sent? {
                // The hub forgot the channel: look it up again.
                Sent::Over => {}
                Sent::Done(published) => return Poll::Ready(Ok(published)),
                Sent::Flying(publishing) => publication.publishing = Some(publishing),
            }
        }
    }

    fn publisher_appends<'a>(&'a self, publication: &'a Publication) -> Append<'a> {
        Append {
            now_ms: self.now_ms(),
            messages: &publication.messages,
            once: &publication.once,
            close: publication.close,
            by: AppendedBy::Publisher,
            stopped: &self.stopped,
        }
    }

    fn check_len(&self, publication: &Publication) -> Result<(), HubError> {
        let (len, limit) = (publication.len(), self.config().max_message);
        if len > limit { Err(HubError::MessageTooLarge { len, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidewire_channel::Retention;

    use super::*;
    use crate::channel::{Channel, Watch};
    use crate::channel_state::Waiter;
    use crate::config::HubConfig;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    /// A hub whose channel `a` is full, with a message that worker 0 has still to serve.
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
    fn a_dropped_publication_does_not_block_others() {
        let (hub, channel) = full();
        let (mut first, mut second) = (publication(None), publication(None));
        assert!(poll(&hub, &mut first).is_pending() && poll(&hub, &mut second).is_pending());
        watch(&channel);
        assert!(poll(&hub, &mut second).is_pending(), "another is the first");
        drop(first);
        assert!(poll(&hub, &mut second).is_ready());
    }

    #[test]
    fn a_waiting_publisher_is_refused_when_the_server_stops_or_an_upload_begins() {
        let (hub, channel) = full();
        let mut waits = publication(None);
        assert!(poll(&hub, &mut waits).is_pending());
        assert!(channel.begin_upload(None).unwrap());
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
