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
use crate::refusal::{deleted, vary};
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
    /// none, and the ends of the channels were told.
    pub(crate) fn empty_answer(&self, cursor: &str, closed: bool, forms: &FormCache) -> Rope {
        let mut answer = Answer::new(self.callback.as_deref(), forms);
        if closed {
            answer.close();
        }
        self.answer(answer, cursor)
    }

    /// The whole HTTP response to a poll of a channel that was deleted; `channel` is its name if
    /// the poll has several. A script reports it in its body, because the page cannot see the
    /// status.
    pub(crate) fn deleted_answer(&self, cursor: &str, channel: Option<&str>, forms: &FormCache) -> Rope {
        let callback = self.callback.as_deref();
        if callback.is_none() {
            return self.response(deleted(channel).into_response());
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
    /// Whether there is anything to answer: a message, a loss, or an end.
    pub(crate) any: bool,
    /// Whether all channels have ended with it.
    pub(crate) has_ended: bool,
    /// Whether messages are missing that the store must fetch. Then `positions` are where.
    pub(crate) waits: bool,
}

/// Reads as much as one answer holds, and advances `positions`. Returns a 410 problem if the log
/// cannot continue from there. A JSONP answer reports that in its body instead, because the page
/// cannot see the status. So does the answer to a client without a cursor: it has asked for what
/// there is, and the store may have lost the first message of that.
///
/// A 410 has no messages. It names a position, and the client continues there. If messages or the
/// end of one channel come before the gap of another, they are the answer, and the next poll gets
/// the 410.
pub(crate) fn read<'f>(
    channels: &Channels,
    positions: &mut Positions,
    budget: Budget,
    (callback, has_cursor): (Option<&'f str>, bool),
    forms: &'f FormCache,
) -> Result<Read<'f>, Problem> {
    read_to(channels, positions, (budget, None), (callback, has_cursor), forms)
}

