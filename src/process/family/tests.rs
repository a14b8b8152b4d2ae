use super::*;

/// A main child whose pid nobody has.
fn family() -> Family {
    Family::new(i32::MAX, Aim::Automatic, false, false)
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
