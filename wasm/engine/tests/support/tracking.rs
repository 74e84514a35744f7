//! An allocator that counts what each thread takes, and can refuse it: what a file makes the engine allocate is asserted, not believed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be made the `#[global_allocator]` of a test binary.
pub struct Tracking;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn count(change: isize) {
    let live = LIVE.get() + change;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
    TAKEN.set(TAKEN.get() + change.max(0).unsigned_abs());
}

// SAFETY: every call that is not refused is passed to `System` as it came; a refusal is the null pointer that the contract allows. The
// thread-locals are constants without destructors, so touching them never allocates.
unsafe impl GlobalAlloc for Tracking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST.get() {
            return std::ptr::null_mut();
        }
        count(layout.size() as isize);
        // SAFETY: the caller's contract is the same as `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is the same as `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size > LARGEST.get() {
            return std::ptr::null_mut();
        }
        // Both are there for a moment, as far as anybody can rely on.
        count(new_size as isize);
        // SAFETY: the caller's contract is the same as `System`'s.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        count(-(layout.size() as isize));
        moved
    }
}

/// Bytes that this thread holds, of those it took itself.
pub fn live_bytes() -> usize {
    LIVE.get().max(0) as usize
}

/// What `work` returns, and the most bytes that it held at any time beyond those held when it began.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let start = LIVE.get();
    PEAK.set(start);
    let result = work();
    (result, (PEAK.get() - start).max(0) as usize)
}

/// What `work` returns, and the bytes that it took, whether or not it gave them back.
pub fn taken_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let start = TAKEN.get();
    let result = work();
    (result, TAKEN.get() - start)
}

/// Does `work` while every allocation of more than `largest` bytes fails.
pub fn refusing<T>(largest: usize, work: impl FnOnce() -> T) -> T {
    LARGEST.set(largest);
    let result = work();
    LARGEST.set(usize::MAX);
    result
}
