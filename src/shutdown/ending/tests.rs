use super::*;

#[test]
fn endings_in_words() {
    assert_eq!(Ending::Exited(3).to_string(), "exited with 3");
    assert_eq!(Ending::Signaled(Signal::TERM).to_string(), "was killed by SIGTERM");
}
