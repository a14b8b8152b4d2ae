//! `--copy-to` (docs/behaviour.md, 16.17 and 16.18).

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::harness::*;

/// Copies to this folder, as PID 1 of a namespace in which a script has made something different before.
/// What the folder has in it then is the last line.
fn copied(before: &str, folder: &Path) -> Call {
    let words: Vec<&str> = Init::in_pid_namespace().collect();
    let script = format!("{before}\n\"$@\"; code=$?; echo $(ls -A \"$3\" 2>&1); exit $code");
    let binary = env!("CARGO_BIN_EXE_reprieve");
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["sh", "-c", &script, "sh"]);
    call(command.args([binary, "--copy-to"]).arg(folder).env("REPRIEVE_DELAY", "wrong"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

/// 16.17: also where the old one runs, and with variables that are for another container.
#[test]
fn the_copy_runs_and_takes_the_place_of_an_old_one() {
    let folder = Folder::new();
    let path = folder.path("reprieve");
    for before in ["umask 0777", "umask 0"] {
        let call = copied(before, &folder.path("")).expect_code(0);
        assert_eq!(call.stderr, format!("reprieve: copied reprieve to {}\n", path.display()));
        assert_eq!(call.stdout, "reprieve\n", "nothing else is left there");
        let [copy, ours] = [&path, Path::new(env!("CARGO_BIN_EXE_reprieve"))]
            .map(|path| std::fs::read(path).expect("a program"));
        assert!(copy == ours);
        assert_eq!(mode(&path), 0o755);
        let run = Init::new(true, path.clone()).fixture("listen --code 3");
        run.hears("ready");
        copied("", &folder.path("")).expect_code(0);
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3);
    }
}

/// 16.17: a link of another's in its place is replaced, and what it leads to stays.
#[test]
fn a_link_in_its_place_is_replaced() {
    let folder = Folder::new();
    let victim = folder.file("victim", "as it was", 0o600);
    let shared = folder.path("shared");
    std::fs::create_dir(&shared).expect("a folder");
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).expect("a mode");
    symlink(&victim, shared.join("reprieve")).expect("a link");
    copied("", &shared).expect_code(0);
    assert_eq!(std::fs::read(&victim).expect("the file"), b"as it was");
    assert_eq!(mode(&shared.join("reprieve")), 0o755);
}

/// 16.18: each says what would be right, and leaves nothing behind.
#[test]
fn what_cannot_be_copied_is_an_error_in_one_line() {
    let folder = Folder::new();
    let place = |name: &str| {
        std::fs::create_dir(folder.path(name)).expect("a folder");
        folder.path(name)
    };
    let taken = place("taken");
    std::fs::create_dir(taken.join("reprieve")).expect("a folder");
    let open = place("open");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("a mode");
    symlink(&taken, open.join("link")).expect("a link");
    let no_proc = "mount -t tmpfs none /proc";
    let full = "mount -t tmpfs -o size=64k none \"$3\"";
    let read_only = "mount -t tmpfs -o ro none \"$3\"";
    // Root without its capabilities is as any other user.
    let refused = "chmod 555 \"$3\"; set -- \"$@\"; exec setpriv --bounding-set=-all -- \"$@\"";
    for (before, at, why, left) in [
        ("", &folder.path("nowhere"), "there is no such folder", None),
        ("", &folder.file("file", "", 0o644), "that is no folder: name the folder", None),
        ("", &taken, "'reprieve' is a folder there", Some("reprieve")),
        ("", &open.join("link"), "is a link in a directory that others can write", None),
        (full, &place("full"), "No space left on device (os error 28): the copy needs", Some("")),
        (read_only, &place("read-only"), "it is read-only", Some("")),
        (refused, &place("refused"), "uid 0 may not write there", None),
        (no_proc, &place("no-proc"), "/proc/self/exe is missing: mount /proc", Some("")),
    ] {
        let call = copied(before, at).expect_code(125);
        let begins = format!("reprieve: error: --copy-to {}: ", at.display());
        assert!(call.stderr.starts_with(&begins) && call.stderr.contains(why), "{}", call.stderr);
        assert_eq!(call.stderr.lines().count(), 1, "{}", call.stderr);
        assert!(left.is_none_or(|left| call.stdout == format!("{left}\n")), "{}", call.stdout);
    }
}

/// 16.17: it runs nothing, so a command or an option beside it is a mistake.
#[test]
fn it_stands_alone() {
    let folder = Folder::new();
    let at = folder.path("").to_string_lossy().into_owned();
    let joined = format!("--copy-to={at}");
    for words in [
        &["--copy-to", &at, "app"][..],
        &["--copy-to", &at, "--", "app"],
        &["--delay", "1s", "--copy-to", &at],
        &[&joined, "-v"],
        &["-v", &joined],
        &["--copy-to", &at, "--copy-to", &at],
    ] {
        let call = call(reprieve().args(words)).expect_code(125);
        let why = "--copy-to DIR runs nothing: give it no command and no other options";
        assert!(call.stderr.contains(why), "{words:?}: {}", call.stderr);
    }
    for words in [&["--copy-to"][..], &["--copy-to", ""], &["--copy-to="], &["--copy-to", "-v"]] {
        let call = call(reprieve().args(words)).expect_code(125);
        assert!(
            call.stderr.contains("a value is required for '--copy-to <DIR>'"),
            "{}",
            call.stderr
        );
    }
    assert!(!folder.path("reprieve").exists());
    call(reprieve().arg(joined)).expect_code(0);
    assert!(folder.path("reprieve").exists());
}
