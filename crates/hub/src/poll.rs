//! The answers of polls: short ones at once, long ones from the request or from the table.

use std::time::Duration;

use tidewire_channel::Budget;
use tidewire_server::{Problem, Response};

use crate::cors::Access;
use crate::feeds::poll::Answer;
use crate::feeds::{Discontinuity, Flow, jsonp};
use crate::forms::Forms;
use crate::positions::{Channels, Positions};
use crate::reader::{self, Bounds, Item};
use crate::refusal::vary;
use crate::rope::Rope;

/// What decides the bytes of a held poll's answer, beside the messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PollShape {
    pub(crate) limit: usize,
    pub(crate) access: Access,
    /// The function that the answer calls, if it is a script.
    pub(crate) callback: Option<Box<str>>,
    /// The hold was a preference of the client's, which the answer says was heeded.
    pub(crate) preferred: bool,
    /// How long the connection may be idle after the answer; none where it closes.
    pub(crate) idle: Option<Duration>,
}

impl PollShape {
    pub(crate) fn closes(&self) -> bool {
        self.idle.is_none()
    }

    pub(crate) fn closing(&self) -> Self {
        PollShape { idle: None, ..self.clone() }
    }

    /// The whole HTTP answer of a poll for which there is nothing.
    pub(crate) fn empty_answer(&self, cursor: &str, forms: &Forms) -> Rope {
        self.answer(Answer::new(self.callback.as_deref(), forms), cursor)
    }

    /// A whole HTTP answer.
    pub(crate) fn answer(&self, answer: Answer<'_>, cursor: &str) -> Rope {
        self.response(held(answer, cursor, self.callback.is_some(), self.preferred))
    }

    /// Any response with the CORS fields of this poll.
    pub(crate) fn response(&self, response: Response) -> Rope {
        vary(&self.access, response).into_parts(self.idle).into()
    }
}

/// What a poll has to say.
pub(crate) struct Read<'f> {
    pub(crate) answer: Answer<'f>,
    pub(crate) messages: usize,
    /// Whether there is anything.
    pub(crate) any: bool,
}

/// Reads one answer's worth and moves `positions`; 410 if the log cannot continue. The answer that
/// calls a function tells that itself: nobody would see its status.
///
/// A 410 has no messages, and the client goes on behind what it says. So where messages of one
/// channel come before the break of another, they are the answer, and the next poll is told of the
/// break.
pub(crate) fn read<'f>(
    channels: &Channels,
    positions: &mut Positions,
    budget: Budget,
    callback: Option<&'f str>,
    forms: &'f Forms,
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
    });
    match gone {
        None => Ok(Read { answer, messages, any: progress.any }),
        Some(problem) if messages == 0 => Err(problem),
        Some(_) => {
            *positions = start;
            read(channels, positions, Budget { messages, ..budget }, callback, forms)
        }
    }
}

/// The answer of a held poll: it is about a moment, so nothing keeps it.
pub(crate) fn held(answer: Answer<'_>, cursor: &str, is_script: bool, preferred: bool) -> Response {
    let media = if is_script { jsonp::MEDIA } else { "application/json" };
    let response = whole(media, answer.finish(cursor), cursor);
    let response = response.with("Cache-Control", "no-store");
    // RFC 7240 §3: without a value, since the hold may be shorter than what was preferred.
    if preferred { response.with("Preference-Applied", "wait") } else { response }
}

/// The answer of a short poll: it may be kept, and is asked about by its `ETag` each time.
pub(crate) fn short(answer: Answer<'_>, cursor: &str) -> Response {
    whole("application/json", answer.finish(cursor), cursor)
        .with("Cache-Control", "no-cache")
        .with("ETag", format!("\"{cursor}\""))
}

/// Nothing new since the cursor that the client named in `If-None-Match`.
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

/// The refusal of a poll whose cursor the log cannot continue. The client is told where it can go
/// on and what it lost.
pub(crate) fn gone(what: &Discontinuity<'_>, earliest: &str) -> Problem {
    let (reason, detail) = match *what {
        Discontinuity::Gap { missed, .. } => (
            "gap",
            format!("{missed} messages after this cursor are no longer kept; go on with since={earliest}."),
        ),
        Discontinuity::Reset { reason } => (
            reason,
            format!("This cursor is not one of the channel as it is now; go on with since={earliest}."),
        ),
    };
    let gap = what.object(earliest);
    Problem::new(410, detail).with("earliest", earliest).with("reason", reason).with("gap", gap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Hub;
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::{HubConfig, Retention};

    /// So many channels with long names, each with messages that are much longer as JSON.
    fn channels(count: usize, messages: usize, payload: &str) -> (Channels, Forms) {
        let retention = Retention::DEFAULT.with_max_messages(messages).with_max_bytes(usize::MAX);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let channels = (0..count).map(|number| {
            let name = ChannelName::new(&format!("{number:x<100}")).unwrap();
            for _ in 0..messages {
                hub.publish(&name, Message::new(payload.to_owned().into(), 0), None).unwrap();
            }
            hub.channel(&name).unwrap()
        });
        (Channels(channels.collect()), Forms::new(hub.counters.forms.clone()))
    }

    #[test]
    fn an_answer_is_no_longer_than_its_budget_and_one_message_and_the_next_has_the_rest() {
        // The cursors and names of many channels, or a payload that is escaped, are most of it.
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
