//! Counts what is allocated, so that admission is by bytes and not by hope.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::{GlobalAlloc, Layout, System};

struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What dlmalloc keeps beside each allocation.
const HEADER_BYTES: usize = 8;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed to `System` as it came; only a counter is kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same as `System`'s.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            LIVE_BYTES.fetch_add(layout.size() + HEADER_BYTES, Ordering::Relaxed);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() + HEADER_BYTES, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same as `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's contract is the same as `System`'s.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if !moved.is_null() {
            LIVE_BYTES.fetch_add(new_size, Ordering::Relaxed);
            LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        moved
    }
}

/// Bytes in use: stack, static data and live allocations.
pub fn used_bytes() -> usize {
    static_bytes() + LIVE_BYTES.load(Ordering::Relaxed)
}

/// Size of the linear memory; 0 where there is none.
pub fn linear_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        core::arch::wasm32::memory_size(0) * 65_536
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        0
    }
}

/// Where the heap starts: everything below is stack and static data.
fn static_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        unsafe extern "C" {
            static __heap_base: u8;
        }
        (&raw const __heap_base).addr()
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        0
    }
}
