//! Short polling: one JSON answer, at once, whatever there is. The `ETag` is the cursor.

use tidewire_server::json;

use super::feed::{Discontinuity, Envelope};
use super::script;
use crate::json_text::Place;
use crate::object::write_message;

/// Bytes of messages in one answer, unless one message is longer; the next poll brings the rest. A
/// client that asks and does not read holds one answer.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// Writes `{"messages":[…],"cursor":…,"gap":null}` message by message.
///
/// Each value is written by serde, the frame around them is not: one value for serde would have to
/// hold all messages until the end, which makes an answer of 100 short messages a tenth slower.
pub(crate) struct Answer {
    body: Vec<u8>,
    place: Place,
    is_empty: bool,
    /// The last break, as JSON.
    gap: Option<Vec<u8>>,
}

impl Answer {
    /// An answer without messages, that will stand in such a place.
    pub(crate) fn new(place: Place) -> Self {
        Answer { body: b"{\"messages\":[".to_vec(), place, is_empty: true, gap: None }
    }

    pub(crate) fn message(&mut self, envelope: &Envelope<'_>) {
        self.separate();
        write_message(envelope.message, envelope.cursor, envelope.channel, self.place, &mut self.body);
    }

    /// Tells a break at its place among the messages, where the answer cannot be a 410.
    pub(crate) fn discontinuity(&mut self, what: &Discontinuity<'_>, cursor: &str) {
        let object = what.object(cursor);
        self.separate();
        let mut json = Vec::new();
        object.write(&mut json);
        self.push(&json);
        self.gap = Some(json);
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.body.push(b',');
        }
    }

    /// Appends JSON as it may stand here. No cursor has anything to escape.
    fn push(&mut self, json: &[u8]) {
        match self.place {
            Place::Script => script::push_json(&mut self.body, json),
            Place::Line | Place::Part => self.body.extend_from_slice(json),
        }
    }

    pub(crate) fn finish(mut self, cursor: &str) -> Vec<u8> {
        self.body.extend_from_slice(b"],\"cursor\":");
        json::write(&cursor, &mut self.body);
        self.body.extend_from_slice(b",\"gap\":");
        let gap = self.gap.take();
        self.push(gap.as_deref().unwrap_or(b"null"));
        self.body.push(b'}');
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn an_answer_always_has_a_cursor() {
        assert_eq!(
            Answer::new(Place::Line).finish("e-0"),
            b"{\"messages\":[],\"cursor\":\"e-0\",\"gap\":null}"
        );
        let mut answer = Answer::new(Place::Line);
        let message = Message::new("a".into(), 1);
        answer.message(&Envelope { cursor: "e-1", channel: None, message: &message });
        answer.message(&Envelope { cursor: "e-2", channel: None, message: &message });
        let text = String::from_utf8(answer.finish("e-2")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["messages"][1]["cursor"], "e-2");
        assert_eq!(json["cursor"], "e-2");
        let mut broken = Answer::new(Place::Line);
        broken.discontinuity(&Discontinuity::Gap { from: "e-1", missed: 3 }, "e-4");
        let json: serde_json::Value = serde_json::from_slice(&broken.finish("e-4")).unwrap();
        assert_eq!(json["messages"][0]["missed"], 3);
        assert_eq!(json["gap"], json["messages"][0]);
    }
}
