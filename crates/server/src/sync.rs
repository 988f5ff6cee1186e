//! The locks of what threads share. In loom's models they are loom's, which takes the threads
//! through every order.

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};
