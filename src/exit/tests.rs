use super::*;
use crate::signal::Signal;

#[test]
fn a_code_is_the_childs_or_names_its_signal() {
    let last = Signal::new(64).unwrap();
    for (ending, expected) in [
        (Some(Ending::Exited(0)), 0),
        (Some(Ending::Exited(255)), 255),
        (Some(Ending::Signaled(Signal::TERM)), 143),
        (Some(Ending::Signaled(last)), 192),
        (None, 125),
    ] {
        assert_eq!(code(ending, &[]), expected, "{ending:?}");
    }
}

#[test]
fn a_start_that_failed_says_why() {
    for (error, code) in [
        (StartError::Failed("why".into()), 125),
        (StartError::NotExecutable("why".into()), 126),
        (StartError::NotFound("why".into()), 127),
    ] {
        assert_eq!((error.code(), error.to_string().as_str()), (code, "why"));
    }
}

#[test]
fn an_expected_code_is_success() {
    assert_eq!(code(Some(Ending::Signaled(Signal::TERM)), &[143, 3]), 0);
    assert_eq!(code(Some(Ending::Exited(3)), &[143, 3]), 0);
    assert_eq!(code(Some(Ending::Exited(4)), &[143, 3]), 4);
}
