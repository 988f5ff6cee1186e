//! Short polling: one JSON answer, at once, whatever there is. The `ETag` is the cursor.

use tidewire_server::json;

use super::feed::{Discontinuity, Envelope};
use crate::object::Object;

/// Bytes of payload in one answer; the next poll brings the rest.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Writes `{"messages":[…],"cursor":…,"gap":null}` message by message.
///
/// Each value is written by serde, the frame around them is not: one value for serde would have to
/// hold all messages until the end, which makes an answer of 100 short messages a tenth slower.
pub(crate) struct Answer {
    body: Vec<u8>,
    is_empty: bool,
    /// The last break, as JSON.
    gap: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn new() -> Self {
        Answer { body: b"{\"messages\":[".to_vec(), is_empty: true, gap: None }
    }

    pub(crate) fn message(&mut self, envelope: &Envelope<'_>) {
        self.push(&Object::message(envelope.message, envelope.cursor, envelope.channel));
    }

    /// Tells a break at its place among the messages, where the answer cannot be a 410.
    pub(crate) fn discontinuity(&mut self, what: &Discontinuity<'_>, cursor: &str) {
        let object = what.object(cursor);
        self.push(&object);
        object.write(self.gap.insert(Vec::new()));
    }

    fn push(&mut self, object: &Object<'_>) {
        if !std::mem::take(&mut self.is_empty) {
            self.body.push(b',');
        }
        object.write(&mut self.body);
    }

    pub(crate) fn finish(mut self, cursor: &str) -> Vec<u8> {
        self.body.extend_from_slice(b"],\"cursor\":");
        json::write(&cursor, &mut self.body);
        self.body.extend_from_slice(b",\"gap\":");
        self.body.extend_from_slice(self.gap.as_deref().unwrap_or(b"null"));
        self.body.extend_from_slice(b"}\n");
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn an_answer_always_has_a_cursor() {
        assert_eq!(Answer::new().finish("e-0"), b"{\"messages\":[],\"cursor\":\"e-0\",\"gap\":null}\n");
        let mut answer = Answer::new();
        let message = Message::new("a".into(), 1);
        answer.message(&Envelope { cursor: "e-1", channel: None, message: &message });
        answer.message(&Envelope { cursor: "e-2", channel: None, message: &message });
        let text = String::from_utf8(answer.finish("e-2")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["messages"][1]["cursor"], "e-2");
        assert_eq!(json["cursor"], "e-2");
        let mut broken = Answer::new();
        broken.discontinuity(&Discontinuity::Gap { from: "e-1", missed: 3 }, "e-4");
        let json: serde_json::Value = serde_json::from_slice(&broken.finish("e-4")).unwrap();
        assert_eq!(json["messages"][0]["missed"], 3);
        assert_eq!(json["gap"], json["messages"][0]);
    }
}
