//! Leaves the tables for unwinding out of the static binary, by a linker script: a panic aborts there,
//! and they would add 111 KB.

use std::env::var;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only the release profile aborts at a panic. Tests unwind, and are rarely built with it.
    if (var("CARGO_CFG_TARGET_ENV").as_deref(), var("PROFILE").as_deref())
        != (Ok("musl"), Ok("release"))
    {
        return;
    }
    let script = Path::new(&var("OUT_DIR").expect("cargo sets it")).join("no-unwinding.ld");
    // The C runtime's own objects refer to their parts of it.
    let sections = "SECTIONS { /DISCARD/ : {
        *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)
        *(.gcc_except_table .gcc_except_table.*)
    } } INSERT AFTER .text;";
    std::fs::write(&script, sections).expect("cargo made the folder");
    // `-T` is understood by C compilers and by bare linkers, and has no trouble with a comma in the path.
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    // tests/size has an example that panics, built as the program is.
    println!("cargo::rustc-link-arg-examples=-T{}", script.display());
}
