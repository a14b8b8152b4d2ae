use super::*;
use crate::test_support::name;

#[test]
fn lists_are_short() {
    let limits = Limits { entries: 2, text: 12 };
    let names = [3, 4, 5].map(name);
    assert_eq!(limits.list(&names[..2]), "app (pid 3), app (pid 4)");
    assert_eq!(limits.list(&names), "app (pid 3), app (pid 4) and 1 more");
    assert_eq!(Limits { entries: 0, ..limits }.list(&names), "3 in all");
    assert_eq!(
        (limits.names(&[]).as_str(), limits.list::<Name>(&[]).as_str()),
        ("all that is left", "")
    );
}

#[test]
fn texts_are_cut_between_characters() {
    let limits = Limits { entries: 1, text: 8 };
    for (text, short) in
        [("", ""), ("12345678", "12345678"), ("123456789", "12345..."), ("1234éééé", "1234...")]
    {
        assert_eq!(limits.short(text), short);
        assert!(short.len() <= limits.text);
    }
    let tiny = Limits { entries: 1, text: 2 };
    assert_eq!(tiny.short("123"), "...");
}

#[test]
fn a_report_has_the_most_that_fits() {
    let write = |limits: Limits| "x".repeat(limits.entries * 10 + limits.text.min(300));
    assert_eq!(bounded(360, write).len(), 360);
    assert_eq!(bounded(359, write).len(), 316);
    assert_eq!(bounded(100, write).len(), 94);
    assert_eq!(bounded(30, write).len(), 24, "the least there is");
    assert_eq!(bounded(3, write).len(), 24);
}

#[test]
fn senders_in_words() {
    for (pid, command, text) in [
        (0, None, "from outside the container"),
        (0, Some("kernel"), "from the kernel"),
        (7, Some("sh"), "from sh (pid 7, uid 5)"),
        (7, None, "from pid 7 (uid 5)"),
    ] {
        let sender = Sender { pid, uid: 5, command: command.map(str::to_owned), queued: false };
        assert_eq!(sender.to_string(), text);
    }
    let queued = Sender { pid: 0, uid: 0, command: None, queued: true };
    assert_eq!(queued.to_string(), "from an unknown sender (by sigqueue)");
}

#[test]
fn who_got_the_signal_instead_of_the_main_child_in_words() {
    let others = || vec![name(3)];
    let opaque = Reason::OpaqueShell("sh");
    for (target, text) in [
        (Target::Through(Reason::Ignored, others()), "app (pid 2) and app (pid 3): app ignores it"),
        (
            Target::Through(Reason::Refused, others()),
            "app (pid 2) and app (pid 3): app may not be signalled",
        ),
        (
            Target::Through(opaque, others()),
            "app (pid 2) and app (pid 3): sh does not show whether it has a trap for it",
        ),
        (
            Target::Through(Reason::NoShell, others()),
            "app (pid 2) and app (pid 3): app does nothing with it",
        ),
        (
            Target::Spared(Reason::Filter, others()),
            "app (pid 3): app (pid 2) reads from it and ends after it",
        ),
        (
            Target::Spared(Reason::NoShell, others()),
            "app (pid 3): app (pid 2) would end of it and runs that",
        ),
        (Target::StandIns(others()), "app (pid 3)"),
    ] {
        assert_eq!(Whom(&target, &name(2)).to_string(), text);
    }
}
