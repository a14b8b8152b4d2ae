use super::*;
use crate::test_support::{hook, quit};

const TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_millis(2500);

/// One that runs, with what it will have said, since the time that comes with it.
fn running(task: Task, words: &str) -> (Tasks, Instant) {
    let t0 = Instant::now();
    let mut tasks = Tasks::new(TIMEOUT);
    tasks.add([task]);
    let task = tasks.next().unwrap();
    tasks.started(task, Words::saying(words), t0);
    (tasks, t0)
}

#[test]
fn one_runs_after_the_other_and_the_end_of_all_is_told_once() {
    let t0 = Instant::now();
    let mut tasks = Tasks::new(TIMEOUT);
    tasks.add([]);
    assert!(!tasks.have_ended(), "there was none");
    tasks.add([hook()]);
    tasks.add([quit()]);
    tasks.add([]);
    for name in ["on-stop hook /bin/deregister", "POST http://127.0.0.1:4191/shutdown"] {
        assert!(!tasks.have_ended());
        let task = tasks.next().unwrap();
        assert_eq!(task.to_string(), name);
        tasks.started(task, Words::saying(""), t0);
        assert!(tasks.next().is_none() && !tasks.have_ended());
        assert!(tasks.ended(Ending::Exited(0), t0).is_some());
    }
    assert!(tasks.next().is_none());
    assert_eq!([tasks.have_ended(), tasks.have_ended()], [true, false]);
    assert!(tasks.ended(Ending::Exited(0), t0).is_none());
}

#[test]
fn what_is_cancelled_is_not_run_and_what_runs_goes_on() {
    let (mut tasks, _) = running(hook(), "");
    tasks.add([hook(), quit()]);
    assert_eq!(tasks.cancel().count(), 2);
    assert!(!tasks.have_ended());
    assert!(tasks.ended(Ending::Exited(0), Instant::now()).is_some() && tasks.have_ended());
}

#[test]
fn a_hook_is_told_to_end_then_killed_then_given_up() {
    let (mut tasks, t0) = running(hook(), "");
    let just_before = Duration::from_millis(1);
    let mut at = t0 + TIMEOUT;
    for signal in [Signal::TERM, Signal::KILL] {
        assert_eq!(tasks.deadline(), Some(at));
        assert_eq!(tasks.passed(at - just_before), None);
        assert_eq!(tasks.passed(at), Some(signal));
        assert!(tasks.given_up(at).is_none());
        at += TIME_TO_END;
    }
    assert_eq!(tasks.deadline(), Some(at));
    assert!(tasks.given_up(at - just_before).is_none());
    assert_eq!(tasks.passed(at), None);
    let done = tasks.given_up(at).unwrap();
    assert_eq!(done.took, TIMEOUT + 2 * TIME_TO_END);
    assert!(done.how.unwrap_err().contains("not ended by SIGKILL"));
    assert_eq!((tasks.deadline(), tasks.have_ended()), (None, true));
}

#[test]
fn a_request_is_killed_at_once() {
    let (mut tasks, t0) = running(quit(), "");
    assert_eq!(tasks.deadline(), Some(t0 + PATIENCE));
    assert_eq!(tasks.passed(t0 + PATIENCE), Some(Signal::KILL));
    let done = tasks.ended(Ending::Signaled(Signal::KILL), t0 + PATIENCE).unwrap();
    assert_eq!((done.how, done.took), (Err("no answer".into()), PATIENCE));
}

#[test]
fn how_it_went() {
    let killed = Ending::Signaled(Signal::KILL);
    let ok = |text: &str| Ok(text.to_owned());
    let err = |text: &str| Err(text.to_owned());
    for (task, words, ending, how) in [
        (hook(), "", Ending::Exited(0), ok("exited with 0")),
        (hook(), "", Ending::Exited(3), err("exited with 3")),
        (hook(), "", killed, err("was killed by SIGKILL")),
        (hook(), "no such file", Ending::Exited(0), err("no such file")),
        (quit(), "200", Ending::Exited(0), ok("200")),
        (quit(), "refused", Ending::Exited(1), err("refused")),
        (quit(), "", killed, err("was killed by SIGKILL")),
    ] {
        let (mut tasks, t0) = running(task, words);
        let done = tasks.ended(ending, t0).unwrap();
        assert_eq!(done.how, how, "{} {words}", done.task);
    }
}

/// It had not done its work then, whatever it ended with.
#[test]
fn a_hook_that_ends_when_it_is_told_to_has_failed() {
    let (mut tasks, t0) = running(hook(), "");
    tasks.passed(t0 + TIMEOUT);
    let done = tasks.ended(Ending::Exited(0), t0 + TIMEOUT).unwrap();
    assert_eq!(done.how.unwrap_err(), "exited with 0, for its --hook-timeout of 10s was over");
}
