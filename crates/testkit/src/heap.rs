//! Counts the allocations of a piece of code, their peak, and the bytes that it keeps.
//!
//! A test installs the allocator and then measures:
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
//!
//! Each thread has its own counts, so tests that run at the same time do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The system's allocator. It counts the allocations of each thread.
#[derive(Debug)]
pub struct CountingAllocator;

/// The use of the heap by one thread, during a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapUse {
    /// The number of allocations. A buffer that grows is counted each time.
    pub allocations: usize,
    /// The most bytes that were held at one time, without the bytes held before.
    pub peak: usize,
    /// The bytes that are still held, less the bytes held before.
    pub kept: isize,
}

/// Runs `run`. Returns its use of the heap, and its result.
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

/// Runs `run` and returns the number of its allocations.
pub fn allocations<T>(run: impl FnOnce() -> T) -> usize {
    measure(run).0.allocations
}

/// The bytes that this thread has allocated and not freed.
pub fn held() -> isize {
    HELD.get()
}

/// Panics if the allocator is not installed: every count would be 0, and a test that expects 0
/// could not fail.
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
    // A thread that ends frees memory after its counters were dropped.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// An allocator needs `unsafe`. Only tests install this allocator.
#[allow(unsafe_code)]
// SAFETY: each call is passed on unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `System` too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `System` too.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "of type CountingAllocator")]
    fn a_measurement_without_the_allocator_panics() {
        super::allocations(|| vec![1_u8; 100]);
    }
}
