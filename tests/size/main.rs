//! The static binary: how large it is; that a panic still prints its message though all that is for
//! unwinding was left out (build.rs, src/size/unwind.rs), whatever the linker; and that the folders of the
//! machine that builds it change nothing (.cargo/remap).

#![cfg(target_arch = "x86_64")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-musl";
/// The budget, in bytes. If it has to be raised, say in the commit for what.
const MAX_SIZE: usize = 700_000;

/// Builds what we ship, or an example in the same way. Each for itself: examples are built with the
/// features that the tests ask for.
fn built(what: &[&str], file: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(target);
    build(env!("CARGO_MANIFEST_DIR").as_ref(), &target, &[], what).join(file)
}

/// Builds a checkout into a folder, with these variables, and returns the folder of the release.
fn build(checkout: &Path, target: &Path, variables: &[(&str, &Path)], what: &[&str]) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", TARGET]);
    // Of two that say the same the later counts.
    cargo.arg("--config").arg(checkout.join(".cargo/config.toml")).args(what);
    // From the runner of this test, and wrong for the other target.
    cargo.env_remove("CARGO_BUILD_TARGET").env("CARGO_TARGET_DIR", target);
    cargo.envs(variables.iter().copied()).current_dir(checkout);
    assert!(cargo.status().expect("cargo").success());
    target.join(TARGET).join("release")
}

/// A folder of this test, which is empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Of a section only the name is looked for.
fn has(binary: &[u8], text: &str) -> bool {
    binary.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[test]
#[ignore = "builds the static binary"]
fn the_static_binary_is_small() {
    let binary = std::fs::read(built(&["--bin", "reprieve"], "reprieve")).expect("it was built");
    assert!(binary.len() <= MAX_SIZE, "{} bytes, more than {MAX_SIZE}", binary.len());
    assert!(!has(&binary, ".gcc_except_table"), "build.rs leaves it out");
}

#[test]
#[ignore = "builds a static binary"]
fn a_panic_prints_its_message_and_aborts() {
    let program = built(&["--example", "panic"], "examples/panic");
    let binary = std::fs::read(&program).expect("it was built");
    assert!(!has(&binary, ".gcc_except_table"), "it is built as the program is");
    panics(&program);
}

/// mold reads no linker script: there the tables stay in the file, and the build says so.
#[test]
#[ignore = "builds two static binaries; needs apt-get install lld mold"]
fn other_linkers_build_it_too() {
    for (linker, has_tables) in [("lld", false), ("mold", true)] {
        let folder = folder(linker);
        let script = folder.join("linker");
        std::fs::write(&script, format!("#!/bin/sh\nexec cc -fuse-ld={linker} \"$@\"\n"))
            .expect("a script");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("a mode");
        let linker_is = format!("target.{TARGET}.linker={:?}", script.display().to_string());
        let checkout = env!("CARGO_MANIFEST_DIR").as_ref();
        let what = ["--example", "panic", "--config", &linker_is];
        let release = build(checkout, &folder, &[], &what);
        let program = release.join("examples/panic");
        let binary = std::fs::read(&program).expect("it was built");
        assert_eq!(has(&binary, ".gcc_except_table"), has_tables, "{linker}");
        panics(&program);
    }
}

#[track_caller]
fn panics(program: &Path) {
    let panicked = Command::new(program).env("RUST_BACKTRACE", "1").output().expect("it starts");
    let stderr = String::from_utf8(panicked.stderr).expect("UTF-8");
    assert!(stderr.contains("panicked at tests/size/panic.rs:"), "{stderr}");
    assert!(stderr.contains("a message with a number: "), "{stderr}");
    assert_eq!(panicked.status.signal(), Some(nix::libc::SIGABRT), "{stderr}");
}

/// The crates in another folder, and the checkout too.
#[test]
#[ignore = "builds the static binary twice"]
fn the_same_bytes_are_built_in_every_folder() {
    let folder = folder("elsewhere");
    let (checkout, cargo_home) = (folder.join("checkout"), folder.join("cargo"));
    let here = std::env::home_dir().expect("a home").join(".cargo");
    let here = std::env::var_os("CARGO_HOME").map_or(here, PathBuf::from);
    std::fs::create_dir_all(cargo_home.join("registry")).expect("a folder");
    for downloaded in ["index", "cache"] {
        let name = Path::new("registry").join(downloaded);
        symlink(here.join(&name), cargo_home.join(name)).expect("a link");
    }
    std::fs::create_dir(&checkout).expect("a folder");
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the checkout") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "target" && entry.file_name() != ".git" {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(entry.path()).arg(&checkout);
            assert!(copy.status().expect("cp").success());
        }
    }
    let variables = [("CARGO_HOME", &*cargo_home)];
    let what = ["--bin", "reprieve"];
    let [one, other] = [
        build(env!("CARGO_MANIFEST_DIR").as_ref(), &folder.join("one"), &[], &what),
        build(&checkout, &folder.join("other"), &variables, &what),
    ]
    .map(|release| std::fs::read(release.join("reprieve")).expect("it was built"));
    for path in [&*here, &*cargo_home, &*checkout, Path::new(env!("CARGO_MANIFEST_DIR"))] {
        for binary in [&one, &other] {
            assert!(!has(binary, &path.to_string_lossy()), "{} is in it", path.display());
        }
    }
    assert!(one == other, "{} bytes and {}", one.len(), other.len());
}
