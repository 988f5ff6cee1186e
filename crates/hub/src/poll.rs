//! The answers of polls: short ones at once, long ones from the request or from the table.

use std::time::Duration;

use tidewire_channel::Budget;
use tidewire_server::{Problem, Response};

use crate::cors::Access;
use crate::feeds::poll::Answer;
use crate::feeds::{Discontinuity, Flow, jsonp};
use crate::json_text::Place;
use crate::positions::{Channels, Positions};
use crate::reader::{self, Item};
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
    pub(crate) fn empty_answer(&self, cursor: &str) -> Rope {
        self.answer(Answer::new(self.place()), cursor)
    }

    /// A whole HTTP answer.
    pub(crate) fn answer(&self, answer: Answer, cursor: &str) -> Rope {
        self.response(held(answer, cursor, self.callback.as_deref(), self.preferred))
    }

    /// Whether a break is told in the answer and not by its status: nobody would see that.
    pub(crate) fn tells_breaks(&self) -> bool {
        self.callback.is_some()
    }

    /// Where the JSON of the answer stands.
    pub(crate) fn place(&self) -> Place {
        place(self.callback.as_deref())
    }

    /// Any response with the CORS fields of this poll.
    pub(crate) fn response(&self, response: Response) -> Rope {
        vary(&self.access, response).into_parts(self.idle).into()
    }
}

/// What a poll has to say.
pub(crate) struct Read {
    pub(crate) answer: Answer,
    pub(crate) messages: usize,
    /// Whether there is anything.
    pub(crate) any: bool,
}

/// Reads one answer's worth and moves `positions`; 410 if the log cannot continue, unless the
/// answer `tells` that.
///
/// A 410 has no messages, and the client goes on behind what it says. So where messages of one
/// channel come before the break of another, they are the answer, and the next poll is told of the
/// break.
pub(crate) fn read(
    channels: &Channels,
    positions: &mut Positions,
    budget: Budget,
    tells: bool,
    place: Place,
) -> Result<Read, Problem> {
    let start = positions.clone();
    let (mut answer, mut messages, mut gone) = (Answer::new(place), 0, None);
    let progress = reader::read(channels, channels.0.len() > 1, positions, None, budget, |item| match item {
        Item::Message(envelope) => {
            answer.message(&envelope);
            messages += 1;
            Flow::Continue
        }
        Item::Discontinuity { what, cursor } if tells => {
            answer.discontinuity(&what, cursor);
            Flow::Continue
        }
        Item::Discontinuity { what, cursor } => {
            gone = Some(self::gone(&what, cursor));
            Flow::End
        }
    });
    match gone {
        None => Ok(Read { answer, messages, any: progress.any }),
        Some(problem) if messages == 0 => Err(problem),
        Some(_) => {
            *positions = start;
            read(channels, positions, Budget { messages, ..budget }, tells, place)
        }
    }
}

/// Where the JSON of an answer stands.
pub(crate) fn place(callback: Option<&str>) -> Place {
    if callback.is_some() { Place::Script } else { Place::Line }
}

/// The answer of a held poll: it is about a moment, so nothing keeps it.
pub(crate) fn held(answer: Answer, cursor: &str, callback: Option<&str>, preferred: bool) -> Response {
    let json = answer.finish(cursor);
    let response = match callback {
        None => whole("application/json", line(json), cursor),
        Some(callback) => whole(jsonp::MEDIA, jsonp::script(callback, &json), cursor),
    };
    let response = response.with("Cache-Control", "no-store");
    // RFC 7240 §3: without a value, since the hold may be shorter than what was preferred.
    if preferred { response.with("Preference-Applied", "wait") } else { response }
}

/// The answer of a short poll: it may be kept, and is asked about by its `ETag` each time.
pub(crate) fn short(answer: Answer, cursor: &str) -> Response {
    whole("application/json", line(answer.finish(cursor)), cursor)
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

fn line(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    json
}

fn whole(media: &str, body: Vec<u8>, cursor: &str) -> Response {
    Response::new(200)
        .with("Content-Type", media)
        .with("X-Content-Type-Options", "nosniff")
        .with("Tidewire-Cursor", cursor)
        .body(body)
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
