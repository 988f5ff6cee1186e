//! Answers to polls: a short poll is answered at once, a long poll at once or later from the
//! subscriber table.

use std::time::Duration;

use tidewire_channel::Budget;
use tidewire_server::{Problem, Response};

use crate::cors::Access;
use crate::feeds::poll::Answer;
use crate::feeds::{Discontinuity, Flow, jsonp};
use crate::form_cache::FormCache;
use crate::positions::{Channels, Positions};
use crate::reader::{self, Bounds, Item};
use crate::refusal::{deletion, vary};
use crate::rope::Rope;

/// Everything but the messages that decides the bytes of an answer to a long poll.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PollShape {
    pub(crate) limit: usize,
    pub(crate) access: Access,
    /// The JavaScript function to call, if the answer is a script (JSONP).
    pub(crate) callback: Option<Box<str>>,
    /// The client asked for the wait with `Prefer`, and the answer says that this was applied.
    pub(crate) preferred: bool,
    /// How long the connection may be idle after the answer; `None` if it closes.
    pub(crate) idle: Option<Duration>,
}

impl PollShape {
    pub(crate) fn closes(&self) -> bool {
        self.idle.is_none()
    }

    pub(crate) fn closing(&self) -> Self {
        PollShape { idle: None, ..self.clone() }
    }

    /// The whole HTTP response to a poll for which there is no message. If `closed`, there will be
    /// none.
    pub(crate) fn empty_answer(&self, cursor: &str, closed: bool, forms: &FormCache) -> Rope {
        let mut answer = Answer::new(self.callback.as_deref(), forms);
        if closed {
            answer.close();
        }
        self.answer(answer, cursor)
    }

    /// The whole HTTP response to a poll of a channel that was deleted. A script reports it in its
    /// body, because the page cannot see the status.
    pub(crate) fn deleted_answer(&self, cursor: &str, channel: Option<&str>, forms: &FormCache) -> Rope {
        let callback = self.callback.as_deref();
        if callback.is_none() {
            return self.response(deletion(channel).into_response());
        }
        let mut answer = Answer::new(callback, forms);
        answer.deleted(channel);
        self.answer(answer, cursor)
    }

    /// A whole HTTP response.
    pub(crate) fn answer(&self, answer: Answer<'_>, cursor: &str) -> Rope {
        self.response(held(answer, cursor, self.callback.is_some(), self.preferred))
    }

    /// Any response, with the CORS fields for this poll.
    pub(crate) fn response(&self, response: Response) -> Rope {
        vary(&self.access, response).into_parts(self.idle).into()
    }
}

/// What a poll has read.
pub(crate) struct Read<'f> {
    pub(crate) answer: Answer<'f>,
    pub(crate) messages: usize,
    /// Whether there is anything to answer: a message, a loss, or the end of all channels.
    pub(crate) any: bool,
    /// Whether all channels have ended with it.
    pub(crate) has_ended: bool,
    /// Whether messages are missing that the store must fetch. Then `positions` are where.
    pub(crate) waits: bool,
}

/// Reads as much as one answer holds, and advances `positions`. Returns a 410 problem if the log
/// cannot continue from there. A JSONP answer reports that in its body instead, because the page
/// cannot see the status.
///
/// A 410 has no messages. It names a position, and the client continues there. If messages of one
/// channel come before the gap of another, they are the answer, and the next poll gets the 410.
pub(crate) fn read<'f>(
    channels: &Channels,
    positions: &mut Positions,
    budget: Budget,
    callback: Option<&'f str>,
    forms: &'f FormCache,
) -> Result<Read<'f>, Problem> {
    let start = positions.clone();
    let (mut answer, mut messages, mut gone) = (Answer::new(callback, forms), 0, None);
    let bounds = Bounds { budget, or_one: true, ceiling: None, first: 0 };
    let progress = reader::read(channels, channels.0.len() > 1, positions, bounds, |item, _| match item {
        Item::Message(envelope) => {
            let before = answer.len();
            answer.message(&envelope);
            messages += 1;
            (Flow::Continue, answer.len() - before)
        }
        Item::Discontinuity { what, cursor } if callback.is_some() => {
            answer.discontinuity(&what, cursor);
            (Flow::Continue, 0)
        }
        Item::Discontinuity { what, cursor } => {
            gone = Some(self::gone(&what, cursor));
            (Flow::End, 0)
        }
        // An answer tells only the end of all channels.
        Item::End(_) => (Flow::Continue, 0),
    });
    match gone {
        None => {
            if progress.has_ended {
                answer.close();
            }
            let reader::Progress { has_ended, waits, .. } = progress;
            Ok(Read { answer, messages, any: progress.any || has_ended, has_ended, waits })
        }
        Some(problem) if messages == 0 => Err(problem),
        Some(_) => {
            *positions = start;
            read(channels, positions, Budget { messages, ..budget }, callback, forms)
        }
    }
}

