use std::fs;
use std::path::Path;

use crate::fuzz;

/// Runs a target on each file of its corpus.
#[track_caller]
fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files: Vec<_> = folder.read_dir().expect("a corpus").map(Result::unwrap).collect();
    assert!(!files.is_empty(), "{name} has no corpus");
    files.iter().for_each(|file| target(&fs::read(file.path()).expect("a file")));
}

/// A test for each target: it is in fuzz/Cargo.toml, and holds for what is in fuzz/corpus.
macro_rules! targets {
    ($($target:ident),+) => {
        $(#[test]
        fn $target() {
            run(stringify!($target), fuzz::$target);
        })+

        #[test]
        fn each_target_is_run() {
            let manifest = include_str!("../../fuzz/Cargo.toml");
            let names = manifest.lines().filter_map(|line| line.strip_prefix("path = "));
            let paths: Vec<_> = names.map(|path| path.trim_matches('"').to_owned()).collect();
            assert_eq!(paths, [$(concat!("fuzz_targets/", stringify!($target), ".rs")),+]);
        }
    };
}

targets!(
    command_line,
    hooks,
    mountinfo,
    netlink,
    proc_net,
    request,
    response,
    routes,
    stat,
    status,
    url,
    values
);
