//! One publish in progress.

use std::sync::Arc;

use tidewire_channel::Fingerprint;
use tidewire_store::{ChannelName, Message};

use crate::channel::Channel;
use crate::channel_state::IdempotencyKey;
use crate::room::PlaceInLine;

/// One publish in progress, for [`Hub::poll_publish`](crate::Hub::poll_publish). Dropping it gives
/// up its place in the line.
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
    pub(crate) message: Arc<Message>,
    key: Option<(Box<[u8]>, Fingerprint)>,
    /// The channel whose line it is in.
    channel: Option<Arc<Channel>>,
    pub(crate) place: Option<PlaceInLine>,
}

impl Publication {
    /// A message for a channel. [`Hub::publish`](crate::Hub::publish) says what `key` does.
    pub fn new(name: ChannelName, message: Message, key: Option<&[u8]>) -> Self {
        // Hash here, where no lock is held.
        let key = key.map(|text| (text.into(), message.fingerprint()));
        Publication { name, message: Arc::new(message), key, channel: None, place: None }
    }

    /// The message to publish.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn key(&self) -> Option<IdempotencyKey<'_>> {
        self.key.as_ref().map(|(text, fingerprint)| IdempotencyKey { text, fingerprint: *fingerprint })
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
