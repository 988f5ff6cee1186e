//! The end of a hub: nothing is under way at the store any more.
//!
//! ```text
//!   the server stops ──► Hub::settle ──► the hub is dropped ──► the store is closed
//!                           │
//!                           └ appends in flight, marks of uploads that were cut, pages, a sweep
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::hub::Hub;

/// The first pause between two looks. It doubles, up to the last one.
const PAUSE: Duration = Duration::from_millis(1);

const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Hub {
    /// Waits until the store has answered everything, at most for this time. Returns whether it
    /// has. Blocks the thread.
    ///
    /// Call it when the server has ended and before the store is closed. An append that was in
    /// flight then has an answer, and an upload that the stop has cut has its mark in the log. If
    /// the store does not answer in this time, nobody knows what became of the rest.
    #[must_use = "the store may still work on requests"]
    pub fn settle(&self, longest: Duration) -> bool {
        let (since, mut pause) = (Instant::now(), PAUSE);
        loop {
            if self.is_settled() {
                return true;
            }
            let left = longest.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_settled(&self) -> bool {
        // What was under way may have begun something else: a channel is looked at after the rest.
        let is_idle = !self.is_store_sweeping.load(Ordering::Relaxed) && self.common.pages.fetches() == 0;
        is_idle && self.channels.all(|channel: &Arc<Channel>| !channel.lock().waits_for_store())
    }
}
