//! The system's allocator, counting what this thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn note(bytes: isize) {
    // A thread that ends frees what it held after its counters are gone.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What happened on the heap meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// How many times memory was asked for. A buffer that grows counts each time.
    pub count: usize,
    /// The most bytes that were held at one time.
    pub peak: usize,
    /// The bytes that are still held.
    pub kept: isize,
}

pub fn heap<T>(run: impl FnOnce() -> T) -> (Heap, T) {
    let (live, count) = (live(), COUNT.get());
    PEAK.set(live);
    let result = run();
    let heap = Heap {
        count: COUNT.get() - count,
        peak: (PEAK.get() - live).unsigned_abs(),
        kept: self::live() - live,
    };
    (heap, result)
}

/// Bytes that this thread holds.
pub fn live() -> isize {
    LIVE.get()
}
