//! One publish in progress.

use std::sync::Arc;

use tidewire_store::{Batch, ChannelName, Message, Once};

use crate::channel::Channel;
use crate::channel_state::Publishing;
use crate::room::PlaceInLine;

/// One publish in progress, for [`Hub::poll_publish`](crate::Hub::poll_publish). Dropping it gives
/// up its place in the line. If the message was already sent to the store, that cancels nothing.
///
/// ```
/// use std::future::poll_fn;
/// use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Publication};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let hub = Hub::new(HubConfig::DEFAULT, 0);
/// let message = Message::new("high".into(), hub.wall_ms());
/// let mut publication = Publication::new(ChannelName::new("tide")?, message, Some(b"key-1"));
/// let published = poll_fn(|cx| hub.poll_publish(cx, &mut publication)).await?;
/// assert!(!published.duplicate);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Publication {
    pub(crate) name: ChannelName,
    pub(crate) messages: Batch,
    pub(crate) once: Once,
    pub(crate) close: bool,
    /// The channel whose line it is in.
    channel: Option<Arc<Channel>>,
    pub(crate) place: Option<PlaceInLine>,
    /// What the store will answer, after the message was sent to it.
    pub(crate) publishing: Option<Publishing>,
}

impl Publication {
    /// A message for a channel. [`Hub::publish`](crate::Hub::publish) says what `key` does.
    pub fn new(name: ChannelName, message: Message, key: Option<&[u8]>) -> Self {
        // Hash here, where no lock is held.
        let once = key.map(|text| Once::Key { text: text.into(), fingerprint: message.fingerprint() });
        let (messages, once) = (Batch::One(Arc::new(message)), once.unwrap_or_default());
        Publication { name, messages, once, close: false, channel: None, place: None, publishing: None }
    }

    /// Ends a channel for good, without a last message.
    pub fn close(name: ChannelName) -> Self {
        let (messages, once) = (Batch::None, Once::No);
        Publication { name, messages, once, close: true, channel: None, place: None, publishing: None }
    }

    /// Numbers the message as one of a producer: the number `seq`, from 0 on, of the run `epoch` of
    /// the producer. The same message sent again appends nothing. A run with a higher epoch ends
    /// the runs before it. Replaces the key.
    #[must_use]
    pub fn with_producer(mut self, id: &str, epoch: u64, seq: u64) -> Self {
        self.once = Once::Producer { id: id.into(), epoch, seq };
        self
    }

    /// Makes the message the last one: the channel ends with it for good.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        self.messages.as_slice().iter().map(|message| message.data().len()).sum()
    }

    /// Whether the message was sent to the store. Then nothing waits for it, and it need not be
    /// polled.
    pub(crate) fn is_sent(&self) -> bool {
        self.publishing.is_some()
    }

    /// What the store will answer.
    ///
    /// # Errors
    /// The same publication, if the message was not sent to the store.
    pub(crate) fn into_sent(mut self) -> Result<Publishing, Self> {
        self.publishing.take().ok_or(self)
    }

    /// The channel whose line it is in.
    pub(crate) fn channel(&self) -> Option<&Arc<Channel>> {
        self.channel.as_ref()
    }

    pub(crate) fn waits_at(&mut self, channel: Arc<Channel>, place: Option<PlaceInLine>) {
        self.channel = Some(channel);
        self.place = place;
    }

    /// Notes that this publication has left the line. The channel removes it when the publish is
    /// done or refused.
    pub(crate) fn waits_no_more(&mut self) {
        self.channel = None;
        self.place = None;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if let (Some(channel), Some(place)) = (&self.channel, self.place) {
            channel.leave_line(place);
        }
    }
}
