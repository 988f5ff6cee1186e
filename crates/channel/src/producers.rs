//! Producers: programs that number their appends, so that each append takes place once, and an old
//! run of a program is shut out by a new one.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::cursor::Cursor;
use crate::error::RefusedKind;
use crate::limits::Limits;
use crate::once::ProducerSeq;

/// The producers that have appended last, each with its newest epoch and sequence number.
///
/// Ids are kept whole, as keys are. `by_use` orders them by their last use, and so also by age: the
/// clock only moves forward.
#[derive(Debug)]
pub(crate) struct Producers {
    by_use: BTreeMap<u64, Arc<[u8]>>,
    known: BTreeMap<Arc<[u8]>, Producer>,
    uses: u64,
    clock_ms: u64,
}

#[derive(Debug)]
struct Producer {
    epoch: u64,
    seq: u64,
    /// The position after what was appended with `seq`.
    cursor: Cursor,
    time_ms: u64,
    /// The place in `by_use`.
    used: u64,
}

impl Producers {
    pub(crate) const fn new() -> Self {
        Self { by_use: BTreeMap::new(), known: BTreeMap::new(), uses: 0, clock_ms: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the position after the newest append of this producer, if it has made this append
    /// already. Returns `None` if the append is the next one of the producer.
    pub(crate) fn check(&self, append: ProducerSeq<'_>) -> Result<Option<Cursor>, RefusedKind> {
        let Some(known) = self.known.get(append.id).filter(|known| append.epoch <= known.epoch) else {
            return if append.seq == 0 { Ok(None) } else { Err(RefusedKind::ProducerStart) };
        };
        if append.epoch < known.epoch {
            return Err(RefusedKind::ProducerFenced { epoch: known.epoch });
        }
        match append.seq.checked_sub(known.seq) {
            None | Some(0) => Ok(Some(known.cursor)),
            Some(1) => Ok(None),
            Some(_) => Err(RefusedKind::ProducerGap { expected: known.seq.saturating_add(1) }),
        }
    }

    /// Remembers an append that [`check`](Self::check) has let through.
    pub(crate) fn insert(&mut self, append: ProducerSeq<'_>, cursor: Cursor, limits: &Limits) {
        if limits.max_producers == 0 {
            return;
        }
        let id = match self.known.remove_entry(append.id) {
            Some((id, known)) => {
                self.by_use.remove(&known.used);
                id
            }
            None => Arc::from(append.id),
        };
        while self.known.len() >= limits.max_producers {
            self.forget_oldest();
        }
        let ProducerSeq { epoch, seq, .. } = append;
        let used = self.next_use();
        self.by_use.insert(used, Arc::clone(&id));
        self.known.insert(id, Producer { epoch, seq, cursor, time_ms: self.clock_ms, used });
    }

    /// Notes that a producer has repeated an append: it is alive.
    pub(crate) fn touch(&mut self, id: &[u8]) {
        let (used, time_ms) = (self.next_use(), self.clock_ms);
        let Some(known) = self.known.get_mut(id) else { return };
        let Some(id) = self.by_use.remove(&known.used) else { return };
        (known.used, known.time_ms) = (used, time_ms);
        self.by_use.insert(used, id);
    }

    /// Forgets producers that are too old. Time only moves forward, as in the log.
    pub(crate) fn expire(&mut self, now_ms: u64, limits: &Limits) {
        self.clock_ms = self.clock_ms.max(now_ms);
        while self
            .oldest_ms()
            .is_some_and(|time_ms| self.clock_ms.saturating_sub(time_ms) >= limits.producer_age_ms)
        {
            self.forget_oldest();
        }
    }

    /// The last use of the producer that is forgotten next.
    fn oldest_ms(&self) -> Option<u64> {
        let (_, id) = self.by_use.first_key_value()?;
        Some(self.known.get(id)?.time_ms)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.by_use.pop_first() {
            self.known.remove(&id);
        }
    }

    fn next_use(&mut self) -> u64 {
        self.uses = self.uses.wrapping_add(1);
        self.uses
    }
}
