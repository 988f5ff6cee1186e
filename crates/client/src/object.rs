//! The JSON objects that all feeds share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::error::Protocol;
use crate::item::Item;
use crate::{Cursor, Error, Message};

/// Any of the objects. It is one flat struct, so that serde does not copy a payload on the way to
/// its variant. Unknown members are ignored.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Object {
    #[serde(default, rename = "type")]
    type_name: String,
    cursor: Option<String>,
    channel: Option<String>,
    time: Option<u64>,
    event: Option<String>,
    content_type: Option<String>,
    data: Option<String>,
    data_b64: Option<String>,
    from: Option<String>,
    missed: Option<u64>,
    reason: Option<String>,
}

/// Parses one object. Returns `None` for a type that this version does not know.
pub(crate) fn parse(json: &[u8]) -> Result<Option<Item>, Error> {
    serde_json::from_slice::<Object>(json).map_err(|error| Error::json(&error))?.into_item()
}

impl Object {
    /// The item of the object, or `None` for a type that this version does not know.
    pub(crate) fn into_item(self) -> Result<Option<Item>, Error> {
        Ok(Some(match self.type_name.as_str() {
            "hello" => Item::Hello(cursor(self.cursor)?),
            "message" => return self.into_message().map(|message| Some(Item::Message(message))),
            "gap" => {
                let missed = self.missed.ok_or_else(|| missing("missed"))?;
                Item::Gap { from: cursor(self.from)?, cursor: cursor(self.cursor)?, missed }
            }
            "reset" => Item::Reset { reason: self.reason.unwrap_or_default(), cursor: cursor(self.cursor)? },
            "end" => Item::End { channel: self.channel, cursor: cursor(self.cursor)? },
            "deleted" => Item::Deleted { channel: self.channel },
            _ => return Ok(None),
        }))
    }

    fn into_message(self) -> Result<Message, Error> {
        let data = match (self.data, self.data_b64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => {
                STANDARD.decode(text).map_err(|error| Protocol::Json(format!("data_b64: {error}")))?.into()
            }
            _ => return Err(missing("data")),
        };
        Ok(Message {
            cursor: cursor(self.cursor)?,
            channel: self.channel,
            time: self.time,
            event: self.event,
            content_type: self.content_type,
            data,
        })
    }
}

/// Parses a required cursor.
pub(crate) fn cursor(text: Option<String>) -> Result<Cursor, Error> {
    text.and_then(|text| text.parse().ok()).ok_or(Error::Protocol(Protocol::Cursor))
}

fn missing(member: &str) -> Error {
    Error::Protocol(Protocol::Json(format!("the member {member} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> Result<Option<Item>, Error> {
        parse(json.as_bytes())
    }

    #[test]
    fn a_message_has_text_or_base64() {
        let text = r#"{"type":"message","cursor":"e-1","time":7,"event":"x","data":"hi"}"#;
        let Ok(Some(Item::Message(message))) = item(text) else { panic!("no message") };
        assert_eq!(
            (message.text(), message.time, message.event.as_deref()),
            (Some("hi"), Some(7), Some("x"))
        );
        let binary = r#"{"type":"message","cursor":"e-2","channel":"c","time":7,
            "content_type":"a/b","data_b64":"/wA="}"#;
        let Ok(Some(Item::Message(message))) = item(binary) else { panic!("no message") };
        assert_eq!((&message.data[..], message.channel.as_deref()), (&[0xff, 0][..], Some("c")));
        for bad in [
            r#"{"type":"message","cursor":"e-1"}"#,
            r#"{"type":"message","cursor":"e-1","data":"x","data_b64":"/wA="}"#,
            r#"{"type":"message","cursor":"e-1","data_b64":"/w=="} x"#,
            r#"{"type":"message","cursor":"e-1","data_b64":"!"}"#,
            r#"{"type":"message","cursor":"not one","data":""}"#,
            r#"{"type":"message","data":""}"#,
            r#"{"type":"gap","from":"e-1","cursor":"e-4"}"#,
            r#"["hello"]"#,
        ] {
            assert!(item(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_types_and_members_are_ignored() {
        assert!(item(r#"{"type":"weather","cursor":7}"#).is_err(), "a cursor is a string");
        assert!(matches!(item(r#"{"type":"weather","sun":true}"#), Ok(None)));
        assert!(matches!(item(r#"{"type":"hello","cursor":"e-0","new":[1]}"#), Ok(Some(Item::Hello(_)))));
    }
}
