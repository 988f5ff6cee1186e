//! Short polling: one JSON answer at once, with the messages that are there. Its `ETag` is the
//! cursor.

use tidewire_server::json;

use super::feed::{ChannelEnd, Discontinuity, Envelope};
use super::jsonp;
use crate::form_cache::FormCache;
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;
use crate::rope::Rope;

/// After this many bytes of messages, an answer gets no further message. The next poll gets the
/// rest. So a client that sends requests and does not read holds only one answer.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// Writes `{"messages":[…],"cursor":…,"gap":null}` message by message, and `"closed":true` at the
/// end of all channels. If there are several, an object among the messages tells the end of each.
/// With a callback, the answer is a script.
///
/// serde writes each value, but not the object around them. As one value, all messages would have
/// to stay in memory until the end; that makes an answer of 100 short messages 10 % slower.
pub(crate) struct Answer<'f> {
    body: Out<'f>,
    /// The function to call, if the answer is a script.
    callback: Option<&'f str>,
    is_empty: bool,
    /// The last discontinuity, as JSON.
    gap: Option<Vec<u8>>,
    /// Whether the answer reaches the end of all channels.
    closed: bool,
}

impl<'f> Answer<'f> {
    /// An answer without messages.
    pub(crate) fn new(callback: Option<&'f str>, forms: &'f FormCache) -> Self {
        let mut body = Out::new(forms, false);
        if let Some(callback) = callback {
            jsonp::begin(callback, body.own());
        }
        body.own().extend_from_slice(b"{\"messages\":[");
        Answer { body, callback, is_empty: true, gap: None, closed: false }
    }

    /// Length in bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn message(&mut self, envelope: &Envelope<'_>) {
        self.separate();
        write_message(envelope.message, envelope.cursor, envelope.channel, self.place(), &mut self.body);
    }

    /// Reports a discontinuity at its place among the messages. For answers that cannot be a 410.
    pub(crate) fn discontinuity(&mut self, what: &Discontinuity<'_>, cursor: &str) {
        self.separate();
        let mut json = Vec::new();
        what.object(cursor).write(&mut json);
        // It has only cursors and our own words, so a script need not escape anything.
        self.body.own().extend_from_slice(&json);
        self.gap = Some(json);
    }

    /// Reports the end of one of several channels, at its place among the messages.
    pub(crate) fn end_of_channel(&mut self, end: &ChannelEnd<'_>) {
        self.separate();
        // It has only a cursor and a name, so a script need not escape anything.
        end.object().write(self.body.own());
    }

    /// Reports that a channel was deleted. For answers that cannot be a 404.
    pub(crate) fn deleted(&mut self, channel: Option<&str>) {
        self.separate();
        // A name has no character that a script must escape.
        Object::Deleted { channel }.write(self.body.own());
    }

    /// The answer reaches the end of all channels.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.body.own().push(b',');
        }
    }

    fn place(&self) -> Place {
        if self.callback.is_some() { Place::Script } else { Place::Line }
    }

    pub(crate) fn finish(mut self, cursor: &str) -> Rope {
        let own = self.body.own();
        own.extend_from_slice(b"],\"cursor\":");
        json::write(&cursor, own);
        own.extend_from_slice(b",\"gap\":");
        own.extend_from_slice(self.gap.as_deref().unwrap_or(b"null"));
        if self.closed {
            own.extend_from_slice(b",\"closed\":true");
        }
        own.extend_from_slice(if self.callback.is_some() { jsonp::END } else { b"}\n" });
        self.body.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidewire_store::Message;

    use super::*;

    #[test]
    fn an_answer_always_has_a_cursor() {
        let forms = FormCache::new(Arc::default());
        let text = |answer: Answer<'_>, cursor| String::from_utf8(answer.finish(cursor).to_vec()).unwrap();
        let empty = text(Answer::new(None, &forms), "e-0");
        assert_eq!(empty, "{\"messages\":[],\"cursor\":\"e-0\",\"gap\":null}\n");
        let mut answer = Answer::new(None, &forms);
        let message = Message::new("a".into(), 1);
        answer.message(&Envelope { cursor: "e-1", channel: None, message: &message });
        answer.message(&Envelope { cursor: "e-2", channel: None, message: &message });
        let json: serde_json::Value = serde_json::from_str(&text(answer, "e-2")).unwrap();
        assert_eq!(json["messages"][1]["cursor"], "e-2");
        assert_eq!(json["cursor"], "e-2");
        let mut broken = Answer::new(None, &forms);
        broken.discontinuity(&Discontinuity::Gap { from: "e-1", missed: 3 }, "e-4");
        let json: serde_json::Value = serde_json::from_str(&text(broken, "e-4")).unwrap();
        assert_eq!(json["messages"][0]["missed"], 3);
        assert_eq!(json["gap"], json["messages"][0]);
    }

    #[test]
    fn a_script_is_one_call() {
        let forms = FormCache::new(Arc::default());
        let mut answer = Answer::new(Some("a.b"), &forms);
        let message = Message::new("</script>".into(), 1);
        answer.message(&Envelope { cursor: "e-1", channel: None, message: &message });
        let text = String::from_utf8(answer.finish("e-1").to_vec()).unwrap();
        let call = text.strip_prefix("/**/a.b(").unwrap().strip_suffix(");\n").unwrap();
        assert!(call.contains("\\u003c/script\\u003e"));
        let json: serde_json::Value = serde_json::from_str(call).unwrap();
        assert_eq!(json["messages"][0]["data"], "</script>");
    }
}
