//! Server-Sent Events (WHATWG HTML §9.2), each with a JSON object as its data. Plain payloads would
//! lose information: the format does not distinguish CR, LF and CRLF, and has neither time nor
//! media type.

use std::time::Duration;

use tidewire_sse::{Decoder, Event, Limits};

use super::decoder::ItemDecoder;
use crate::error::Protocol;
use crate::item::Item;
use crate::{Error, object};

/// The media type of the answer.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

/// The body of the feed.
pub(crate) struct Sse {
    decoder: Decoder,
    max: usize,
}

impl Sse {
    pub(crate) const fn new(max: usize) -> Self {
        Self { decoder: Decoder::new(Limits::DEFAULT.with_max_data(max)), max }
    }
}

impl ItemDecoder for Sse {
    fn decode(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        let mut at = 0;
        loop {
            let (used, received) = self.decoder.decode(&bytes[at..]).map_err(|error| match error.kind() {
                tidewire_sse::ErrorKind::DataTooLong => Error::TooLarge { limit: self.max },
                _ => Protocol::Sse(error).into(),
            })?;
            at += used;
            items.extend(match received {
                // A heartbeat.
                Some(Event::Message { data: "", .. }) => None,
                Some(Event::Message { data, .. }) => object::parse(data.as_bytes())?,
                Some(Event::Id(id)) => Some(Item::Hello(id.parse().map_err(|_| Protocol::Cursor)?)),
                Some(Event::Retry(ms)) => Some(Item::Retry(Duration::from_millis(ms))),
                Some(_) => None,
                None => return Ok(()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::feeds::decoder::tests::at_every_cut;
    use crate::item::tests::texts;

    #[test]
    fn the_stream_of_the_server_is_decoded_at_every_cut() {
        let wire = "retry: 1500\n\nid: e-4\ndata: {\"type\":\"hello\",\"cursor\":\"e-4\"}\n\n\
            id: e-5\ndata: {\"type\":\"message\",\"cursor\":\"e-5\",\"time\":7,\"event\":\"tide\",\
            \"data\":\"a\\r\\nb\\r\"}\n\n\
            data:\n\n:\n\n\
            id: e-6.f-1\ndata: {\"type\":\"message\",\"cursor\":\"e-6.f-1\",\"channel\":\"b\",\"time\":7,\
            \"data\":\"{}\"}\n\n\
            id: e-9\ndata: {\"type\":\"gap\",\"from\":\"e-7\",\"cursor\":\"e-9\",\"missed\":2}\n\n\
            id: f-0\ndata: {\"type\":\"reset\",\"reason\":\"unknown-epoch\",\"cursor\":\"f-0\"}\n\n\
            id: f-1\n\n";
        let items = at_every_cut(wire.as_bytes(), || Sse::new(1000));
        assert_eq!(
            texts(&items),
            [
                "retry 1500",
                "hello e-4",
                "e-5 tide \"a\\r\\nb\\r\"",
                "e-6.f-1 - \"{}\"",
                "gap e-7 e-9 2",
                "reset unknown-epoch f-0",
                "hello f-1"
            ]
        );
        assert!(matches!(&items[3], Item::Message(Message { channel: Some(name), .. }) if name == "b"));
    }

    #[test]
    fn a_message_without_a_cursor_and_one_too_large_are_refused() {
        let refused = |wire: &[u8], max| Sse::new(max).decode(wire, &mut Vec::new()).unwrap_err();
        let bare = b"data: {\"type\":\"message\",\"data\":\"x\"}\n\n";
        assert!(matches!(refused(bare, 1000), Error::Protocol(Protocol::Cursor)));
        assert!(matches!(refused(b"data: 123456", 5), Error::TooLarge { limit: 5 }));
        assert!(matches!(refused(b"event: gap\ndata: x\n\n", 5), Error::Protocol(Protocol::Json(_))));
    }
}
