//! Caches the outcome of requests while their channels do not change. If a thousand clients poll
//! one URL, a message is encoded once, and each request costs one look-up. The same holds for a
//! thousand long polls: after a message all clients send the same next request.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidewire_channel::Cursor;
use tidewire_server::PreparedResponse;

use crate::channel::Channel;
use crate::table::HeldPoll;

/// The largest number of cached requests of one worker.
const MAX_ANSWERS: usize = 256;

/// Longest body that is cached, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// The largest number of bytes of all cached bodies.
const MAX_BODIES: usize = 4 * 1024 * 1024;

/// The cached answers of one worker, by request target.
#[derive(Default)]
pub(crate) struct AnswerCache {
    all: HashMap<Box<[u8]>, Kept>,
    bodies: usize,
    /// The answer that was used last. It is the most likely to be needed next, and is found without
    /// hashing.
    last: Option<Last>,
}

struct Last {
    target: Box<[u8]>,
    /// All bytes of the request, if they are known. A request with the same bytes needs no parsing.
    request: Box<[u8]>,
    kept: Kept,
}

/// A cached answer, and the state of the channels for which it is valid.
#[derive(Clone)]
struct Kept {
    snapshot: Snapshot,
    answer: Answer,
}

/// The state of some channels: in each, the messages between two positions.
#[derive(Clone)]
pub(crate) struct Snapshot(Rc<[ChannelBounds]>);

struct ChannelBounds {
    channel: Arc<Channel>,
    /// The positions before the oldest message and after the newest.
    bounds: (Cursor, Cursor),
}

/// The outcome of a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The request was answered.
    Response(Arc<PreparedResponse>),
    /// The request is a long poll that must wait for a message.
    Held(Rc<HeldPoll>),
}

impl AnswerCache {
    /// The outcome for a request with this target, if it is cached.
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

    /// The same for a request that is not parsed yet: the outcome if its bytes are equal to those
    /// of the last request.
    pub(crate) fn get_same(&mut self, request: &[u8], now_ms: u64, max_subscribers: usize) -> Option<Answer> {
        let last = self.last.as_ref().filter(|last| *last.request == *request)?;
        if last.kept.snapshot.holds(now_ms) { last.kept.answer(max_subscribers) } else { None }
    }

    /// Stores the bytes of the request that was answered last.
    pub(crate) fn note_request(&mut self, target: &[u8], request: &[u8]) {
        if let Some(last) = self.last.as_mut().filter(|last| *last.target == *target) {
            last.request = request.into();
        }
    }

    /// Caches the outcome of a request for as long as the channels match `snapshot`.
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
    /// The state of these channels. `None` if the hub has forgotten one of them.
    pub(crate) fn take(channels: Vec<Arc<Channel>>, now_ms: u64) -> Option<Self> {
        let held = channels.into_iter().map(|channel| {
            let bounds = channel.bounds(now_ms)?;
            Some(ChannelBounds { channel, bounds })
        });
        held.collect::<Option<_>>().map(Snapshot)
    }

    /// Whether the channels are still in this state.
    pub(crate) fn holds(&self, now_ms: u64) -> bool {
        self.0.iter().all(|held| {
            // A kept answer is a read, too.
            held.channel.prolong(now_ms);
            held.channel.bounds(now_ms) == Some(held.bounds)
        })
    }
}

impl Kept {
    /// The answer. `None` if it is a poll that must wait, and a channel already has its maximum of
    /// subscribers.
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

#[cfg(test)]
mod tests {
    use tidewire_store::{ChannelName, ChannelSettings, Expiry};

    use super::*;
    use crate::config::HubConfig;
    use crate::hub::Hub;

    #[test]
    fn a_kept_answer_prolongs_a_sliding_expiry() {
        let (hub, name) = (Hub::new(HubConfig::DEFAULT, 1), ChannelName::new("a").unwrap());
        let settings = ChannelSettings::DEFAULT.with_expiry(Some(Expiry::Sliding { ms: 60_000 }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(hub.create(&name, settings)).unwrap();
        let (channel, now_ms) = (hub.channel(&name).unwrap(), hub.now_ms());
        let snapshot = Snapshot::take(vec![channel.clone()], now_ms).unwrap();
        let later_ms = now_ms + 30_000;
        assert!(channel.is_to_prolong(later_ms));
        assert!(snapshot.holds(later_ms));
        assert!(!channel.is_to_prolong(later_ms));
    }
}
