//! Reads the bytes of a channel, one message after another. A gap cannot be reported between bytes.
//! So a raw reader either continues exactly at its position, or its position is lost. A reader that
//! asked for the oldest message has no position before it has the first one.

use std::sync::Arc;
use std::task::{Context, Poll};

use tidewire_channel::{Budget, Continuity, Cursor, Since, WaitKey};
use tidewire_store::Message;

use crate::channel::{Channel, Watch};
use crate::channel_state::Waiter;
use crate::fetching::PageAt;
use crate::pages::PageWaiter;
use crate::upload_state::{RawReaderId, RawStart, RawStartError};

/// Reads the payloads of a channel as one sequence of bytes. The upload of the channel may wait for
/// this reader.
#[derive(Debug)]
pub(crate) struct RawReader {
    channel: Arc<Channel>,
    id: RawReaderId,
    position: Cursor,
    /// The position after the message that was returned last.
    after_next: Cursor,
    wait: Option<WaitKey>,
    /// Whether it begins after messages that the store has lost.
    may_skip: bool,
}

/// Why there is no next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawStop {
    /// It is no longer kept, because the reader was too slow, or the store has lost it. Or the
    /// position is of another log by now.
    Broken(RawStartError),
    /// The hub has forgotten the channel, or it was deleted; or the store has failed.
    Lost,
    /// The channel has ended, and the reader has everything.
    Ended,
}

impl RawReader {
    /// Adds a reader to a channel.
    ///
    /// # Errors
    /// [`RawStartError`]: the log cannot continue from this start.
    pub(crate) fn new(channel: &Arc<Channel>, start: RawStart) -> Result<Self, RawStartError> {
        let (id, position) = channel.add_raw_reader(start)?;
        channel.add_subscriber();
        let may_skip = start == RawStart::Earliest;
        Ok(RawReader { channel: channel.clone(), id, position, after_next: position, wait: None, may_skip })
    }

    /// The position after the last message that was taken.
    pub(crate) fn position(&self) -> Cursor {
        self.position
    }

    /// The position counts from now on: the client was told of it.
    pub(crate) fn begin(&mut self) {
        self.may_skip = false;
    }

    /// Whether the channel was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.channel.is_deleted()
    }

    /// Returns the next message without taking it.
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Message>, RawStop>> {
        loop {
            self.unwatch();
            let mut page = self.channel.read(Since::After(self.position), Budget::messages(1));
            match page.continuity {
                Continuity::Fresh | Continuity::Resumed => {}
                Continuity::Gap { to, .. } if self.may_skip => {
                    self.position = to;
                    self.channel.advance_raw_reader(self.id, to);
                    continue;
                }
                Continuity::Gap { from, to, missed } => {
                    let lost = RawStartError::Gap { from, missed, earliest: to };
                    return Poll::Ready(Err(RawStop::Broken(lost)));
                }
                Continuity::Reset { reason, to } => {
                    let lost = RawStartError::Reset { reason, earliest: to };
                    return Poll::Ready(Err(RawStop::Broken(lost)));
                }
            }
            if let Some((after, message)) = page.messages.pop() {
                self.after_next = after;
                return Poll::Ready(Ok(message));
            }
            if page.end.is_some() {
                return Poll::Ready(Err(RawStop::Ended));
            }
            if page.waits {
                match self.channel.await_page(self.position, PageWaiter::Task(cx.waker().clone())) {
                    PageAt::Waiting => return Poll::Pending,
                    PageAt::Ready => continue,
                    PageAt::Failed => return Poll::Ready(Err(RawStop::Lost)),
                }
            }
            match self.channel.watch(self.position, self.position, Waiter::Task(cx.waker().clone())) {
                Watch::Waiting(key) => {
                    self.wait = Some(key);
                    return Poll::Pending;
                }
                Watch::Ready => {}
                Watch::Ended | Watch::Closed => return Poll::Ready(Err(RawStop::Lost)),
            }
        }
    }

    /// Takes the next message.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Message>, RawStop>> {
        let next = self.poll_peek(cx);
        if let Poll::Ready(Ok(_)) = next {
            (self.position, self.may_skip) = (self.after_next, false);
            self.channel.advance_raw_reader(self.id, self.position);
        }
        next
    }

    fn unwatch(&mut self) {
        if let Some(key) = self.wait.take() {
            self.channel.unwatch(key);
        }
    }
}

