//! The cache of encoded payloads of one worker.
//!
//! Many groups of subscribers read the same message: each list of channels and each feed is a
//! group. A payload is escaped and compressed once for each form, not once for each group. A slow
//! reader holds a reference to the encoded bytes, not a copy.
//!
//! The key of an entry is the address and length of the payload, the kind of the form, and whether
//! it is compressed. A form depends on nothing else. An entry holds its payload, so while the entry
//! lives no other payload can have that address.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_store::Message;

use crate::counters::FormCounters;
use crate::form::{Form, FormKind, deflate};
use crate::gzip::Sum;
use crate::json_text::{Place, is_same_in};

/// One worker keeps at most this many bytes: forms and their payloads. Above that the oldest
/// entries are removed, but never the newest. For messages of the longest size, about two forms are
/// in use at once.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The cost of an entry besides its bytes.
const ENTRY: usize = 256;

/// The cache of one worker. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FormCache(Rc<RefCell<Ring>>);

#[derive(Debug)]
struct Ring {
    counters: Arc<FormCounters>,
    kept: HashMap<Key, Kept>,
    /// The keys, oldest first.
    order: VecDeque<Key>,
    /// The weight of all entries.
    bytes: usize,
    /// Counts the calls of [`FormCache::forget_unused`].
    round: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: usize,
    len: usize,
    kind: FormKind,
    deflated: bool,
}

#[derive(Debug)]
struct Kept {
    form: Form,
    payload: Bytes,
    /// The round of the last use.
    used: u32,
}

impl FormCache {
    pub(crate) fn new(counters: Arc<FormCounters>) -> Self {
        let (kept, order) = (HashMap::new(), VecDeque::new());
        FormCache(Rc::new(RefCell::new(Ring { counters, kept, order, bytes: 0, round: 0 })))
    }

    /// Returns the payload in this form.
    pub(crate) fn plain(&self, kind: FormKind, message: &Message) -> Bytes {
        self.0.borrow_mut().plain(kind, message)
    }

    /// Returns the payload in this form, compressed; and whether it was compressed in this call.
    pub(crate) fn deflated(&self, kind: FormKind, message: &Message) -> (Form, bool) {
        let mut ring = self.0.borrow_mut();
        let key = Key::new(kind, message, true);
        if let Some(form) = ring.get(key) {
            return (form, false);
        }
        let (bytes, sum) = match ring.get(Key::new(kind, message, false)) {
            Some(plain) => deflate(&plain.bytes),
            None if kind == FormKind::Payload => deflate(message.data()),
            None => deflate(&kind.make(message)),
        };
        let bytes = ring.made(bytes);
        let form = Form { bytes, sum };
        ring.keep(key, message, form.clone());
        (form, true)
    }

    /// Removes the entries that were not used since the last call. Called at every tick.
    pub(crate) fn forget_unused(&self) {
        let ring = &mut *self.0.borrow_mut();
        let round = ring.round;
        ring.round = round.wrapping_add(1);
        ring.kept.retain(|_, kept| kept.used == round);
        ring.order.retain(|key| ring.kept.contains_key(key));
        ring.bytes = ring.kept.values().map(Kept::weight).sum();
        ring.kept.shrink_to_fit();
        ring.order.shrink_to_fit();
    }
}

impl Ring {
    fn plain(&mut self, kind: FormKind, message: &Message) -> Bytes {
        let key = Key::new(kind, message, false);
        if let Some(form) = self.get(key) {
            return form.bytes;
        }
        let bytes = match kind {
            // The payload needs no encoding. It is stored only to count its bytes while somebody
            // holds them.
            FormKind::Payload => self.counters.hold(message.data().clone()),
            FormKind::Json(Place::Line) | FormKind::Lines => self.made(kind.make(message)),
            FormKind::Json(place) => {
                let line = self.plain(FormKind::Json(Place::Line), message);
                if is_same_in(place, &line) { line } else { self.made(kind.make(message)) }
            }
        };
        self.keep(key, message, Form { bytes: bytes.clone(), sum: Sum::default() });
        bytes
    }

    fn get(&mut self, key: Key) -> Option<Form> {
        let kept = self.kept.get_mut(&key)?;
        kept.used = self.round;
        Some(kept.form.clone())
    }

