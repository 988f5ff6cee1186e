//! Answers to short polls, kept while nothing happens: a thousand clients that poll one URL cost one encoding for each message,
//! and for each of them a look-up.

use std::collections::HashMap;
use std::sync::Arc;

use tidewire_channel::Cursor;
use tidewire_http1::RequestHead;
use tidewire_server::Prepared;

use crate::channel::Channel;

/// Answers that one worker keeps.
const MAX_ANSWERS: usize = 256;

/// Longest body that is kept: memory is bounded by the product, and a long answer is paid for by its copy anyway.
const MAX_BODY: usize = 16 * 1024;

/// The answers of one worker, by request target.
#[derive(Default)]
pub(crate) struct Answers {
    all: HashMap<Box<[u8]>, Kept>,
    /// The one that was given last: it is most likely to be asked for again, and found without hashing.
    last: Option<(Box<[u8]>, Kept)>,
}

/// An answer, and what it holds for: the channel between these two positions.
#[derive(Clone)]
struct Kept {
    channel: Arc<Channel>,
    bounds: (Cursor, Cursor),
    answer: Arc<Prepared>,
}

impl Answers {
    /// The answer to this request, if it was made before and still is what would be made.
    pub(crate) fn get(&mut self, head: &RequestHead<'_>, now_ms: u64) -> Option<Arc<Prepared>> {
        let target = head.target();
        let last = self.last.as_ref().filter(|(last, _)| **last == *target).map(|(_, kept)| kept);
        let is_last = last.is_some();
        let kept = last.or_else(|| self.all.get(target))?;
        if kept.channel.bounds(now_ms) == Some(kept.bounds) {
            let answer = kept.answer.clone();
            if !is_last {
                self.last = Some((target.into(), kept.clone()));
            }
            return Some(answer);
        }
        self.all.remove(target);
        self.last = None;
        None
    }

    /// Keeps an answer that was made while the channel had these bounds.
    pub(crate) fn keep(
        &mut self,
        target: &[u8],
        channel: Arc<Channel>,
        bounds: (Cursor, Cursor),
        answer: &Arc<Prepared>,
    ) {
        if answer.body().len() <= MAX_BODY {
            if self.all.len() >= MAX_ANSWERS {
                self.all.clear();
            }
            self.all.insert(target.into(), Kept { channel, bounds, answer: answer.clone() });
        }
    }
}
