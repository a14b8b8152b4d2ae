//! Gives back the memory of the stack that only the start has used, which parses the options.

use std::ffi::c_void;
use std::hint::black_box;

use nix::libc;

/// So many bytes below the caller's frame are kept: the loop needs them, and would only take them again
/// with its first burst of signals.
const KEPT: usize = 8 * 1024;

/// So many bytes below those are given back, which is more than the start uses. The kernel maps nothing
/// else so close below a stack (stack_guard_gap is 1 MiB), so what is not of the stack there is not
/// mapped, and madvise(2) skips it.
const DEPTH: usize = 128 * 1024;

/// Gives back the pages that only deeper calls than this one have used. Those that clap has used are a
/// third of our memory.
#[inline(never)]
pub fn give_back() {
    let here = 0u8;
    let here = black_box(&raw const here).addr();
    // SAFETY: it takes no pointer. It fails for no size of a page.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let end = (here - KEPT) & !(page - 1);
    // SAFETY: these are whole pages below this frame, on the stack of the one thread, which grows down.
    // No frame is in them: the call of madvise needs less than the bytes that are kept, and no signal
    // runs a handler. A later call finds zeros there instead of old values, and reads neither.
    unsafe { libc::madvise((end - DEPTH) as *mut c_void, DEPTH, libc::MADV_DONTNEED) };
}
