//! Counting connections: in total, for each address, for each worker.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::{Limits, Peer};

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
    pub(crate) fn new(places: Places, max_per_address: usize) -> Arc<Self> {
        Arc::new(Census {
            open: AtomicUsize::new(0),
            max: places.0,
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

/// How many connections there may be: what is asked for, or what the descriptor limit of the process allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places(usize);

/// Descriptors that are kept free: for files, logs and the process, and for each worker its reactor
/// and two files. Listeners are counted apart.
const RESERVE: u64 = 48;
const RESERVE_OF_WORKER: u64 = 8;

impl Places {
    /// Raises the soft descriptor limit to the hard one, so that `accept` does not run into EMFILE.
    ///
    /// # Errors
    /// More are asked for than the hard limit allows. It is a sentence that says what to do.
    pub(crate) fn of(limits: &Limits, workers: usize, addresses: usize) -> io::Result<Self> {
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        Self::within(limits.max_connections, limit, workers as u64 * (RESERVE_OF_WORKER + addresses as u64))
    }

    fn within(asked: usize, limit: u64, workers: u64) -> io::Result<Self> {
        let reserve = RESERVE + workers;
        if asked == 0 {
            let left = limit.saturating_sub(reserve).max(limit / 2).max(1);
            return Ok(Places(usize::try_from(left).unwrap_or(usize::MAX)));
        }
        let needed = (asked as u64).saturating_add(reserve);
        if needed > limit {
            return Err(io::Error::other(format!(
                "{asked} connections need {needed} descriptors, and this process may open {limit}; \
                 raise the hard limit (ulimit -n, or LimitNOFILE= of systemd), or allow fewer connections"
            )));
        }
        Ok(Places(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let census = Census::new(Places(3), 2);
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

    #[test]
    fn places_follow_the_descriptor_limit_unless_they_are_asked_for() {
        let places = |asked, limit, workers| Places::within(asked, limit, workers).map(|places| places.0);
        assert_eq!(places(0, 1024, 16).unwrap(), 1024 - 48 - 16);
        assert_eq!(places(0, 64, 16).unwrap(), 32, "a low limit is shared with all else");
        assert_eq!(places(0, 1, 16).unwrap(), 1);
        assert_eq!(places(960, 1024, 16).unwrap(), 960);
        let error = places(961, 1024, 16).unwrap_err().to_string();
        assert!(error.contains("961") && error.contains("1025") && error.contains("ulimit -n"), "{error}");
        assert!(places(usize::MAX, u64::MAX - 1, 16).is_err());
    }
}