/// The same up to a ceiling, if there is one.
fn read_to<'f>(
    channels: &Channels,
    positions: &mut Positions,
    (budget, ceiling): (Budget, Option<&Positions>),
    (callback, has_cursor): (Option<&'f str>, bool),
    forms: &'f FormCache,
) -> Result<Read<'f>, Problem> {
    let start = positions.clone();
    let (mut answer, mut messages, mut ends, mut gone) = (Answer::new(callback, forms), 0, 0, None);
    let bounds = Bounds { budget, or_one: true, ceiling, first: 0 };
    let has_several = channels.0.len() > 1;
    let progress = reader::read(channels, has_several, positions, bounds, |item, moved| {
        let before = answer.len();
        match item {
            Item::Message(envelope) => {
                answer.message(&envelope);
                messages += 1;
            }
            Item::Discontinuity { what, cursor } if callback.is_some() || !has_cursor => {
                answer.discontinuity(&what, cursor);
            }
            Item::Discontinuity { what, cursor } => {
                gone = Some((self::gone(&what, cursor), moved));
                return (Flow::End, 0);
            }
            // Of one channel, the cursor and `closed` say it. Of several, the cursor alone would
            // look as if a message were lost.
            Item::End(end) if has_several => {
                answer.end_of_channel(&end);
                ends += 1;
            }
            Item::End(_) => {}
        }
        (Flow::Continue, answer.len() - before)
    });
    match gone {
        None => {
            let reader::Progress { any, has_ended, waits, .. } = progress;
            if has_ended {
                answer.close();
            }
            Ok(Read { answer, messages, any: any || ends > 0 || has_ended, has_ended, waits })
        }
        Some((problem, _)) if messages + ends == 0 => Err(problem),
        Some((_, moved)) => {
            let mut reached = std::mem::replace(positions, start);
            reached.0[moved.channel] = moved.before;
            read_to(channels, positions, (budget, Some(&reached)), (callback, has_cursor), forms)
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
        Discontinuity::Reset { reason: reason @ "tail-lost" } => (
            reason,
            format!("The log has lost its newest messages up to this cursor; go on with since={earliest}."),
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
    use std::future::poll_fn;

    use serde_json::{Value, json};
    use tidewire_store::{ChannelName, Message};

    use super::*;
    use crate::flight::at_once;
    use crate::hub::Hub;
    use crate::positions::Start;
    use crate::publication::Publication;
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
                let read = read(&channels, &mut positions, budget, (None, true), &forms).unwrap();
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

    /// The answer as a client sees it, and whether there is anything to answer.
    fn answer(read: Read<'_>, positions: &Positions) -> (Value, bool) {
        let body = read.answer.finish(&positions.to_text()).to_vec();
        (serde_json::from_slice(&body).unwrap(), read.any)
    }

    #[test]
    fn the_end_of_each_of_several_channels_is_at_its_place() {
        let retention = Retention::DEFAULT.with_max_messages(2);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let names = ["a", "b"].map(|name| ChannelName::new(name).unwrap());
        let publish = |name| hub.publish(name, Message::new("x".into(), 0), None).unwrap().cursor;
        let close = |name: &ChannelName| {
            let mut closing = Publication::close(name.clone());
            at_once(poll_fn(|cx| hub.poll_publish(cx, &mut closing))).unwrap().end.unwrap()
        };
        let channels = Channels(names.iter().map(|name| hub.channel(name).unwrap()).collect());
        let forms = FormCache::new(hub.counters.forms.clone());
        let start = channels.start(&Start::Earliest);
        let (from_b, at_a, at_b) = (start.0[1], publish(&names[0]), publish(&names[1]));
        let end_a = close(&names[0]);
        let place = |object: &Value| format!("{} {}", object["type"].as_str().unwrap(), object["cursor"]);
        let next = |positions: &mut Positions, messages| {
            let budget = Budget { messages, bytes: 64 * 1024 };
            let read = read(&channels, positions, budget, (None, true), &forms).unwrap();
            let (object, any) = answer(read, positions);
            let places: Vec<_> = object["messages"].as_array().unwrap().iter().map(place).collect();
            let last = format!("\"{}\"", positions.to_text());
            assert!(places.last().is_none_or(|place| place.ends_with(&last)), "{object}");
            (places, any, object["closed"] == true)
        };
        let message = |a, b| format!("message \"{a}.{b}\"");
        let end = |a, b| format!("end \"{a}.{b}\"");
        let (mut all, mut one) = (start.clone(), start);
        let both = [message(at_a, from_b), end(end_a, from_b), message(end_a, at_b)];
        assert_eq!(next(&mut all, 10), (both.to_vec(), true, false));
        assert_eq!(next(&mut all, 10), (vec![], false, false), "the end is told once");
        assert_eq!(next(&mut one, 1), (both[..2].to_vec(), true, false), "an end is no message");
        assert_eq!(next(&mut one, 1), (both[2..].to_vec(), true, false));
        // The end of one channel comes before the gap of another.
        let mut behind = Positions([at_a, at_b].into());
        for _ in 0..3 {
            publish(&names[1]);
        }
        assert_eq!(next(&mut behind, 10), (vec![end(end_a, at_b)], true, false));
        let gone = read(&channels, &mut behind, Budget::messages(10), (None, true), &forms).err().unwrap();
        let lost: Value = serde_json::from_slice(&gone.to_json()).unwrap();
        assert_eq!(behind.0[0], end_a);
        let (from, reached) = (format!("{end_a}.{at_b}"), behind.to_text());
        assert_eq!(lost["gap"], json!({"type": "gap", "from": from, "cursor": reached, "missed": 1}));
        // The last end is told like the others.
        all = channels.heads();
        all.0[0] = end_a;
        let (head_b, end_b) = (all.0[1], close(&names[1]));
        assert_ne!(head_b, end_b);
        assert_eq!(next(&mut all, 10), (vec![end(end_a, end_b)], true, true));
        assert_eq!(next(&mut all, 10), (vec![], true, true), "a long poll is answered at once");
    }
}
