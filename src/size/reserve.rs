//! Memory for when the kernel refuses more: a limit (RLIMIT_AS, RLIMIT_DATA) or strict overcommit is
//! reached, and PID 1 has an app to bring to its end all the same.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{copy_nonoverlapping, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// The size in bytes. It is there from exec on, or the kernel starts us not at all; pages that are not
/// used cost nothing.
const SIZE: usize = 1 << 20;

/// What is given out is a multiple of this, and is aligned to it.
const UNIT: usize = 64;

/// No request gets more: a list that is longer is asked for by `try_reserve`, and may be missing.
const LARGEST: usize = SIZE / 8;

/// An allocator that takes memory from another one, and from the reserve where that has none.
pub struct Reserve<A>(pub A);

/// Whether memory was ever refused.
pub fn was_used() -> bool {
    ARENA.was_used.load(Ordering::Relaxed)
}

static ARENA: Arena = Arena {
    memory: UnsafeCell::new([0; SIZE]),
    taken: [const { AtomicBool::new(false) }; SIZE / UNIT],
    was_used: AtomicBool::new(false),
};

/// The reserve, and which of its units are given out. It has no lock, which a signal or a fork might
/// leave locked.
#[repr(align(64))]
struct Arena {
    memory: UnsafeCell<[u8; SIZE]>,
    taken: [AtomicBool; SIZE / UNIT],
    was_used: AtomicBool,
}

// SAFETY: the memory is touched only by who has taken it, and each unit is taken by one.
unsafe impl Sync for Arena {}

impl Arena {
    /// The first units that are free and side by side; null where there are none.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > UNIT {
            return null_mut();
        }
        self.was_used.store(true, Ordering::Relaxed);
        let wanted = layout.size().div_ceil(UNIT);
        let mut found = 0;
        for (at, taken) in self.taken.iter().enumerate() {
            if taken.swap(true, Ordering::Acquire) {
                self.release(at - found, found);
                found = 0;
                continue;
            }
            found += 1;
            if found == wanted {
                // In bounds: as many units as were found end here.
                return self.memory.get().cast::<u8>().wrapping_add((at + 1 - found) * UNIT);
            }
        }
        self.release(self.taken.len() - found, found);
        null_mut()
    }

    fn release(&self, first: usize, count: usize) {
        let units = self.taken.iter().skip(first).take(count);
        units.for_each(|taken| taken.store(false, Ordering::Release));
    }

    /// Where in the reserve this is, in bytes; None where it is elsewhere.
    fn place(&self, memory: *mut u8) -> Option<usize> {
        let place = memory.addr().wrapping_sub(self.memory.get().addr());
        (place < SIZE).then_some(place)
    }
}

// SAFETY: what the other allocator gives goes back to it, with the layout that it was asked for. What the
// reserve gives is large enough, aligned, nobody else's, and static.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reserve<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same rules.
        match unsafe { self.0.alloc(layout) } {
            memory if memory.is_null() => ARENA.take(layout),
            memory => memory,
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same rules.
        let memory = unsafe { self.0.alloc_zeroed(layout) };
        if !memory.is_null() {
            return memory;
        }
        let memory = ARENA.take(layout);
        if !memory.is_null() {
            // SAFETY: it was just taken, in this size.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match ARENA.place(memory) {
            Some(place) => ARENA.release(place / UNIT, layout.size().div_ceil(UNIT)),
            // SAFETY: the caller keeps the same rules, and what is not in the reserve is of the other.
            None => unsafe { self.0.dealloc(memory, layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ARENA.place(memory).is_none() {
            // SAFETY: the caller keeps the same rules, and what is not in the reserve is of the other.
            let moved = unsafe { self.0.realloc(memory, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller sees to it that the size is valid. Both have the bytes that are copied, and
        // none in common; the old ones are given back once, with their layout.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                copy_nonoverlapping(memory, moved, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests;
