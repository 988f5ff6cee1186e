//! A reader for short and long polls.

use std::collections::VecDeque;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::feeds::{client, deleted, feed_event};
use super::{Ended, FeedEvent, Reader};

/// Short and long polls. Each request uses the cursor of the last response.
pub struct Polls {
    client: reqwest::Client,
    url: String,
    since: String,
    events: VecDeque<FeedEvent>,
    has_ended: bool,
}

impl Polls {
    pub fn new(url: String, since: &str) -> Self {
        let (client, since) = (client(), since.to_owned());
        Polls { client, url, since, events: VecDeque::new(), has_ended: false }
    }

    async fn poll(&mut self) -> Result<(), Ended> {
        let url = format!("{}&since={}", self.url, self.since);
        let response = self.client.get(&url).send().await.map_err(Ended::cut)?;
        let (status, header) = (response.status(), response.headers().get("tidewire-cursor").cloned());
        let body = response.bytes().await.map_err(Ended::cut)?;
        let answer: Value = serde_json::from_slice(&body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&body)));
        if status == 410 {
            let event = feed_event(&answer["gap"]).expect("a gap or a reset");
            self.since = answer["earliest"].as_str().unwrap().to_owned();
            let (FeedEvent::Gap { cursor, .. } | FeedEvent::Reset { cursor, .. }) = &event else {
                panic!("{answer}")
            };
            assert_eq!(*cursor, self.since);
            self.events.push_back(event);
            return Ok(());
        }
        if status == 404 {
            self.events.push_back(deleted(&body));
            self.has_ended = true;
            return Ok(());
        }
        if status == 503 {
            return Err(Ended::Cut(format!("{url}: {answer}")));
        }
        assert_eq!(status, 200, "{url}: {answer}");
        assert_eq!(answer["gap"], Value::Null);
        let cursor = answer["cursor"].as_str().expect("always a cursor").to_owned();
        assert_eq!(header.expect("in the head too"), cursor);
        self.has_ended = is_closed(&answer);
        self.events.extend(events_of_poll(&url, &self.since, &answer));
        self.since = cursor;
        Ok(())
    }
}

/// The events in the answer to a poll. Fails the test if its cursor is anywhere but after them. If
/// the poll is of one channel, no object tells the end.
pub fn events_of_poll(url: &str, since: &str, answer: &Value) -> Vec<FeedEvent> {
    let cursor = answer["cursor"].as_str().expect("always a cursor").to_owned();
    let messages = answer["messages"].as_array().unwrap();
    let mut events: Vec<_> = messages.iter().filter_map(feed_event).collect();
    let is_alone = !url.split('?').next().unwrap().contains(',');
    if is_closed(answer) && (is_alone || events.is_empty()) {
        events.push(FeedEvent::End { cursor: cursor.clone(), channel: None });
    }
    let told = events.iter().rev().find_map(FeedEvent::cursor).unwrap_or(since);
    assert!(["earliest", "now", &cursor].contains(&told), "{url} moves in silence from {told}: {answer}");
    events
}

/// Whether the answer to a poll reaches the end of all channels.
pub fn is_closed(answer: &Value) -> bool {
    assert!(matches!(answer["closed"], Value::Null | Value::Bool(true)), "{answer}");
    answer["closed"] == true
}

impl Reader for Polls {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            let mut again = false;
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Ok(event);
                }
                if self.has_ended {
                    return Err(Ended::Well);
                }
                if std::mem::replace(&mut again, true) {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                self.poll().await?;
            }
        }
        .boxed()
    }
}
