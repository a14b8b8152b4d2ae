//! Our program where memory is refused from some moment on: a file that `LEFT` names has the number of
//! requests that are still granted, in eight bytes. Whoever writes it sets that number, and whoever reads
//! it counts. Helpers count with us.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering};

use nix::libc;
use reprieve::size::reserve::Reserve;

#[global_allocator]
static MEMORY: Reserve<Counted> = Reserve(Counted);

/// In the file; null until it is there.
static LEFT: AtomicPtr<AtomicI64> = AtomicPtr::new(null_mut());

/// The system's allocator, while requests are granted.
struct Counted;

impl Counted {
    fn grants() -> bool {
        // SAFETY: it is null, or stays mapped.
        let left = unsafe { LEFT.load(Ordering::Relaxed).as_ref() };
        left.is_none_or(|left| left.fetch_sub(1, Ordering::Relaxed) > 0)
    }
}

// SAFETY: it is the system's, or gives nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same rules.
        if Counted::grants() { unsafe { System.alloc(layout) } } else { null_mut() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same rules.
        if Counted::grants() { unsafe { System.alloc_zeroed(layout) } } else { null_mut() }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same rules.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same rules.
        if Counted::grants() { unsafe { System.realloc(memory, layout, size) } } else { null_mut() }
    }
}

fn main() -> ExitCode {
    let file = std::env::var_os("LEFT").expect("a file");
    let file = OpenOptions::new().read(true).write(true).open(file).expect("a file");
    // SAFETY: the file has the eight bytes, in a mapping of our own.
    let left = unsafe {
        let mode = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(null_mut(), 8, mode, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(left, libc::MAP_FAILED, "mmap");
    LEFT.store(left.cast(), Ordering::Relaxed);
    drop(file);
    let arguments: Vec<_> = std::env::args_os().collect();
    reprieve::main(&arguments.into_iter()).into()
}
