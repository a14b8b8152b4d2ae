use super::*;

/// A main child whose pid nobody has.
fn family() -> Family {
    Family::new(i32::MAX, Aim::Automatic, false)
}

fn name(pid: i32) -> Name {
    Name { pid, command: "app".into() }
}

#[test]
fn who_is_killed_is_reported_once() {
    let mut family = family();
    assert_eq!(family.not_yet_killed([3, 4].map(name).into()), Some([3, 4].map(name).into()));
    assert_eq!(family.not_yet_killed([3, 5].map(name).into()), Some(vec![name(5)]));
    assert_eq!(family.not_yet_killed([3, 5].map(name).into()), None);
    // Without /proc nobody has a name, and that a kill was sent is said once all the same.
    let mut nameless = self::family();
    assert_eq!(nameless.not_yet_killed(vec![]), Some(vec![]));
    assert_eq!(nameless.not_yet_killed(vec![]), None);
}

#[test]
fn the_end_of_a_group_that_was_signalled_is_reported_once() {
    let mut family = family();
    assert!(!family.group_has_ended(), "the main child is there");
    family.main = None;
    assert!(!family.group_has_ended(), "the group was not signalled");
    family.group_signalled = true;
    assert_eq!([family.group_has_ended(), family.group_has_ended()], [true, false]);
}

#[test]
fn a_trap_is_pending_only_in_a_shell_that_was_signalled() {
    let mut family = family();
    assert!(!family.trap_is_pending());
    family.trap_signalled = true;
    assert!(!family.trap_is_pending(), "it waits for no command");
    family.main = None;
    assert!(!family.trap_is_pending());
}
