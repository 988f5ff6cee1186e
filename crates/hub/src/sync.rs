//! The locks of what workers share. `tests/loom.rs` puts loom's in their place, and so takes the threads through every order.

pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
