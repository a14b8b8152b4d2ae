//! Leaves the tables for unwinding out of the static binary, by a linker script: a panic aborts there,
//! and they would add 111 KB. GNU ld and lld read such a script, mold does not. And has functions of the same
//! code linked once, which saves 7 KB: lld and mold can do that, GNU ld cannot.

use std::env::var;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    leave_out_tests();
    // Only the release profile aborts at a panic. Tests unwind, and are rarely built with it.
    if (var("CARGO_CFG_TARGET_ENV").as_deref(), var("PROFILE").as_deref())
        != (Ok("musl"), Ok("release"))
    {
        return;
    }
    let folder = var("OUT_DIR").expect("cargo sets it");
    let script = Path::new(&folder).join("no-unwinding.ld");
    // The C runtime's own objects refer to their parts of it.
    let sections = "SECTIONS { /DISCARD/ : {
        *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)
        *(.gcc_except_table .gcc_except_table.*)
    } } INSERT AFTER .text;";
    std::fs::write(&script, sections).expect("cargo made the folder");
    let output = Path::new(&folder).join("linked");
    // Nothing here compares functions by their addresses. The second is what a C compiler understands.
    let icf = ["--icf=all", "-Wl,--icf=all"];
    if let Some(argument) = icf.into_iter().find(|icf| can_link_with(icf, output.as_os_str())) {
        link_with(argument);
    }
    // `-T` is understood by C compilers and by bare linkers, and has no trouble with a comma in the path.
    let argument = format!("-T{}", script.display());
    if !can_link_with(&argument, output.as_os_str()) {
        println!(
            "cargo::warning=the linker does not read a linker script, so the file is 111 KB larger \
             than it has to be; GNU ld and lld do, mold does not"
        );
        return;
    }
    link_with(&argument);
}

/// Gives an argument to the linker of the program, and to that of examples: tests/size has one that panics,
/// built as the program is.
fn link_with(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
    println!("cargo::rustc-link-arg-examples={argument}");
}

/// Where no namespace can be made the tests that need one may be left out: libtest has to know when they
/// are built.
fn leave_out_tests() {
    const VARIABLE: &str = "REPRIEVE_TESTS_WITHOUT_NAMESPACES";
    println!("cargo::rustc-check-cfg=cfg(without_namespaces)");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    if var(VARIABLE).is_ok_and(|value| !value.is_empty()) {
        println!("cargo::rustc-cfg=without_namespaces");
    }
}

/// Whether the linker that is configured takes an argument. Where it can link nothing at all, the
/// program will not be linked either, and that says why.
fn can_link_with(argument: &str, output: &OsStr) -> bool {
    let variable = |name| var(name).unwrap_or_default();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--target", &variable("TARGET"), "--crate-name", "linked", "-"]);
    if let Ok(linker) = var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc.args(["-C", &format!("link-arg={argument}"), "-C", "panic=abort", "-o"]).arg(output);
    rustc.stdin(Stdio::piped()).stderr(Stdio::null());
    let mut rustc = rustc.spawn().expect("cargo has just run it");
    let source = rustc.stdin.take().map(|mut stdin| stdin.write_all(b"fn main() {}"));
    let linked = source.is_some_and(|written| written.is_ok())
        && rustc.wait().is_ok_and(|status| status.success());
    let _ = std::fs::remove_file(output);
    linked
}