/// The response to a long poll. It describes one moment, so no cache keeps it.
pub(crate) fn held(answer: Answer<'_>, cursor: &str, is_script: bool, preferred: bool) -> Response {
    let media = if is_script { jsonp::MEDIA } else { "application/json" };
    let response = whole(media, answer.finish(cursor), cursor);
    let response = response.with("Cache-Control", "no-store");
    // RFC 7240 §3: without a value, since the wait may be shorter than the client preferred.
    if preferred { response.with("Preference-Applied", "wait") } else { response }
}

/// The response to a short poll. A cache may keep it, but must revalidate it with its `ETag`.
/// `position` is the value of `Tidewire-Cursor`.
pub(crate) fn short(answer: Answer<'_>, cursor: &str, position: &str) -> Response {
    whole("application/json", answer.finish(cursor), position)
        .with("Cache-Control", "no-cache")
        .with("ETag", format!("\"{cursor}\""))
}

/// 304: nothing is new since the cursor in `If-None-Match`.
pub(crate) fn not_modified(cursor: &str) -> Response {
    Response::new(304)
        .with("Cache-Control", "no-cache")
        .with("ETag", format!("\"{cursor}\""))
        .with("Tidewire-Cursor", cursor)
}

fn whole(media: &str, body: Rope, cursor: &str) -> Response {
    let response = Response::new(200)
        .with("Content-Type", media)
        .with("X-Content-Type-Options", "nosniff")
        .with("Tidewire-Cursor", cursor);
    match body.into_one() {
        Ok(bytes) => response.body(bytes),
        Err(rope) => response.parts(rope.into_parts()),
    }
}

/// The refusal of a poll whose cursor the log cannot continue. It says where the client can go on,
/// and what it lost.
pub(crate) fn gone(what: &Discontinuity<'_>, earliest: &str) -> Problem {
    let (reason, detail) = match *what {
        Discontinuity::Gap { missed, .. } => (
            "gap",
            format!("{missed} messages after this cursor are no longer kept; go on with since={earliest}."),
        ),
        Discontinuity::Reset { reason } => (
            reason,
            format!("This cursor is not in the current log of the channel; go on with since={earliest}."),
        ),
    };
    let gap = what.object(earliest);
    Problem::new(410, detail).with("earliest", earliest).with("reason", reason).with("gap", gap)
}

#[cfg(test)]
mod tests {
    use tidewire_store::{ChannelName, Message};

    use super::*;
    use crate::hub::Hub;
    use crate::{HubConfig, Retention};

    /// `count` channels with long names. As JSON, their messages are much longer than the payloads.
    fn channels(count: usize, messages: usize, payload: &str) -> (Channels, FormCache) {
        let retention = Retention::DEFAULT.with_max_messages(messages).with_max_bytes(usize::MAX);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let channels = (0..count).map(|number| {
            let name = ChannelName::new(&format!("{number:x<100}")).unwrap();
            for _ in 0..messages {
                hub.publish(&name, Message::new(payload.to_owned().into(), 0), None).unwrap();
            }
            hub.channel(&name).unwrap()
        });
        (Channels(channels.collect()), FormCache::new(hub.counters.forms.clone()))
    }

    #[test]
    fn an_answer_is_bounded_and_the_next_poll_gets_the_rest() {
        // Most of an answer is cursors and names of channels, or escaped payload.
        for (count, messages, payload) in [(16, 100, "x".to_owned()), (1, 1_000, "\u{1}".repeat(100))] {
            let (channels, forms) = channels(count, messages, &payload);
            let mut positions = channels.start(&crate::positions::Start::Earliest);
            let budget = Budget { messages: 10_000, bytes: 64 * 1024 };
            let mut got = 0;
            loop {
                let read = read(&channels, &mut positions, budget, None, &forms).unwrap();
                if !read.any {
                    break;
                }
                got += read.messages;
                let len = read.answer.finish(&positions.to_text()).len();
                assert!(len < budget.bytes + 4 * 1024, "{len} bytes for {} messages", read.messages);
            }
            assert_eq!((got, positions), (count * messages, channels.heads()));
        }
    }
}
