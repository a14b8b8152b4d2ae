use super::page;
use crate::declaration::{command, options, variable};

#[test]
fn the_page_has_each_option_with_its_variable() {
    let page = page("A tiny init", "2026-11-29").expect("a page");
    let written = |text: &str| text.replace('-', "\\-");
    let mut parts = page.split("\n.TP\n").skip(1);
    for option in options(&command()) {
        let part = parts.next().expect("a part for each option");
        let header = part.lines().next().unwrap_or_default();
        let long = format!("\\fB{}\\fR", written(&format!("--{}", option.get_long().unwrap())));
        assert!(header.contains(&long), "{long} is not in {header}");
        if let Some(short) = option.get_short() {
            assert!(header.starts_with(&format!("\\fB\\-{short}\\fR, ")), "{header}");
        }
        match variable(option) {
            Some(variable) => assert!(part.contains(&format!("\\fB{variable}\\fR")), "{part}"),
            None => assert!(!part.contains("environment variable. "), "{part}"),
        }
    }
    assert_eq!(parts.next(), None);
}

#[test]
fn the_page_has_its_sections_once() {
    let page = page("A tiny init", "2026-11-29").expect("a page");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SHUTDOWN", "OTHER", "EXAMPLE"] {
        assert_eq!(page.matches(&format!("\n.SH {section}\n")).count(), 1, "{section}");
    }
    assert_eq!(page.matches("\n.SH \"EXIT STATUS\"\n").count(), 1);
    assert_eq!(page.matches(".ie ").count(), 1);
    assert!(page.contains("reprieve \\- a tiny init\n"));
    assert!(page.contains("\n.TH reprieve 1 2026-11-29 \"reprieve "), "{page}");
}
