//! A heap that refuses what a target may not take.
//!
//! libFuzzer watches resident memory only, and only now and then. A vector of 16 GiB of zeros that nobody touches would
//! pass; here it does not.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// Bytes that this thread took and did not give back. Below zero if others took what it gave back.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(isize::MAX) };
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Counts bytes that are to be taken; `false` if they pass the budget.
fn take(bytes: usize) -> bool {
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
    let live = LIVE.get().saturating_add(bytes);
    let fits = live <= MOST.get();
    if fits {
        LIVE.set(live);
    }
    fits
}

fn give_back(bytes: usize) {
    LIVE.set(LIVE.get().saturating_sub_unsigned(bytes));
}

// SAFETY: every call goes to the system's allocator as it came; a refusal is a null pointer, as the trait has it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if take(layout.size()) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if take(layout.size()) { unsafe { System.alloc_zeroed(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size) {
            return std::ptr::null_mut();
        }
        give_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs something that may take so many MiB more than is taken already. The process aborts if it takes more.
pub fn within<T>(mib: isize, work: impl FnOnce() -> T) -> T {
    let before = MOST.replace(LIVE.get().saturating_add(mib << 20));
    let result = work();
    MOST.set(before);
    result
}

/// Runs something outside every budget: what is made once and kept.
pub(crate) fn unbounded<T>(work: impl FnOnce() -> T) -> T {
    let (most, live) = (MOST.replace(isize::MAX), LIVE.get());
    let result = work();
    MOST.set(most.saturating_add(LIVE.get().saturating_sub(live)));
    result
}
