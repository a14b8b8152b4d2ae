//! Memory that a benchmark and the probe below an init share, and the clock of both.

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, which is the same in all namespaces that we make.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    Duration::from(time).as_nanos() as u64
}

/// What a benchmark tells the probe to do.
pub mod order {
    /// Make so many orphans as `amount` says.
    pub const ORPHANS: u32 = 1;
    /// Wait until nothing is left but the init and the probe.
    pub const REAPED: u32 = 2;
    /// Make orphans until the storm is over, `amount` at least, then as REAPED.
    pub const STORM: u32 = 3;
    /// End with `QUIT_CODE`.
    pub const QUIT: u32 = 4;
}

/// No init makes this up by itself.
pub const QUIT_CODE: i32 = 42;

#[repr(C)]
pub struct Shared {
    /// The probe is there.
    pub ready: Word,
    pub order: Word,
    pub amount: AtomicU32,
    /// An order is carried out.
    pub done: Word,
    pub storm_over: Word,
    /// How many orphans were made.
    pub orphans: AtomicU32,
    /// How many signals the probe's handler has seen.
    pub heard: Word,
    /// When it saw the last one, or for a probe that only stamps: when its `main` began.
    pub stamp: AtomicU64,
    /// When it saw the last SIGUSR1.
    pub last_usr1: AtomicU64,
}

/// A number that another process may wait for.
#[repr(transparent)]
pub struct Word(AtomicU32);

impl Word {
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self, value: u32) {
        self.0.store(value, Ordering::Release);
        self.wake();
    }

    pub fn bump(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    /// Waits until it is no longer this; says false if that takes too long.
    pub fn leaves(&self, value: u32, within: Duration) -> bool {
        let give_up_at = now() + within.as_nanos() as u64;
        while self.get() == value {
            let left = Duration::from_nanos(give_up_at.saturating_sub(now()));
            if left.is_zero() {
                return false;
            }
            let timeout = TimeSpec::from(left);
            let timeout: &libc::timespec = timeout.as_ref();
            // SAFETY: futex(2) reads the word and the timeout, which live for the call.
            unsafe {
                libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, value, timeout)
            };
        }
        true
    }

    fn wake(&self) {
        // SAFETY: futex(2) takes the address as a key.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
}

/// The shared memory, which a file names.
pub struct Arena(
    /// Never unmapped: a start takes one page.
    &'static Shared,
);

impl Arena {
    /// Opens it, and makes it if need be.
    pub fn open(path: &Path) -> Arena {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.set_len(size_of::<Shared>() as u64).expect("a size");
        let length = NonZeroUsize::new(size_of::<Shared>()).expect("not empty");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping of that size, all of it atomics, for which zeros are valid.
        let shared = unsafe {
            let memory = mmap(None, length, access, flags, &file, 0).expect("shared memory");
            memory.cast::<Shared>().as_ref()
        };
        Arena(shared)
    }
}

impl Deref for Arena {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.0
    }
}
