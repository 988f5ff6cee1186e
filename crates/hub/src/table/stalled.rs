//! Messages of WebSockets that wait until a channel has room for them.

use std::cell::Cell;
use std::rc::Rc;

use super::incoming::Incoming;

/// A worker stores at most this many bytes of such messages.
const MAX_STALLED: usize = 16 * 1024 * 1024;

/// The bytes of such messages that a worker stores.
#[derive(Clone, Default)]
pub(super) struct StalledBytes(Rc<Cell<usize>>);

/// Messages of one connection, in their order. They count until they are dropped or taken.
pub(super) struct Stalled {
    messages: Vec<Incoming>,
    len: usize,
    all: StalledBytes,
}

impl StalledBytes {
    /// Stores messages, unless too much is stored already.
    pub(super) fn keep(&self, messages: Vec<Incoming>) -> Option<Stalled> {
        let len = messages.iter().map(Incoming::len).sum::<usize>();
        let sum = self.0.get() + len;
        (sum <= MAX_STALLED).then(|| {
            self.0.set(sum);
            Stalled { messages, len, all: self.clone() }
        })
    }
}

impl Stalled {
    pub(super) fn into_messages(mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.all.0.set(self.all.0.get() - self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalled_messages_are_bounded_and_counted() {
        let all = StalledBytes::default();
        let long = || vec![Incoming::Binary(vec![0; MAX_STALLED / 2 - size_of::<Incoming>()].into())];
        let (one, two) = (all.keep(long()), all.keep(long()));
        assert!(one.is_some() && two.is_some());
        assert!(all.keep(vec![Incoming::Text("x".to_owned())]).is_none());
        drop(one);
        assert_eq!(all.keep(long()).expect("there is room again").into_messages().len(), 1);
        drop(two);
        assert_eq!(all.0.get(), 0);
    }
}
