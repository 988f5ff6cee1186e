//! Short polling: a JSON answer at once, whatever there is.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::{Item, get};
use crate::client::Settings;
use crate::http::Http;
use crate::object::{self, Object};
use crate::{Cursor, Error, Feed};

/// The longest wait that is asked for. A server cuts it to its own bound, usually a minute at most.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What the answer must be.
const MEDIA_TYPE: &str = "application/json";

/// What one poll brought.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) items: Vec<Item>,
    /// Where it ends. A 410 does not say that in other words than its item.
    pub(crate) end: Option<Cursor>,
}

/// What to ask for.
pub(crate) struct Question<'a> {
    pub(crate) feed: Feed,
    pub(crate) since: &'a str,
    pub(crate) limit: Option<u32>,
    pub(crate) wait: Duration,
}

impl Question<'_> {
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

/// Polls once, over the connection that was kept from the last time if there is one, and keeps it for the next.
///
/// The server may close a kept connection in the moment in which it is used again. If it has said nothing, then the question
/// is asked once more on a new connection: a GET may be repeated (RFC 9112 §9.5).
pub(crate) async fn ask(
    kept: &mut Option<Http>,
    settings: &Settings,
    question: &Question<'_>,
    deadline: Instant,
) -> Result<Answer, Error> {
    let target = question.target(settings);
    if let Some(mut http) = kept.take() {
        match exchange(&mut http, settings, &target).await {
            Err(Error::Cut(_)) if http.is_unanswered() => {}
            outcome => {
                *kept = http.next().then_some(http);
                return outcome;
            }
        }
    }
    let mut http = Http::connect(&settings.url, settings.max_message, deadline).await?;
    let outcome = exchange(&mut http, settings, &target).await;
    *kept = http.next().then_some(http);
    outcome
}

async fn exchange(http: &mut Http, settings: &Settings, target: &str) -> Result<Answer, Error> {
    let reply = get(http, settings, target, MEDIA_TYPE).await?;
    if reply.status != 200 {
        let refusal = reply.refusal(http).await;
        let gone = refusal.gone.map(|item| Answer { items: vec![item], end: None });
        return gone.ok_or(refusal.error);
    }
    reply.require(MEDIA_TYPE)?;
    parse(&http.whole_body().await?)
}

#[derive(Deserialize)]
struct Body {
    messages: Vec<Object>,
    cursor: Option<String>,
    gap: Option<Object>,
}

fn parse(json: &[u8]) -> Result<Answer, Error> {
    let body: Body = serde_json::from_slice(json).map_err(|error| Error::json(&error))?;
    let end = object::cursor(body.cursor)?;
    let mut items = Vec::with_capacity(body.messages.len() + 2);
    for object in body.gap.into_iter().chain(body.messages) {
        items.extend(object.into_item()?);
    }
    // Last: to a reader without a cursor, the messages of its first answer are news, and an empty answer still gives it one.
    items.push(Item::Hello(end.clone()));
    Ok(Answer { items, end: Some(end) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::tests::texts;

    #[test]
    fn an_answer_is_its_messages_and_its_cursor() {
        let answer = parse(
            br#"{"messages":[{"type":"message","cursor":"e-1","time":7,"data":"a"},
                {"type":"message","cursor":"e-2","time":7,"event":"x","data":"b"}],"cursor":"e-2","gap":null}"#,
        )
        .unwrap();
        assert_eq!(texts(&answer.items), ["e-1 - \"a\"", "e-2 x \"b\"", "hello e-2"]);
        let answer = parse(br#"{"messages":[],"cursor":"e-2","gap":null}"#).unwrap();
        assert_eq!(texts(&answer.items), ["hello e-2"]);
        assert_eq!(answer.end.unwrap().as_str(), "e-2");
        for bad in [&b"{}"[..], br#"{"messages":[]}"#, br#"{"messages":[],"cursor":"a b"}"#, b"[]", b""] {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
