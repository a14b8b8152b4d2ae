//! Keeps the libraries for unwinding and backtraces out of the static binary: they would add 273 KB.
//! A panic aborts there, so nothing is unwound, and a file without symbols has no names for a
//! backtrace. The panic's message is printed all the same.
//!
//! Rust's runtime refers to these names (level 1 of the Itanium C++ ABI for exception handling). The
//! linker takes a library only for names that are not defined elsewhere, so we define them here.

/// Called to walk the stack for a backtrace. Answers that there is nothing to walk
/// (`_URC_END_OF_STACK`).
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace() -> i32 {
    5
}

/// Defines functions that are called only while the stack is unwound, which never happens.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> ! {
                std::process::abort()
            }
        )*
    };
}

never_called! {
    _Unwind_DeleteException _Unwind_FindEnclosingFunction _Unwind_GetCFA _Unwind_GetDataRelBase
    _Unwind_GetGR _Unwind_GetIP _Unwind_GetIPInfo _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart _Unwind_GetTextRelBase _Unwind_RaiseException _Unwind_Resume
    _Unwind_SetGR _Unwind_SetIP
}
