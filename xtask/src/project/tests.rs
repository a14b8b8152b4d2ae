use super::{Project, date_of, epoch_of};

#[test]
fn a_day_is_counted_from_1970() {
    let seconds = |date| epoch_of(date).ok();
    assert_eq!(seconds("1970-01-01"), Some(0));
    assert_eq!(seconds("2000-02-29"), Some(951_782_400));
    assert_eq!(seconds("2026-11-29"), Some(1_795_910_400));
    assert_eq!(seconds("2026-12-31"), Some(1_798_675_200));
    for wrong in ["", "2026-11", "2026-13-01", "2026-11-32", "1969-12-31", "yesterday"] {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}

#[test]
fn a_version_has_its_day() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n";
    assert_eq!(date_of(changelog, "0.2.0").ok().as_deref(), Some("2026-11-29"));
    let error = date_of(changelog, "0.3.0").expect_err("no such version").to_string();
    assert!(error.contains("## [0.3.0] - "), "{error}");
}

#[test]
fn the_project_says_what_a_release_needs() {
    let project = Project::read().expect("all of it");
    let contributing = crate::place::root().join("CONTRIBUTING.md");
    let contributing = std::fs::read_to_string(contributing).expect("a page");
    assert!(contributing.contains(&format!("Rust {}", project.rust)), "{}", project.rust);
}