    /// Counts a new form, and frees its spare capacity.
    fn made(&self, bytes: Vec<u8>) -> Bytes {
        self.counters.count_formed();
        self.counters.hold(bytes.into_boxed_slice().into())
    }

    fn keep(&mut self, key: Key, message: &Message, form: Form) {
        let kept = Kept { form, payload: message.data().clone(), used: self.round };
        self.bytes += kept.weight();
        self.kept.insert(key, kept);
        self.order.push_back(key);
        while self.bytes > MAX_BYTES && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|key| self.kept.remove(&key));
            self.bytes -= oldest.map_or(0, |kept| kept.weight());
        }
    }
}

impl Key {
    fn new(kind: FormKind, message: &Message, deflated: bool) -> Self {
        let payload = message.data();
        Key { address: payload.as_ptr() as usize, len: payload.len(), kind, deflated }
    }
}

impl Kept {
    fn weight(&self) -> usize {
        self.form.bytes.len() + self.payload.len() + ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: FormKind = FormKind::Json(Place::Line);

    fn forms() -> (FormCache, Arc<FormCounters>) {
        let counters = Arc::<FormCounters>::default();
        (FormCache::new(counters.clone()), counters)
    }

    fn message(byte: u8, len: usize) -> Message {
        Message::new(vec![byte; len].into(), 0)
    }

    #[test]
    fn a_form_is_made_once_and_found_again() {
        let (forms, counters) = forms();
        let message = message(b'a', 10_000);
        let plain = forms.plain(JSON, &message);
        assert_eq!(plain, JSON.make(&message));
        assert_eq!(forms.plain(JSON, &message).as_ptr(), plain.as_ptr());
        // A message with another time or name has the same payload.
        assert_eq!(forms.plain(JSON, &message.with_time(7)).as_ptr(), plain.as_ptr());
        let (deflated, made) = forms.deflated(JSON, &message);
        assert_eq!((made, deflated.sum), (true, Sum::of(&plain)));
        assert!(!forms.deflated(JSON, &message).1);
        assert_eq!(counters.formed(), 2);
        // If nothing more must be escaped, the bytes are shared.
        for place in [Place::Script, Place::Part] {
            assert_eq!(forms.plain(FormKind::Json(place), &message).as_ptr(), plain.as_ptr());
        }
        // An equal payload at another address has its own entry.
        let other = Message::new(message.data().to_vec().into(), 0);
        assert_ne!(forms.plain(JSON, &other).as_ptr(), plain.as_ptr());
        assert_eq!(forms.plain(FormKind::Payload, &other).as_ptr(), other.data().as_ptr());
        assert_eq!(counters.formed(), 3);
        let tags = Message::new("<".repeat(10_000).into(), 0);
        let (line, script) = (forms.plain(JSON, &tags), forms.plain(FormKind::Json(Place::Script), &tags));
        assert!(line.starts_with(b",\"data\"") && script.starts_with(b",\"data_b64\""));
    }

    #[test]
    fn the_cache_is_bounded_and_held_bytes_are_counted() {
        let (forms, counters) = forms();
        let held: Vec<_> = (0..4).map(|byte| forms.plain(JSON, &message(byte, 1024 * 1024))).collect();
        for byte in 0..30 {
            forms.plain(JSON, &message(byte, 1024 * 1024));
            let own = counters.held() - held.iter().map(Bytes::len).sum::<usize>() as u64;
            assert!(own <= MAX_BYTES as u64, "{own} bytes are kept");
        }
        // A payload longer than the whole limit is kept alone.
        let long = message(b'a', MAX_BYTES);
        forms.plain(JSON, &long);
        assert!(!forms.deflated(JSON, &long).0.bytes.is_empty());
        forms.forget_unused();
        forms.forget_unused();
        assert_eq!(counters.held(), held.iter().map(Bytes::len).sum::<usize>() as u64);
        drop(held);
        assert_eq!((counters.held(), forms.0.borrow().bytes), (0, 0));
    }

    #[test]
    fn a_used_form_stays_in_the_cache() {
        let (forms, counters) = forms();
        let (used, unused) = (message(b'a', 10_000), message(b'b', 10_000));
        forms.plain(JSON, &unused);
        for _ in 0..10 {
            forms.plain(JSON, &used);
            forms.forget_unused();
        }
        assert_eq!(counters.formed(), 2);
        forms.plain(JSON, &unused);
        assert_eq!(counters.formed(), 3);
    }
}
