//! Explains the JSON objects of the HTTP API.

use serde::Deserialize;

use crate::text::{brief, byte_count, grouped};

/// All fields of the objects (docs/http-api.md). Each object has some of them.
#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: Option<String>,
    cursor: Option<String>,
    end: Option<String>,
    from: Option<String>,
    missed: Option<u64>,
    reason: Option<String>,
    channel: Option<String>,
    event: Option<String>,
    since: Option<String>,
    title: Option<String>,
    data: Option<String>,
    data_b64: Option<String>,
}

/// Returns what an object says. `is_whole`: `json` is the complete object.
pub(crate) fn meaning(json: &[u8], is_whole: bool) -> String {
    if !is_whole {
        return "a JSON object, too long to be decoded here".into();
    }
    let object: Object = match serde_json::from_slice(json) {
        Ok(object) => object,
        Err(error) if error.is_data() => return UNKNOWN.into(),
        Err(error) => return format!("not JSON: {error}"),
    };
    let cursor = value(object.cursor.as_deref());
    let channel = || {
        let name = object.channel.as_deref().map(|name| format!(" {}", brief(name.as_bytes(), 30)));
        format!("the channel{}", name.unwrap_or_default())
    };
    match object.kind.as_deref() {
        Some("hello") => format!("the stream begins after cursor {cursor}"),
        Some("message") => {
            let event =
                object.event.map_or(String::new(), |event| format!(" \"{}\"", brief(event.as_bytes(), 30)));
            let channel = object
                .channel
                .map_or(String::new(), |channel| format!(" of channel {}", brief(channel.as_bytes(), 30)));
            let data = match (object.data, object.data_b64) {
                (Some(data), _) => format!("{} of text", byte_count(data.len() as u64)),
                (None, Some(_)) => "bytes in base64".into(),
                (None, None) => "no data".into(),
            };
            format!("a message{event}{channel}: {data}; the cursor after it is {cursor}")
        }
        Some("gap") => format!(
            "{} messages after {} are no longer kept; the stream continues after {cursor}",
            object.missed.map_or("some".into(), grouped),
            value(object.from.as_deref())
        ),
        Some("reset") => {
            let reason = value(object.reason.as_deref());
            let what = match object.reason.as_deref() {
                Some("tail-lost") => "the log lost the last messages of this reader",
                _ => "the log is another one",
            };
            format!("{what} ({reason}); the stream continues after {cursor}")
        }
        Some("end") => {
            format!("{} has ended: no more messages come; the cursor of the end is {cursor}", channel())
        }
        Some("deleted") => format!("{} was deleted, with all its messages", channel()),
        Some("heartbeat") => "a heartbeat: the connection is alive".into(),
        Some("ack") => {
            let end = object.end.map_or(String::new(), |end| {
                format!("; the channel is closed, the cursor of its end is {}", brief(end.as_bytes(), 60))
            });
            format!("published; its cursor is {cursor}{end}")
        }
        Some("error") => format!("refused: {}", value(object.title.as_deref())),
        Some("close") => "asks to close the channel".into(),
        Some("publish") => "asks to publish a message".into(),
        Some("subscribe") => {
            let since = object
                .since
                .map_or(String::new(), |since| format!(", after {}", brief(since.as_bytes(), 60)));
            format!("asks for channel {}{since}", value(object.channel.as_deref()))
        }
        Some("unsubscribe") => format!("leaves channel {}", value(object.channel.as_deref())),
        Some(_) | None => UNKNOWN.into(),
    }
}

fn value(value: Option<&str>) -> String {
    value.map_or("(missing)".into(), |value| brief(value.as_bytes(), 60))
}

const UNKNOWN: &str = "JSON, but not one of the objects of the HTTP API";

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn each_object_has_its_meaning() {
        for (json, sentence) in [
            (r#"{"type":"hello","cursor":"e-4"}"#, "the stream begins after cursor e-4"),
            (
                r#"{"type":"message","cursor":"e-5","time":7,"event":"tide","data":"high"}"#,
                "a message \"tide\": 4 bytes of text; the cursor after it is e-5",
            ),
            (
                r#"{"type":"gap","from":"e-5","cursor":"e-9","missed":3}"#,
                "3 messages after e-5 are no longer kept; the stream continues after e-9",
            ),
            (
                r#"{"type":"reset","reason":"tail-lost","cursor":"e-3"}"#,
                "the log lost the last messages of this reader (tail-lost); the stream continues after e-3",
            ),
            (
                r#"{"type":"end","cursor":"e-10","channel":"tide"}"#,
                "the channel tide has ended: no more messages come; the cursor of the end is e-10",
            ),
            (r#"{"type":"deleted"}"#, "the channel was deleted, with all its messages"),
            (
                r#"{"type":"ack","id":1,"cursor":"e-9","end":"e-10"}"#,
                "published; its cursor is e-9; the channel is closed, the cursor of its end is e-10",
            ),
            (r#"{"type":"close","id":2}"#, "asks to close the channel"),
            (r#"{"type":"heartbeat"}"#, "a heartbeat: the connection is alive"),
            (r#"{"type":"ack","id":1,"cursor":"e-9"}"#, "published; its cursor is e-9"),
            (r#"{"tide":1}"#, "JSON, but not one of the objects of the HTTP API"),
            ("[1]", "JSON, but not one of the objects of the HTTP API"),
        ] {
            assert_eq!(meaning(json.as_bytes(), true), sentence, "{json}");
        }
        assert!(meaning(b"{", true).starts_with("not JSON: "));
    }
}
