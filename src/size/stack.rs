//! The main thread's stack: what the start took of it, and the rest of our life does not need.

use std::ffi::c_void;
use std::hint::black_box;

use nix::libc;

/// This much below us stays as it is: the loop needs it, and its first burst of signals would only
/// take it again.
const KEPT: usize = 8 * 1024;

/// More than the start reaches. The kernel lets nothing else be mapped so close below a stack
/// (stack_guard_gap is 1 MiB), so what of it is no stack is nothing.
const DEPTH: usize = 128 * 1024;

/// Gives back the pages that only deeper calls than ours have used. Those of clap are a third of
/// our memory.
#[inline(never)]
pub fn give_back() {
    let here = 0u8;
    let here = black_box(&raw const here).addr();
    // SAFETY: it takes no pointer, and knows the size.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let end = (here - KEPT) & !(page - 1);
    // SAFETY: whole pages of the one thread's stack, which grows down. No frame is there: they are
    // farther below this one than the call that gives them back is deep, and no signal runs a
    // handler. A later call finds zeros in place of what a former one left, and reads neither.
    unsafe { libc::madvise((end - DEPTH) as *mut c_void, DEPTH, libc::MADV_DONTNEED) };
}
