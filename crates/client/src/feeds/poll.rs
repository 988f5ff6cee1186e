//! Short polling: the server answers at once, with or without messages.

use std::time::Duration;

use serde::Deserialize;
use tidewire_http1::{FieldBlock, Request};
use tokio::time::Instant;

use crate::answer::Failure;
use crate::item::Item;
use crate::kept::{JSON, KeptConnection};
use crate::object::{self, Object};
use crate::settings::Settings;
use crate::{Cursor, Error, Feed};

/// The answer to one poll.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) items: Vec<Item>,
    /// The position after the answer. `None` for a 410, whose item says where to continue.
    pub(crate) end: Option<Cursor>,
    /// All channels have ended, and `end` is the position after their ends.
    pub(crate) is_closed: bool,
}

/// The parameters of a poll.
pub(crate) struct PollParameters<'a> {
    pub(crate) feed: Feed,
    pub(crate) since: &'a str,
    pub(crate) limit: Option<u32>,
    pub(crate) wait: Duration,
}

/// Polls once.
pub(crate) async fn poll(
    kept: &mut KeptConnection,
    settings: &Settings,
    parameters: &PollParameters<'_>,
    deadline: Instant,
) -> Result<Answer, Error> {
    let target = parameters.target(settings);
    let accept = FieldBlock::from_pairs([("Accept", JSON)]).map_err(Error::field("Accept"))?;
    let fields = [&settings.fields, &accept];
    let request = Request::new("GET", &target, &settings.url.host).with_fields(&fields);
    match kept.json(settings, &request, None, &[200], deadline).await {
        Ok(json) => parse(&json),
        Err(Failure { gone: Some(item), .. }) => {
            Ok(Answer { items: vec![item], end: None, is_closed: false })
        }
        Err(failure) => Err(failure.error),
    }
}

impl PollParameters<'_> {
    fn target(&self, settings: &Settings) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let wait = self.wait.min(MAX_WAIT);
        let wait = format!("{}.{:03}", wait.as_secs(), wait.subsec_millis());
        let mut parameters = vec![("feed", self.feed.as_str()), ("since", self.since)];
        parameters.extend(limit.as_deref().map(|limit| ("limit", limit)));
        if self.feed == Feed::LongPoll {
            parameters.push(("wait", &wait));
        }
        settings.url.target(&parameters)
    }
}

/// The longest wait that a poll asks for. A server reduces it to its own limit, usually a minute at
/// most.
const MAX_WAIT: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Body {
    messages: Vec<Object>,
    cursor: Option<String>,
    gap: Option<Object>,
    #[serde(default)]
    closed: bool,
}

fn parse(json: &[u8]) -> Result<Answer, Error> {
    let body: Body = serde_json::from_slice(json).map_err(|error| Error::json(&error))?;
    let end = object::cursor(body.cursor)?;
    let mut items = Vec::with_capacity(body.messages.len() + 2);
    for object in body.gap.into_iter().chain(body.messages) {
        items.extend(object.into_item()?);
    }
    // Add the hello last: it sets the position of a reader without a cursor. If it came first, the
    // messages of this answer would count as old. An empty answer has the hello too.
    items.push(Item::Hello(end.clone()));
    Ok(Answer { items, end: Some(end), is_closed: body.closed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::tests::texts;

    #[test]
    fn an_answer_is_its_messages_and_its_cursor() {
        let answer = parse(
            br#"{"messages":[{"type":"message","cursor":"e-1","time":7,"data":"a"},
                {"type":"message","cursor":"e-2","time":7,"event":"x","data":"b"}],
                "cursor":"e-2","gap":null}"#,
        )
        .unwrap();
        assert_eq!(texts(&answer.items), ["e-1 - \"a\"", "e-2 x \"b\"", "hello e-2"]);
        let answer = parse(br#"{"messages":[],"cursor":"e-2","gap":null}"#).unwrap();
        assert_eq!(texts(&answer.items), ["hello e-2"]);
        assert_eq!((answer.end.unwrap().as_str(), answer.is_closed), ("e-2", false));
        let answer = parse(br#"{"messages":[],"cursor":"f-3","gap":null,"closed":true}"#).unwrap();
        assert_eq!((answer.end.unwrap().as_str(), answer.is_closed), ("f-3", true));
        for bad in [&b"{}"[..], br#"{"messages":[]}"#, br#"{"messages":[],"cursor":"a b"}"#, b"[]", b""] {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
