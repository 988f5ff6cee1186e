//! The tests that every store passes, and stores for the tests of programs over stores: one that
//! fails, one that crashes, and one that has lost messages.
//!
//! A store implements [`Fixture`] in its tests. [`store_suite`](crate::store_suite) makes a test of
//! each case:
//!
//! ```
//! use std::sync::Arc;
//! use tidewire_store::suite::{Fixture, Loss};
//! use tidewire_store::{Limits, MemoryStore, Store};
//!
//! struct InMemory(Arc<MemoryStore>);
//!
//! impl Fixture for InMemory {
//!     fn store(&self) -> Arc<dyn Store> {
//!         self.0.clone()
//!     }
//!
//!     fn restart(&mut self, _: Loss) -> bool {
//!         false // it cannot, so the cases of restarts do nothing
//!     }
//! }
//!
//! tidewire_store::store_suite!(|| InMemory(Arc::new(MemoryStore::new(Limits::DEFAULT))));
//! # fn main() {}
//! ```

// Tests may panic, and that is what a wrapped number does in them.
#![allow(clippy::arithmetic_side_effects)]

mod bad_rows;
mod closing;
mod faults;
mod faulty;
#[cfg(test)]
mod faulty_tests;
mod forks;
mod journal;
mod life;
mod once;
mod random;
mod reading;
mod restarts;
mod threaded;
mod tools;

use std::sync::Arc;

pub use bad_rows::BadRows;
pub use faulty::{Fault, FaultyStore, Held, Rates, RequestKind, Seen};
pub use journal::{JournalStore, Loss};
pub use threaded::ThreadedStore;
#[cfg(test)]
pub(crate) use random::Random;

use crate::store::Store;

/// A store under test. Each case gets a new one, which is empty.
pub trait Fixture {
    /// The store. After a restart, it is another one.
    fn store(&self) -> Arc<dyn Store>;

    /// Stops the store, and starts it again with what it has kept. Returns `false` if it cannot do
    /// this.
    fn restart(&mut self, loss: Loss) -> bool;

    /// The limits of keys and producers that the store has. Small ones make the tests faster.
    fn limits(&self) -> tidewire_channel::Limits {
        tidewire_channel::Limits::DEFAULT
    }

    /// The bytes of messages that logs may keep for good, if the store has such a limit. Choose
    /// some 10,000 bytes.
    fn room(&self) -> Option<usize> {
        None
    }
}

/// Makes the list of cases, and the macro that makes a test of each.
macro_rules! cases {
    ($dollar:tt $($module:ident: $($case:ident)*;)*) => {
        /// All cases by name.
        pub const CASES: &[(&str, fn(&mut dyn Fixture))] =
            &[$($((stringify!($case), $module::$case),)*)*];

        /// Makes a test of each case of the [suite](crate::suite). The argument makes a
        /// [`Fixture`](crate::suite::Fixture).
        #[macro_export]
        macro_rules! store_suite {
            ($dollar make:expr) => {
                $($(
                    #[test]
                    fn $case() {
                        $crate::suite::run_case(stringify!($case), &mut $dollar make());
                    }
                )*)*
            };
        }
    };
}

cases! { $
    reading:
        messages_are_numbered_and_kept_in_order
        a_reader_resumes_at_every_position
        the_oldest_messages_are_evicted
        old_messages_are_evicted
        a_budget_ends_a_read
        a_cursor_of_another_log_is_told
        a_channel_that_was_never_written_has_a_position;
    once:
        a_key_makes_a_repetition_a_duplicate
        a_producer_makes_a_repetition_a_duplicate
        a_producer_of_an_earlier_run_is_fenced
        keys_and_producers_are_bounded
        a_stream_sequence_increases
        an_append_is_all_or_nothing;
    closing:
        a_closed_log_has_an_end
        a_log_is_closed_without_a_message
        closing_can_be_repeated;
    life:
        a_deleted_log_is_remembered
        a_new_log_tells_the_readers_of_the_old_one
        a_log_that_was_not_used_expires
        a_log_expires_at_its_time
        a_forgotten_log_tells_its_readers
        a_forgotten_message_is_not_appended_again
        a_creation_can_be_repeated
        a_log_is_created_with_messages
        a_log_that_keeps_all_is_never_evicted;
    forks:
        a_fork_begins_with_the_messages_of_its_source
        a_fork_begins_inside_a_message
        a_fork_outlives_its_source
        a_fork_of_a_fork
        a_fork_needs_a_position_of_its_source
        a_fork_has_writers_of_its_own
        a_fork_can_be_created_again;
    restarts:
        a_restart_in_order_is_invisible
        a_lost_tail_is_told_to_those_who_had_seen_it
        what_a_lost_append_left_is_lost
        many_crashes_leave_one_spelling_of_each_place
        an_upload_is_open_after_a_crash
        a_log_is_closed_after_a_crash
        a_fork_is_there_after_a_crash;
    faults:
        a_failed_append_can_be_repeated
        publishers_under_random_faults_publish_once;
}

/// Runs one case.
///
/// # Panics
/// The store does not pass it, or there is no such case.
pub fn run_case(name: &str, fixture: &mut dyn Fixture) {
    let (_, case) = CASES.iter().find(|(case, _)| *case == name).expect("there is a case of this name");
    case(fixture);
}

/// Runs all cases, each with a new fixture.
///
/// # Panics
/// The store does not pass a case.
pub fn run<F: Fixture>(mut make: impl FnMut() -> F) {
    CASES.iter().for_each(|(_, case)| case(&mut make()));
}