impl Drop for RawReader {
    fn drop(&mut self) {
        self.unwatch();
        self.channel.remove_subscriber();
        self.channel.remove_raw_reader(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tidewire_channel::Retention;
    use tidewire_store::ChannelName;

    use super::*;
    use crate::config::HubConfig;
    use crate::flight::at_once;
    use crate::hub::Hub;
    use crate::upload::Upload;

    fn name() -> ChannelName {
        ChannelName::new("a").unwrap()
    }

    fn begin(hub: &Arc<Hub>) -> Upload {
        at_once(Upload::begin(hub, &name(), Some("video/webm"))).unwrap()
    }

    fn piece(upload: &Upload, text: &'static str) {
        at_once(upload.piece(text.into())).unwrap();
    }

    /// Everything that a reader can take now: payloads, and marks in brackets.
    fn all(reader: &mut RawReader) -> Vec<String> {
        let mut all = Vec::new();
        while let Poll::Ready(next) = reader.poll_next(&mut Context::from_waker(Waker::noop())) {
            match next {
                Ok(message) => all.push(match message.as_mark() {
                    Some(mark) => format!("[{}]", mark.event()),
                    None => message.text().unwrap().to_owned(),
                }),
                Err(stop) => {
                    all.push(format!("{stop:?}"));
                    break;
                }
            }
        }
        all
    }

    #[test]
    fn a_raw_reader_reads_from_the_start_to_the_mark() {
        let hub = Hub::new(HubConfig::default(), 1);
        hub.publish(&name(), Message::new("before".into(), 0), None).unwrap();
        let channel = hub.channel(&name()).unwrap();
        let upload = begin(&hub);
        piece(&upload, "one");
        let mut reader = RawReader::new(&channel, RawStart::Upload).unwrap();
        assert_eq!(all(&mut reader), ["one"]);
        piece(&upload, "two");
        assert_eq!(all(&mut reader), ["two"]);
        assert_eq!(at_once(upload.end(false)).unwrap().cursor, channel.head());
        assert_eq!(all(&mut reader), ["[upload-end]"]);
        let read = |start| all(&mut RawReader::new(&channel, start).unwrap());
        assert_eq!(
            read(RawStart::Upload),
            ["one", "two", "[upload-end]"],
            "a late reader also gets everything"
        );
        assert_eq!(read(RawStart::Earliest), ["before", "one", "two", "[upload-end]"]);
        drop(begin(&hub));
        assert_eq!(read(RawStart::Upload), ["[upload-aborted]"], "a reader starts at the newest upload");
    }

    #[test]
    fn a_start_that_is_gone_is_refused() {
        let retention = Retention::DEFAULT.with_max_messages(3);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let channel = hub.channel(&name()).unwrap();
        let upload = begin(&hub);
        let earliest = || all(&mut RawReader::new(&channel, RawStart::Earliest).unwrap());
        ["1", "2", "3", "4", "5"].into_iter().for_each(|text| piece(&upload, text));
        let lost = RawReader::new(&channel, RawStart::Upload).unwrap_err();
        assert!(matches!(lost, RawStartError::Gap { missed: 2, .. }), "{lost:?}");
        assert_eq!(earliest(), ["3", "4", "5"], "a reader may start in the middle");
        at_once(upload.end(false)).unwrap();
        assert_eq!(earliest(), ["4", "5", "[upload-end]"]);
        let publish = |text: &'static str| hub.publish(&name(), Message::new(text.into(), 0), None).unwrap();
        publish("6");
        publish("7");
        assert_eq!(
            earliest(),
            ["6", "7"],
            "a mark whose pieces are gone says nothing about what came after it"
        );
        let ahead = RawStart::After(Cursor::new(channel.head().epoch(), 99));
        assert!(matches!(RawReader::new(&channel, ahead), Err(RawStartError::Reset { .. })));
    }
}
