//! How many wires are open, and by which addresses their connections are known.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// The wires of a process.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    /// The near ends of their connections, which are peers of this server.
    addresses: HashSet<SocketAddr>,
}

impl Seats {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Seats { max, taken: Mutex::default() })
    }

    /// A place for one more wire, if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut taken = self.lock();
        if taken.count >= self.max {
            return None;
        }
        taken.count += 1;
        Some(Seat { seats: self.clone(), address: None })
    }

    /// Whether a peer of this server is one of its own wires.
    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        self.lock().addresses.contains(&peer)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The place of one wire; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: Option<SocketAddr>,
}

impl Seat {
    /// Names the near end of the wire's connection, before anything is sent over it.
    pub(super) fn known_as(&mut self, address: SocketAddr) {
        self.seats.lock().addresses.insert(address);
        self.address = Some(address);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.count -= 1;
        if let Some(address) = self.address {
            taken.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_known_and_given_back() {
        let seats = Seats::new(2);
        let address = "127.0.0.1:7".parse().unwrap();
        let mut first = seats.take().unwrap();
        first.known_as(address);
        let second = seats.take().unwrap();
        assert!(seats.take().is_none(), "two are allowed");
        assert!(seats.has(address));
        drop(first);
        assert!(!seats.has(address), "the address may be another's now");
        assert!(seats.take().is_some());
        drop(second);
        assert_eq!(seats.lock().count, 0);
    }
}
