//! State that the connections of one worker share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidewire_http1::Fields;

use crate::Limits;
use crate::date::DateCache;
use crate::deadline::Deadlines;
use crate::turns::Turns;

/// The largest number of bytes of one read. All connections of a worker share this buffer, so a
/// connection costs no memory for it.
const SCRATCH: usize = 64 * 1024;

/// A worker as its connections see it.
pub(crate) struct Worker<H> {
    pub(crate) handler: H,
    pub(crate) shared: Rc<Shared>,
}

/// The part of a worker without the handler: limits, clocks and buffers.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) scratch: RefCell<Vec<u8>>,
    pub(crate) fields: RefCell<Fields>,
    pub(crate) date: RefCell<DateCache>,
    pub(crate) draining: Cell<bool>,
    pub(crate) turns: Rc<Turns>,
}

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Shared {
            limits,
            deadlines: Deadlines::new(limits.sweep_interval()),
            scratch: RefCell::new(vec![0; SCRATCH]),
            fields: RefCell::new(Fields::new()),
            date: RefCell::new(DateCache::new()),
            draining: Cell::new(false),
            turns: Rc::default(),
        }
    }
}
