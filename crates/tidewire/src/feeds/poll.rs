//! Short polling: one JSON answer, at once, whatever there is. The `ETag` is the cursor.

use super::Envelope;
use crate::message::Object;

/// Bytes of payload in one answer; the next poll brings the rest.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Writes `{"messages":[…],"cursor":…,"gap":null}` message by message.
pub(crate) struct Answer {
    body: Vec<u8>,
    is_empty: bool,
}

impl Answer {
    pub(crate) fn new() -> Self {
        Answer { body: b"{\"messages\":[".to_vec(), is_empty: true }
    }

    pub(crate) fn message(&mut self, envelope: &Envelope<'_>) {
        if !std::mem::take(&mut self.is_empty) {
            self.body.push(b',');
        }
        Object::message(envelope.message, envelope.cursor, envelope.channel).write(&mut self.body);
    }

    /// A poll that could not continue was answered with 410, so `gap` is null in every answer that is made here.
    pub(crate) fn finish(mut self, cursor: &str) -> Vec<u8> {
        self.body.extend_from_slice(b"],\"cursor\":\"");
        self.body.extend_from_slice(cursor.as_bytes());
        self.body.extend_from_slice(b"\",\"gap\":null}\n");
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
    }
}
