//! What tests that are ignored need: `cargo rest` names all of it at once.

use std::path::Path;

/// The reasons of all tests that are ignored below a folder.
fn reasons(folder: &Path, reasons: &mut Vec<String>) {
    const BEFORE: &str = "ignore = \"needs ";
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            self::reasons(&path, reasons);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a file in UTF-8");
            let after = text.split(BEFORE).skip(1).filter_map(|rest| rest.split('"').next());
            reasons.extend(after.map(str::to_owned));
        }
    }
}

/// The packages in a reason: `Debian's a, b and c: ...` or `jq: apt-get install jq`.
fn packages(reason: &str) -> Vec<&str> {
    let of_debian = reason.split_once("Debian's ").and_then(|(_, rest)| rest.split(':').next());
    let to_install = reason.split_once("apt-get install ").map(|(_, rest)| rest);
    let lists = of_debian.into_iter().chain(to_install);
    let words = lists.flat_map(|list| list.split([',', ' '])).map(str::trim);
    words.filter(|word| !["", "and", "\\\n"].contains(word)).collect()
}

#[test]
fn cargo_rest_names_the_packages_that_tests_need() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rest = std::fs::read_to_string(root.join("tests/rest/rest.rs")).expect("a file");
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        reasons(&root.join(folder), &mut found);
    }
    let needed: Vec<&str> = found.iter().flat_map(|reason| packages(reason)).collect();
    assert!(needed.len() > 50, "{needed:?}");
    for package in needed {
        assert!(
            rest.contains(&format!("\", \"{package}\")")),
            "{package} is not in tests/rest/rest.rs"
        );
    }
}

#[test]
fn packages_are_found_in_reasons() {
    for (reason, expected) in [
        ("needs root: the app changes its uid: cargo test", &[][..]),
        ("needs root and Debian's gunicorn: cargo test", &["gunicorn"]),
        ("needs Debian's a, b and c: cargo test", &["a", "b", "c"]),
        ("needs jq: apt-get install jq", &["jq"]),
    ] {
        assert_eq!(packages(reason), expected, "{reason}");
    }
}
