//! Server-Sent Events (WHATWG HTML §9.2): the id of an event is its cursor.

use std::time::Duration;

use bytes::Bytes;
use tidewire_sse::{Decoder, Limits, Received};

use super::{Item, Reader};
use crate::error::Protocol;
use crate::object::Object;
use crate::{Error, Message};

/// What the answer must be.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

/// The body of the feed.
pub(crate) struct Sse {
    decoder: Decoder,
    /// With several channels on the connection, data is the JSON object of the message: it says which channel it is from.
    several: bool,
    max: usize,
}

impl Sse {
    pub(crate) const fn new(several: bool, max: usize) -> Self {
        Self { decoder: Decoder::new(Limits::DEFAULT.with_max_data(max)), several, max }
    }
}

impl Reader for Sse {
    fn read(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        let mut at = 0;
        loop {
            let (used, received) = self.decoder.decode(&bytes[at..]).map_err(|error| match error.kind() {
                tidewire_sse::ErrorKind::DataTooLong => Error::TooLarge { limit: self.max },
                _ => Protocol::Sse(error).into(),
            })?;
            at += used;
            items.extend(match received {
                Some(Received::Message { event_type, data, last_event_id }) => {
                    message(event_type, data, last_event_id, self.several)?
                }
                Some(Received::Id(id)) => Some(Item::Hello(id.parse().map_err(|_| Protocol::Cursor)?)),
                Some(Received::Retry(ms)) => Some(Item::Retry(Duration::from_millis(ms))),
                Some(_) => None,
                None => return Ok(()),
            });
        }
    }
}

/// An event: a payload under the publisher's event name, or a JSON object.
fn message(event: &str, data: &str, id: &str, several: bool) -> Result<Option<Item>, Error> {
    if several || matches!(event, "gap" | "reset" | "envelope") {
        return Object::parse(data.as_bytes())?.into_item();
    }
    Ok(Some(Item::Message(Message {
        cursor: id.parse().map_err(|_| Protocol::Cursor)?,
        channel: None,
        time: None,
        event: (event != "message").then(|| event.to_owned()),
        content_type: None,
        data: Bytes::copy_from_slice(data.as_bytes()),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::tests::{at_every_cut, texts};

    #[test]
    fn what_the_server_writes_is_understood_at_every_cut() {
        let wire = "retry: 1500\nid: e-4\n\nid: e-5\nevent: tide\ndata: high\ndata: low\n\n:\n\nid: e-6\ndata: x\n\n\
            id: e-7\nevent: envelope\n\
            data: {\"type\":\"message\",\"cursor\":\"e-7\",\"time\":7,\"data\":\"a\\r\"}\n\n\
            id: e-9\nevent: gap\ndata: {\"type\":\"gap\",\"from\":\"e-7\",\"cursor\":\"e-9\",\"missed\":2}\n\n";
        let items = at_every_cut(wire.as_bytes(), || Sse::new(false, 1000));
        assert_eq!(
            texts(&items),
            [
                "retry 1500",
                "hello e-4",
                "e-5 tide \"high\\nlow\"",
                "e-6 - \"x\"",
                "e-7 - \"a\\r\"",
                "gap e-7 e-9 2"
            ]
        );
    }

    #[test]
    fn with_several_channels_each_message_says_which() {
        let wire = "id: e-4.f-1\nevent: tide\ndata: {\"type\":\"message\",\"cursor\":\"e-4.f-1\",\"channel\":\"b\",\
            \"time\":7,\"event\":\"tide\",\"data\":\"{}\"}\n\n";
        let items = at_every_cut(wire.as_bytes(), || Sse::new(true, 1000));
        assert_eq!(texts(&items), ["e-4.f-1 tide \"{}\""]);
        assert!(matches!(&items[..], [Item::Message(Message { channel: Some(name), .. })] if name == "b"));
    }

    #[test]
    fn a_message_without_a_cursor_and_one_too_large_are_refused() {
        let refused = |wire: &[u8]| Sse::new(false, 5).read(wire, &mut Vec::new()).unwrap_err();
        assert!(matches!(refused(b"data: x\n\n"), Error::Protocol(Protocol::Cursor)));
        assert!(matches!(refused(b"data: 123456"), Error::TooLarge { limit: 5 }));
        assert!(matches!(refused(b"event: gap\ndata: x\n\n"), Error::Protocol(Protocol::Json(_))));
    }
}
