use super::*;

#[test]
fn keys_of_whom_it_was_forwarded_to() {
    let because = |target: &Target| (forwarded_to(target), forwarded_because(target));
    for (target, expected) in [
        (Target::Main(Reason::NoShell), ("main", Some("no_shell"))),
        (Target::Main(Reason::ShellWithTrap("sh")), ("main", Some("shell_with_trap"))),
        (Target::Group(Reason::ShellWithoutTrap("sh")), ("group", Some("shell_without_trap"))),
        (Target::Group(Reason::OpaqueShell("sh")), ("group", Some("opaque_shell"))),
        (Target::Group(Reason::Option), ("group", Some("option"))),
        (Target::Through(Reason::Ignored, vec![]), ("through", Some("ignored"))),
        (Target::Through(Reason::Refused, vec![]), ("through", Some("refused"))),
        (Target::Spared(Reason::Filter, vec![]), ("children", Some("filter"))),
        (Target::StandIns(vec![]), ("stand_ins", None)),
        (Target::Leftovers(1), ("leftovers", None)),
    ] {
        assert_eq!(because(&target), expected);
    }
}
