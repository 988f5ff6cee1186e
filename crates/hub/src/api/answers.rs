//! What became of a request that others repeat, kept while nothing happens. A thousand clients that
//! poll one URL cost one encoding for each message, and for each of them a look-up. So it is with a
//! thousand that wait: after a message all of them ask the same next question.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidewire_channel::Cursor;
use tidewire_server::PreparedResponse;

use crate::channel::Channel;
use crate::table::HeldPoll;

/// Requests that one worker remembers.
const MAX_ANSWERS: usize = 256;

/// Longest body that is kept.
const MAX_BODY: usize = 256 * 1024;

/// Bytes of all bodies that are kept.
const MAX_BODIES: usize = 4 * 1024 * 1024;

/// The answers of one worker, by request target.
#[derive(Default)]
pub(crate) struct Answers {
    all: HashMap<Box<[u8]>, Kept>,
    bodies: usize,
    /// The one that was given last: it is most likely to be asked for again, and found without
    /// hashing.
    last: Option<Last>,
}

struct Last {
    target: Box<[u8]>,
    /// All bytes of the request, where they are known: the same bytes mean the same, and need not
    /// be parsed.
    request: Box<[u8]>,
    kept: Kept,
}

/// What is kept, and what it holds for.
#[derive(Clone)]
struct Kept {
    snapshot: Snapshot,
    answer: Answer,
}

/// What some channels held: each the messages between two positions.
#[derive(Clone)]
pub(crate) struct Snapshot(Rc<[ChannelBounds]>);

struct ChannelBounds {
    channel: Arc<Channel>,
    /// The positions before the oldest message and after the newest.
    bounds: (Cursor, Cursor),
}

/// What became of a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It was answered.
    Response(Arc<PreparedResponse>),
    /// It is a poll for which there was nothing.
    Held(Rc<HeldPoll>),
}

impl Answers {
    /// What becomes of a request for this target, if it is known.
    pub(crate) fn get(&mut self, target: &[u8], now_ms: u64, max_subscribers: usize) -> Option<Answer> {
        let last = self.last.as_ref().filter(|last| *last.target == *target).map(|last| &last.kept);
        let is_last = last.is_some();
        let kept = last.or_else(|| self.all.get(target))?;
        if !kept.snapshot.holds(now_ms) {
            self.forget(target);
            return None;
        }
        let answer = kept.answer(max_subscribers);
        if !is_last {
            let kept = kept.clone();
            self.last = Some(Last { target: target.into(), request: Box::default(), kept });
        }
        answer
    }

    /// The same for a request of which only the bytes are known.
    pub(crate) fn get_same(&mut self, request: &[u8], now_ms: u64, max_subscribers: usize) -> Option<Answer> {
        let last = self.last.as_ref().filter(|last| *last.request == *request)?;
        if last.kept.snapshot.holds(now_ms) { last.kept.answer(max_subscribers) } else { None }
    }

    /// Notes the bytes of the request that was answered last.
    pub(crate) fn note_request(&mut self, target: &[u8], request: &[u8]) {
        if let Some(last) = self.last.as_mut().filter(|last| *last.target == *target) {
            last.request = request.into();
        }
    }

    /// Keeps what became of a request while the channels held this.
    pub(crate) fn keep(&mut self, target: &[u8], snapshot: Snapshot, answer: Answer) {
        let len = answer.body_len();
        if len > MAX_BODY {
            return;
        }
        self.forget(target);
        if self.all.len() >= MAX_ANSWERS || self.bodies + len > MAX_BODIES {
            self.all.clear();
            self.bodies = 0;
        }
        self.bodies += len;
        let kept = Kept { snapshot, answer };
        self.last = Some(Last { target: target.into(), request: Box::default(), kept: kept.clone() });
        self.all.insert(target.into(), kept);
    }

    fn forget(&mut self, target: &[u8]) {
        if let Some(kept) = self.all.remove(target) {
            self.bodies -= kept.answer.body_len();
        }
        self.last = None;
    }
}

impl Snapshot {
    /// What these channels hold. `None` if one of them was forgotten.
    pub(crate) fn take(channels: Vec<Arc<Channel>>, now_ms: u64) -> Option<Self> {
        let held = channels.into_iter().map(|channel| {
            let bounds = channel.bounds(now_ms)?;
            Some(ChannelBounds { channel, bounds })
        });
        held.collect::<Option<_>>().map(Snapshot)
    }

    /// Whether they hold the same now.
    pub(crate) fn holds(&self, now_ms: u64) -> bool {
        self.0.iter().all(|held| held.channel.bounds(now_ms) == Some(held.bounds))
    }
}

impl Kept {
    /// The answer; none to a poll where no more may wait.
    fn answer(&self, max_subscribers: usize) -> Option<Answer> {
        let is_full = || self.snapshot.0.iter().any(|held| held.channel.subscribers() >= max_subscribers);
        match &self.answer {
            Answer::Held(_) if is_full() => None,
            answer => Some(answer.clone()),
        }
    }
}

impl Answer {
    fn body_len(&self) -> usize {
        match self {
            Answer::Response(response) => response.body_len(),
            Answer::Held(_) => 0,
        }
    }
}
