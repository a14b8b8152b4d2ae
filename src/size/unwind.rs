//! No unwinding and no backtrace in the static binary, where a panic aborts: what the libraries for
//! them would add is more than half of the file, and a file without symbols has nothing to say in a
//! backtrace. The panic's own message is printed all the same.
//!
//! Rust's runtime asks for these names (level 1 of the Itanium C++ ABI for exception handling); the
//! linker takes a library only for names that nobody has defined.

/// The runtime wants to walk the stack: there is nothing to walk (`_URC_END_OF_STACK`).
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace() -> i32 {
    5
}

/// What is called in the course of unwinding alone, which never begins.
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
