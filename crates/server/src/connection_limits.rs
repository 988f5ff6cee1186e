//! Limits on open connections: in total and for each address. Counts the connections of each worker
//! too.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::{Limits, Peer};

/// The limits on connections, and the number of open connections, over all workers.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max: usize,
    open: AtomicUsize,
    /// 0 means no limit.
    max_per_address: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl ConnectionLimits {
    /// Raises the soft descriptor limit to the hard limit, so that `accept` does not fail with
    /// EMFILE.
    ///
    /// # Errors
    /// `limits` allow more connections than the hard limit does. The error says what to do.
    pub(crate) fn new(limits: &Limits, workers: usize, listeners: usize) -> io::Result<Arc<Self>> {
        let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        let reserve = RESERVE + workers as u64 * (RESERVE_OF_WORKER + listeners as u64);
        let max = max_connections(limits.max_connections, descriptors, reserve)?;
        Ok(Arc::new(Self::of(max, limits.max_connections_per_address)))
    }

    fn of(max: usize, max_per_address: usize) -> Self {
        ConnectionLimits { max, open: AtomicUsize::new(0), max_per_address, by_address: Mutex::default() }
    }

    /// A counter for one more worker.
    pub(crate) fn worker(self: &Arc<Self>) -> Arc<WorkerConnections> {
        Arc::new(WorkerConnections { all: self.clone(), open: AtomicUsize::new(0), emptied: Notify::new() })
    }

    /// Counts a connection, unless a limit is reached. Returns whether it did.
    fn try_add(&self, peer: Peer) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        if let Some(address) = self.limited_address(peer) {
            let mut by_address = self.by_address();
            let count = by_address.entry(address).or_insert(0);
            if *count >= self.max_per_address {
                self.open.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            *count += 1;
        }
        true
    }

    fn remove(&self, peer: Peer) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.limited_address(peer) {
            let mut by_address = self.by_address();
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }

    /// The address that a limit applies to. Loopback is exempt, because a proxy in front connects
    /// from there.
    fn limited_address(&self, peer: Peer) -> Option<IpAddr> {
        match peer {
            Peer::Tcp(address) if self.max_per_address > 0 && !address.ip().is_loopback() => {
                Some(address.ip().to_canonical())
            }
            _ => None,
        }
    }

    /// No code panics while it holds the lock, so a poisoned lock holds good data.
    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct WorkerConnections {
    all: Arc<ConnectionLimits>,
    open: AtomicUsize,
    emptied: Notify,
}

impl WorkerConnections {
    /// Admits a connection, or returns `None` if a limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Permit> {
        if !self.all.try_add(peer) {
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Permit { worker: self.clone(), peer })
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

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Counts as one open connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    worker: Arc<WorkerConnections>,
    peer: Peer,
}

impl Permit {
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.worker.all.remove(self.peer);
        if self.worker.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.worker.emptied.notify_one();
        }
    }
}

/// Descriptors that are kept free for files, logs and the process. Listeners are counted
/// separately.
const RESERVE: u64 = 48;
/// Descriptors that are kept free for each worker: its reactor and two files.
const RESERVE_OF_WORKER: u64 = 8;

/// The largest number of connections: `asked`, or as many as the descriptor limit of the process
/// allows if `asked` is 0.
fn max_connections(asked: usize, descriptors: u64, reserve: u64) -> io::Result<usize> {
    if asked == 0 {
        let left = descriptors.saturating_sub(reserve).max(descriptors / 2).max(1);
        return Ok(usize::try_from(left).unwrap_or(usize::MAX));
    }
    let needed = (asked as u64).saturating_add(reserve);
    if needed > descriptors {
        return Err(io::Error::other(format!(
            "{asked} connections need {needed} descriptors, and this process may open {descriptors}; \
             raise the hard limit (ulimit -n, or LimitNOFILE= of systemd), or allow fewer connections"
        )));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn connections_are_counted_until_they_end() {
        let limits = Arc::new(ConnectionLimits::of(3, 2));
        let worker = limits.worker();
        let a = worker.admit(peer("192.0.2.1")).unwrap();
        let b = worker.admit(peer("192.0.2.1")).unwrap();
        assert!(worker.admit(peer("192.0.2.1")).is_none(), "one address may have two connections");
        assert!(
            worker.admit(peer("::ffff:192.0.2.1")).is_none(),
            "an address written as IPv6 is the same address"
        );
        let c = worker.admit(peer("127.0.0.1")).unwrap();
        assert!(worker.admit(peer("127.0.0.1")).is_none(), "the server may have three connections");
        drop((a, b, c));
        assert_eq!(worker.open(), 0);
        assert!(worker.admit(peer("192.0.2.1")).is_some());
        assert!(limits.by_address().is_empty());
    }

    #[test]
    fn the_descriptor_limit_decides_unless_a_number_is_asked_for() {
        assert_eq!(max_connections(0, 1024, 64).unwrap(), 1024 - 64);
        assert_eq!(max_connections(0, 64, 64).unwrap(), 32, "half of a low limit");
        assert_eq!(max_connections(0, 1, 64).unwrap(), 1);
        assert_eq!(max_connections(960, 1024, 64).unwrap(), 960);
        let error = max_connections(961, 1024, 64).unwrap_err().to_string();
        assert!(error.contains("961") && error.contains("1025") && error.contains("ulimit -n"), "{error}");
        assert!(max_connections(usize::MAX, u64::MAX - 1, 64).is_err());
    }
}
