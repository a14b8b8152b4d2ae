//! Leaves the tables for unwinding out of the static binary: a panic aborts there, and they would
//! be an eighth of the file.

use std::env::var;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Tests unwind, and are rarely built for release.
    if (var("CARGO_CFG_TARGET_ENV").as_deref(), var("PROFILE").as_deref())
        != (Ok("musl"), Ok("release"))
    {
        return;
    }
    let script = Path::new(&var("OUT_DIR").expect("cargo sets it")).join("no-unwinding.ld");
    // The C runtime's own objects refer to their parts.
    let sections = "SECTIONS { /DISCARD/ : {
        *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)
        *(.gcc_except_table .gcc_except_table.*)
    } } INSERT AFTER .text;";
    std::fs::write(&script, sections).expect("cargo made the folder");
    // A C compiler takes it as well as a bare linker, and any name of a folder.
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
}
