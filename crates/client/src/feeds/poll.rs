//! Short polling: a JSON answer at once, whatever there is.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::{Item, get};
use crate::client::Settings;
use crate::http::Http;
use crate::object::{self, Object};
use crate::{Error, Feed};

/// What the answer must be.
const MEDIA_TYPE: &str = "application/json";

/// What one poll brought.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) items: Vec<Item>,
    /// Whether there may be more to ask for at once.
    pub(crate) any: bool,
    /// It was a 410.
    pub(crate) is_gone: bool,
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
        let wait = format!("{}.{:03}", self.wait.as_secs(), self.wait.subsec_millis());
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

/// How long to wait before the next poll.
pub(crate) const fn pause(any: bool, interval: Duration) -> Duration {
    if any { Duration::ZERO } else { interval }
}

async fn exchange(http: &mut Http, settings: &Settings, target: &str) -> Result<Answer, Error> {
    let reply = get(http, settings, target, MEDIA_TYPE).await?;
    if reply.status != 200 {
        let refusal = reply.refusal(http).await;
        let gone = refusal.gone.map(|item| Answer { items: vec![item], any: true, is_gone: true });
        return gone.ok_or(Error::Refused(refusal.problem));
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
    let any = !body.messages.is_empty();
    let mut items = Vec::with_capacity(body.messages.len() + 2);
    for object in body.gap.into_iter().chain(body.messages) {
        items.extend(object.into_item()?);
    }
    // Last: to a reader without a cursor, the messages of its first answer are news, and an empty answer still gives it one.
    items.push(Item::Hello(object::cursor(body.cursor)?));
    Ok(Answer { items, any, is_gone: false })
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
        assert!(answer.any);
        let answer = parse(br#"{"messages":[],"cursor":"e-2","gap":null}"#).unwrap();
        assert_eq!((texts(&answer.items), answer.any), (vec!["hello e-2".to_owned()], false));
        for bad in [&b"{}"[..], br#"{"messages":[]}"#, br#"{"messages":[],"cursor":"a b"}"#, b"[]", b""] {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
