//! The two readers of the options agree: whatever `cli::parse` reads without clap, clap reads alike, and
//! says the same of what is wrong. It is a program with one test, since clap reads the variables of its
//! process, which are changed here.

mod lines;

use std::ffi::{CStr, CString, OsString, c_char};
use std::ptr::null;

use proptest::prelude::*;
use reprieve::cli;

/// Runs this with these variables as the environment of the process.
fn within<T>(environment: &[&CStr], run: impl FnOnce() -> T) -> T {
    unsafe extern "C" {
        static mut environ: *const *const c_char;
    }
    let mut entries: Vec<*const c_char> = environment.iter().map(|entry| entry.as_ptr()).collect();
    entries.push(null());
    // SAFETY: it is a list of C strings that ends with null (environ(7)). There is no other test, and
    // the thread that waits for this one does not read it.
    unsafe {
        let former = environ;
        environ = entries.as_ptr();
        let result = run();
        environ = former;
        result
    }
}

/// What both readers make of it: the configuration, the text to print or the error.
fn read(arguments: &[OsString], environment: Vec<CString>) -> [String; 2] {
    // The configuration has the environment for good, so it is never freed.
    let environment: Vec<&CStr> =
        environment.into_iter().map(|entry| &*Box::leak(entry.into_boxed_c_str())).collect();
    within(&environment, || {
        [cli::parse, cli::parse_with_clap]
            .map(|read| format!("{:?}", read(arguments.to_vec(), environment.clone())))
    })
}

#[test]
fn both_readers_agree() {
    proptest!(ProptestConfig::with_cases(3_000), |(arguments in lines::arguments(), environment in lines::environment())| {
        let [ours, of_clap] = read(&arguments, environment);
        prop_assert_eq!(ours, of_clap);
    });
}
