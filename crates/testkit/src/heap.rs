//! What a piece of code asks of the heap: how many times, how much at most, and what it keeps.
//!
//! A test installs the allocator, and then measures:
//!
//! ```
//! use tidewire_testkit::heap::{self, CountingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//!
//! assert_eq!(heap::allocations(|| "no heap"), 0);
//! let (used, text) = heap::measure(|| String::from("text"));
//! assert_eq!((used.allocations, used.peak, used.kept), (1, 4, 4));
//! drop(text);
//! ```
//! Each thread counts for itself, so tests that run at the same time do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The system's allocator, counting what each thread asks of it.
#[derive(Debug)]
pub struct CountingAllocator;

/// What happened on the heap of this thread meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapUse {
    /// How many times memory was asked for. A buffer that grows counts each time.
    pub allocations: usize,
    /// The most bytes that were held at one time, beside those that were held before.
    pub peak: usize,
    /// The bytes that are still held, less those that were held before.
    pub kept: isize,
}

/// Runs `run` and says what it asked of the heap.
pub fn measure<T>(run: impl FnOnce() -> T) -> (HeapUse, T) {
    assert_installed();
    let (held, allocations) = (held(), ALLOCATIONS.get());
    PEAK.set(held);
    let result = run();
    let used = HeapUse {
        allocations: ALLOCATIONS.get() - allocations,
        peak: (PEAK.get() - held).unsigned_abs(),
        kept: self::held() - held,
    };
    (used, result)
}

/// Runs `run` and says how many times it asked for memory.
pub fn allocations<T>(run: impl FnOnce() -> T) -> usize {
    measure(run).0.allocations
}

/// The bytes that this thread has allocated and not freed.
pub fn held() -> isize {
    HELD.get()
}

/// Without the allocator every count is 0, and a test that expects 0 could not fail.
fn assert_installed() {
    let before = ALLOCATIONS.get();
    drop(black_box(Box::new(1_u8)));
    assert!(ALLOCATIONS.get() > before, "the test has no `#[global_allocator]` of type CountingAllocator");
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends frees what it held after its counters are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// An allocator cannot be written without `unsafe`. This is the only place: the tests install it.
#[allow(unsafe_code)]
// SAFETY: every call is handed on as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "of type CountingAllocator")]
    fn without_the_allocator_nothing_is_measured() {
        super::allocations(|| vec![1_u8; 100]);
    }
}
