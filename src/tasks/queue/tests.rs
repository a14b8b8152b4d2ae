use super::*;
use crate::test_support::{hook, quit};

const TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(2500);

/// A task that runs since the time that comes with it.
fn running(task: Task) -> (Queue, Instant) {
    let t0 = Instant::now();
    let mut queue = Queue::new(TIMEOUT);
    queue.add([task]);
    let task = queue.take_next().unwrap();
    queue.started(task, t0);
    (queue, t0)
}

#[test]
fn one_runs_after_the_other_and_the_end_of_all_is_said_once() {
    let t0 = Instant::now();
    let mut queue = Queue::new(TIMEOUT);
    queue.add([]);
    assert!(!queue.have_ended(), "there was none");
    queue.add([hook()]);
    queue.add([quit()]);
    queue.add([]);
    for name in ["on-stop hook /bin/deregister", "POST http://127.0.0.1:4191/shutdown"] {
        assert!(!queue.have_ended());
        let task = queue.take_next().unwrap();
        assert_eq!(task.to_string(), name);
        queue.started(task, t0);
        assert!(queue.take_next().is_none() && !queue.have_ended());
        assert!(queue.ended(Ending::Exited(0), String::new(), t0).is_some());
    }
    assert!(queue.take_next().is_none());
    assert_eq!([queue.have_ended(), queue.have_ended()], [true, false]);
    assert!(queue.ended(Ending::Exited(0), String::new(), t0).is_none());
}

#[test]
fn what_is_cancelled_is_not_run_and_what_runs_goes_on() {
    let (mut queue, _) = running(hook());
    queue.add([hook(), quit()]);
    assert_eq!(queue.cancel().count(), 2);
    assert!(!queue.have_ended());
    assert!(
        queue.ended(Ending::Exited(0), String::new(), Instant::now()).is_some()
            && queue.have_ended()
    );
}

#[test]
fn a_hook_is_terminated_then_killed_then_given_up() {
    let (mut queue, t0) = running(hook());
    let just_before = |at: Instant| at.checked_sub(Duration::from_millis(1)).unwrap();
    let mut at = t0 + TIMEOUT;
    for signal in [Signal::TERM, Signal::KILL] {
        assert_eq!(queue.deadline(), Some(at));
        assert_eq!(queue.on_deadline(just_before(at)), None);
        assert_eq!(queue.on_deadline(at), Some(signal));
        assert!(queue.given_up(at).is_none());
        at += TIME_TO_END;
    }
    assert_eq!(queue.deadline(), Some(at));
    assert!(queue.given_up(just_before(at)).is_none());
    assert_eq!(queue.on_deadline(at), None);
    let done = queue.given_up(at).unwrap();
    assert_eq!(done.took, TIMEOUT + 2 * TIME_TO_END);
    assert!(done.how.unwrap_err().contains("not ended by SIGKILL"));
    assert_eq!((queue.deadline(), queue.have_ended()), (None, true));
}

#[test]
fn a_request_is_killed_at_once() {
    let (mut queue, t0) = running(quit());
    assert_eq!(queue.deadline(), Some(t0 + REQUEST_TIMEOUT));
    assert_eq!(queue.on_deadline(t0 + REQUEST_TIMEOUT), Some(Signal::KILL));
    let done =
        queue.ended(Ending::Signaled(Signal::KILL), String::new(), t0 + REQUEST_TIMEOUT).unwrap();
    assert_eq!((done.how, done.took), (Err("no answer".into()), REQUEST_TIMEOUT));
}

#[test]
fn how_it_went() {
    let killed = Ending::Signaled(Signal::KILL);
    let ok = |text: &str| Ok(text.to_owned());
    let err = |text: &str| Err(text.to_owned());
    for (task, output, ending, how) in [
        (hook(), "", Ending::Exited(0), ok("exited with 0")),
        (hook(), "", Ending::Exited(3), err("exited with 3")),
        (hook(), "", killed, err("was killed by SIGKILL")),
        (hook(), "no such file", Ending::Exited(0), err("no such file")),
        (quit(), "200", Ending::Exited(0), ok("200")),
        (quit(), "refused", Ending::Exited(1), err("refused")),
        (quit(), "", killed, err("was killed by SIGKILL")),
    ] {
        let (mut queue, t0) = running(task);
        let done = queue.ended(ending, output.into(), t0).unwrap();
        assert_eq!(done.how, how, "{} {output}", done.task);
    }
}

/// It had not done its work then, whatever it ended with.
#[test]
fn a_hook_that_ends_on_sigterm_has_failed() {
    let (mut queue, t0) = running(hook());
    queue.on_deadline(t0 + TIMEOUT);
    let done = queue.ended(Ending::Exited(0), String::new(), t0 + TIMEOUT).unwrap();
    assert_eq!(done.how.unwrap_err(), "exited with 0, for its --hook-timeout of 10s was over");
}
