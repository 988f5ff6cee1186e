//! The limit on open wires, and the addresses of their connections.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// The limit on the wires of a process.
#[derive(Debug)]
pub(super) struct WireLimit {
    max: usize,
    open: Mutex<OpenWires>,
}

#[derive(Debug, Default)]
struct OpenWires {
    count: usize,
    /// The local addresses of the wires' connections. The server sees them as addresses of peers.
    addresses: HashSet<SocketAddr>,
}

impl WireLimit {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(WireLimit { max, open: Mutex::default() })
    }

    /// Returns a permit for one more wire; `None` if `max` wires are open.
    pub(super) fn acquire(self: &Arc<Self>) -> Option<WirePermit> {
        let mut open = self.lock();
        if open.count >= self.max {
            return None;
        }
        open.count += 1;
        Some(WirePermit { limit: self.clone(), address: None })
    }

    /// Whether a wire connects from this address.
    pub(super) fn is_wire(&self, peer: SocketAddr) -> bool {
        self.lock().addresses.contains(&peer)
    }

    fn lock(&self) -> MutexGuard<'_, OpenWires> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The permit for one wire. The wire counts as open until the permit is dropped.
#[derive(Debug)]
pub(crate) struct WirePermit {
    limit: Arc<WireLimit>,
    address: Option<SocketAddr>,
}

impl WirePermit {
    /// Records the address from which the wire connects. Must be called before anything is sent.
    pub(super) fn set_address(&mut self, address: SocketAddr) {
        self.limit.lock().addresses.insert(address);
        self.address = Some(address);
    }
}

impl Drop for WirePermit {
    fn drop(&mut self) {
        let mut open = self.limit.lock();
        open.count -= 1;
        if let Some(address) = self.address {
            open.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_is_counted_and_its_address_known_until_it_ends() {
        let limit = WireLimit::new(2);
        let address = "127.0.0.1:7".parse().unwrap();
        let mut first = limit.acquire().unwrap();
        first.set_address(address);
        let second = limit.acquire().unwrap();
        assert!(limit.acquire().is_none(), "two are allowed");
        assert!(limit.is_wire(address));
        drop(first);
        assert!(!limit.is_wire(address), "another connection may use the address now");
        assert!(limit.acquire().is_some());
        drop(second);
        assert_eq!(limit.lock().count, 0);
    }
}
