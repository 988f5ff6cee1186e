//! Counting connections: in total, for each address, for each worker.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::Peer;

/// Connections of the whole server.
#[derive(Debug)]
pub(crate) struct Census {
    open: AtomicUsize,
    max: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    max_per_address: usize,
}

/// Connections of one worker, and a bell that rings when the last one ends.
#[derive(Debug)]
pub(crate) struct Gauge {
    census: Arc<Census>,
    open: AtomicUsize,
    emptied: Notify,
}

impl Census {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Census {
            open: AtomicUsize::new(0),
            max: if max == 0 { max_from_descriptors() } else { max },
            by_address: Mutex::default(),
            max_per_address,
        })
    }

    pub(crate) fn gauge(self: &Arc<Self>) -> Arc<Gauge> {
        Arc::new(Gauge { census: self.clone(), open: AtomicUsize::new(0), emptied: Notify::new() })
    }
}

impl Gauge {
    /// Admits a connection, or says no.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Permit> {
        let census = &self.census;
        if census.open.fetch_add(1, Ordering::Relaxed) >= census.max {
            census.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        if let Some(address) = counted(peer).filter(|_| census.max_per_address > 0) {
            let mut by_address = census.by_address.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let count = by_address.entry(address).or_insert(0);
            if *count >= census.max_per_address {
                census.open.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            *count += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Permit { gauge: self.clone(), peer })
    }

    /// Waits until no connection is left.
    pub(crate) async fn wait_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// One admitted connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Permit {
    gauge: Arc<Gauge>,
    peer: Peer,
}

impl Permit {
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let census = &self.gauge.census;
        census.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = counted(self.peer).filter(|_| census.max_per_address > 0) {
            let mut by_address = census.by_address.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
        if self.gauge.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.gauge.emptied.notify_one();
        }
    }
}

/// Loopback is exempt from the limit per address: a proxy in front comes from there.
fn counted(peer: Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(address) if !address.ip().is_loopback() => Some(address.ip().to_canonical()),
        _ => None,
    }
}

/// Descriptors kept back for listeners, files, logs and the runtime.
const RESERVE: u64 = 64;

/// Raises the soft descriptor limit to the hard one and derives the cap on connections from it, so that
/// `accept` does not run into EMFILE.
fn max_from_descriptors() -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    usize::try_from(limit.saturating_sub(RESERVE).max(limit / 2).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let census = Census::new(3, 2);
        let gauge = census.gauge();
        let a = gauge.admit(peer("192.0.2.1")).unwrap();
        let b = gauge.admit(peer("192.0.2.1")).unwrap();
        assert!(gauge.admit(peer("192.0.2.1")).is_none(), "two from one address");
        assert!(gauge.admit(peer("::ffff:192.0.2.1")).is_none(), "the same address written as IPv6");
        let c = gauge.admit(peer("127.0.0.1")).unwrap();
        assert!(gauge.admit(peer("127.0.0.1")).is_none(), "three in total");
        drop((a, b, c));
        assert_eq!(gauge.open(), 0);
        assert!(gauge.admit(peer("192.0.2.1")).is_some());
        assert!(census.by_address.lock().unwrap().is_empty());
    }
}
