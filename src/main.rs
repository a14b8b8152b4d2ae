//! The program `reprieve`. All of it is in the library; here is only where the C library calls us.
//!
//! It is C's `main` and not Rust's, whose runtime would change what the app is to inherit before we
//! have seen it: it ignores SIGPIPE and opens /dev/null in place of closed descriptors 0 to 2.
//! Without it `std::env::args_os()` is empty on musl, so the arguments are handed on from here.

#![no_main]

use std::alloc::System;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use reprieve::size::reserve::Reserve;

#[global_allocator]
static MEMORY: Reserve<System> = Reserve(System);

/// The kernel and the C library give it `argc` pointers to C strings, which stay for good.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let arguments = (0..argc as usize).map(|index| {
        // SAFETY: `argv` has `argc` pointers, each to a C string that nobody changes.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    });
    reprieve::main(&arguments).into()
}
