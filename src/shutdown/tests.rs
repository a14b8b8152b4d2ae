use super::*;
use crate::shutdown::plan::{Delay, LeftoversTimeout};
use crate::test_support::plan;
use std::time::Duration;

const ZERO: Ending = Ending::Exited(0);
const MAIN_ENDED: Event = Event::MainEnded(ZERO);
const STOP: Event = Event::Signal(Signal::TERM);
const OTHER: Event = Event::Signal(Signal::HUP);
const TASKS_ENDED: Event = Event::TasksEnded;
const REHEARSAL_DUE: Event = Event::RehearsalDue;
const NOTHING: [Action; 0] = [];
/// Of leftovers.
const KILL: Action = Action::KillAll { with_app: false };
const KILL_APP: Action = Action::KillAll { with_app: true };
const NO_STAND_IN: Event = Event::Looked(Looked {
    stand_ins: false,
    only_refused: false,
    pause: Duration::ZERO,
    again_at: None,
});
/// A look that found only processes that may not be signalled.
const REFUSED: Event = Event::Looked(Looked {
    stand_ins: false,
    only_refused: true,
    pause: Duration::ZERO,
    again_at: None,
});

/// A run of the core, by a clock that the test moves. Times are seconds after the start.
struct Story {
    core: Shutdown,
    start: Instant,
}

impl Story {
    fn of(plan: Plan) -> Story {
        let start = Instant::now();
        Story { core: Shutdown::new(plan, start), start }
    }

    /// The same, after the main child's stop at second 100.
    fn holding(plan: Plan) -> Story {
        let mut story = Story::of(plan);
        story.when(100.0, STOP);
        story
    }

    fn stopping(plan: Plan) -> Story {
        let mut story = Story::holding(plan);
        story.when(115.0, Event::Tick);
        story
    }

    /// Since the main child ended at 100 s by itself, and left nothing.
    fn leaving(plan: Plan) -> Story {
        let mut story = Story::of(plan);
        story.when(100.0, MAIN_ENDED);
        story.when(100.0, Event::NothingLeft);
        story
    }

    fn killed(plan: Plan) -> Story {
        let mut story = Story::stopping(plan);
        story.when(157.0, Event::Tick);
        story.when(159.0, Event::Tick);
        story
    }

    fn when(&mut self, seconds: f64, event: Event) -> Vec<Action> {
        self.core.handle(event, self.at(seconds)).in_order().collect()
    }

    /// The main child ends after the forward, and nobody stands for it. What is done about leftovers.
    fn app_ends(&mut self, seconds: f64) -> Vec<Action> {
        assert_eq!(self.when(seconds, MAIN_ENDED), NOTHING);
        assert_eq!(self.when(seconds, Event::Tick), [Action::LookForStandIns]);
        self.when(seconds, NO_STAND_IN)
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    fn deadline(&self) -> Option<f64> {
        let deadline = self.core.deadline()?;
        Some(deadline.duration_since(self.start).as_secs_f64())
    }
}

fn with_hooks() -> Plan {
    Plan { on_stop: Some(Duration::from_secs(11)), on_exit: true, ..plan() }
}

fn forward(signal: Signal, why: Why) -> [Action; 1] {
    [Action::Forward { signal, why }]
}

fn sweep(signal: Signal, kill_at: Option<Instant>) -> [Action; 1] {
    [Action::Sweep { signal, kill_at }]
}

fn swept_already(kill_at: Option<Instant>) -> [Action; 1] {
    [Action::Note(Note::SweptAlready { kill_at })]
}

/// A shutdown that begins without a hold, for only leftovers are there.
fn unheld(story: &Story, began_at: f64, kill_at: f64) -> Action {
    let (now, kill_at) = (story.at(began_at), Some(story.at(kill_at)));
    Action::Begin { signal: Signal::TERM, may_end_at: now, forward_at: now, kill_at }
}

/// A look that found somebody who stands for the main child.
fn found(again_at: Option<Instant>) -> Event {
    Event::Looked(Looked { stand_ins: true, only_refused: false, pause: Duration::ZERO, again_at })
}

fn without_grace_period() -> Plan {
    Plan { grace_period: None, ..plan() }
}

fn with(leftovers: Leftovers) -> Plan {
    Plan { leftovers, ..plan() }
}

// Running

#[test]
fn running_stop_signal_holds() {
    let mut story = Story::of(plan());
    assert_eq!(story.deadline(), None);
    let (forward_at, kill_at) = (story.at(115.0), Some(story.at(159.0)));
    let may_end_at = forward_at;
    let hold = Action::Begin { signal: Signal::TERM, may_end_at, forward_at, kill_at };
    assert_eq!(story.when(100.0, STOP), [hold]);
    assert_eq!(story.deadline(), Some(115.0));
}

#[test]
fn running_other_signal_is_forwarded() {
    let mut story = Story::of(plan());
    assert_eq!(story.when(1.0, OTHER), forward(Signal::HUP, Why::Passing));
    assert_eq!(story.deadline(), None);
}

#[test]
fn running_deadline_is_the_stop_signal_of_a_rehearsal() {
    let rehearse = Some(Duration::from_secs(5));
    let stop_signals = vec![Signal::QUIT, Signal::TERM];
    let mut story = Story::of(Plan { stop_signals, rehearse, ..plan() });
    assert_eq!(story.deadline(), Some(5.0));
    assert_eq!(story.when(4.9, Event::Tick), NOTHING);
    let (forward_at, kill_at) = (story.at(20.0), Some(story.at(64.0)));
    let may_end_at = forward_at;
    let hold = Action::Begin { signal: Signal::QUIT, may_end_at, forward_at, kill_at };
    assert_eq!(story.when(5.0, Event::Tick), [hold]);
    assert_eq!(story.when(20.0, Event::Tick), forward(Signal::QUIT, Why::DelayOver));
}

#[test]
fn running_rehearsal_that_is_due_is_the_stop_signal() {
    let rehearse = Some(Duration::from_mins(1));
    let stop_signals = vec![Signal::QUIT, Signal::TERM];
    let mut story = Story::of(Plan { stop_signals, rehearse, ..plan() });
    let (forward_at, kill_at) = (story.at(17.0), Some(story.at(61.0)));
    let may_end_at = forward_at;
    let hold = Action::Begin { signal: Signal::QUIT, may_end_at, forward_at, kill_at };
    assert_eq!(story.when(2.0, REHEARSAL_DUE), [hold]);
    assert_eq!(story.deadline(), Some(17.0), "what was at the latest is over");
    let mut none = Story::of(plan());
    assert_eq!(none.when(2.0, REHEARSAL_DUE), NOTHING, "it is no rehearsal");
}

/// A real stop signal, or the end of the app, came before.
#[test]
fn a_rehearsal_that_is_due_moves_nothing_but_an_app_that_runs() {
    let rehearsing = || Plan { rehearse: Some(Duration::from_hours(1)), ..with_hooks() };
    let mut holding = Story::holding(rehearsing());
    assert_eq!(holding.when(101.0, REHEARSAL_DUE), NOTHING);
    assert_eq!(holding.when(102.0, TASKS_ENDED), NOTHING);
    assert_eq!(holding.deadline(), Some(115.0));
    let mut stopping = Story::stopping(Plan { on_stop: None, ..rehearsing() });
    assert_eq!(stopping.when(116.0, REHEARSAL_DUE), NOTHING);
    let mut sweeping = Story::of(rehearsing());
    sweeping.when(100.0, MAIN_ENDED);
    assert_eq!(sweeping.when(101.0, REHEARSAL_DUE), NOTHING);
    assert_eq!(Story::leaving(rehearsing()).when(101.0, REHEARSAL_DUE), NOTHING);
    let without_hooks = Plan { on_stop: None, on_exit: false, ..rehearsing() };
    let mut killed = Story::stopping(without_hooks);
    killed.when(159.0, Event::Tick);
    assert_eq!(killed.when(159.1, REHEARSAL_DUE), NOTHING);
    killed.when(159.2, Event::NothingLeft);
    assert_eq!(killed.when(159.3, REHEARSAL_DUE), NOTHING, "it has exited");
}

#[test]
fn running_goes_on_behind_a_shell_that_a_signal_ended() {
    let int = Signal::INT;
    let mut story = Story::of(plan());
    assert_eq!(story.when(1.0, Event::Signal(int)), forward(int, Why::Passing));
    assert_eq!(story.when(2.0, Event::MainEnded(Ending::Signaled(int))), NOTHING);
    assert_eq!(story.when(2.0, Event::Tick), [Action::LookForStandIns]);
    assert_eq!(story.when(2.0, found(None)), NOTHING);
    // The first stop signal begins the grace period.
    let stop = story.when(10.0, STOP);
    let unheld_forward = Action::Forward { signal: Signal::TERM, why: Why::Unheld };
    assert_eq!(stop, [unheld(&story, 10.0, 69.0), unheld_forward]);
    assert_eq!(story.when(11.0, STOP), forward(Signal::TERM, Why::Again));
    let kill_at = Some(story.at(69.0));
    assert_eq!(story.when(20.0, NO_STAND_IN), sweep(Signal::TERM, kill_at));

    let mut other = Story::of(plan());
    other.when(1.0, Event::Signal(int));
    let kill_at = Some(other.at(7.0));
    assert_eq!(other.when(2.0, MAIN_ENDED), sweep(Signal::TERM, kill_at), "it ended otherwise");
}

#[test]
fn running_main_exit_sweeps_for_five_seconds() {
    let mut story = Story::of(plan());
    let kill_at = Some(story.at(6.0));
    assert_eq!(story.when(1.0, MAIN_ENDED), sweep(Signal::TERM, kill_at));
    assert_eq!(story.deadline(), Some(4.0));
}

#[test]
fn running_nothing_left_means_that_the_main_child_is_gone() {
    assert_eq!(Story::of(plan()).when(1.0, Event::NothingLeft), [Action::Exit(None)]);
}

// Holding

#[test]
fn holding_stop_signal_hurries_with_the_latest() {
    let stop_signals = vec![Signal::TERM, Signal::QUIT];
    let mut story = Story::holding(Plan { stop_signals, ..plan() });
    let quit = Event::Signal(Signal::QUIT);
    assert_eq!(story.when(101.0, quit), forward(Signal::QUIT, Why::Hurry));
    assert_eq!(story.deadline(), Some(157.0));
}

#[test]
fn holding_stop_signal_within_a_second_is_the_same_request() {
    let mut story = Story::holding(plan());
    let same = [Action::Note(Note::SameRequest)];
    assert_eq!(story.when(100.0, STOP), same);
    assert_eq!(story.when(100.999, STOP), same);
    assert_eq!(story.deadline(), Some(115.0));
}

#[test]
fn holding_stop_signal_may_be_ignored() {
    let mut story = Story::holding(Plan { on_repeat: OnRepeat::Ignore, ..plan() });
    assert_eq!(story.when(110.0, STOP), [Action::Note(Note::StillHeld)]);
    assert_eq!(story.deadline(), Some(115.0));
}

#[test]
fn holding_other_signal_is_forwarded() {
    let mut story = Story::holding(plan());
    assert_eq!(story.when(101.0, OTHER), forward(Signal::HUP, Why::Passing));
    assert_eq!(story.deadline(), Some(115.0));
}

#[test]
fn holding_deadline_forwards() {
    let mut story = Story::holding(plan());
    assert_eq!(story.when(114.999, Event::Tick), NOTHING);
    assert!(story.core.holds());
    assert_eq!(story.when(115.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
    assert!(!story.core.holds());
    assert_eq!(story.deadline(), Some(157.0));
}

#[test]
fn holding_main_exit_sweeps_until_the_kill() {
    let mut story = Story::holding(plan());
    let kill_at = Some(story.at(159.0));
    assert_eq!(story.when(101.0, MAIN_ENDED), sweep(Signal::TERM, kill_at));
    assert_eq!(story.deadline(), Some(157.0));
}

#[test]
fn holding_nothing_left_means_that_the_main_child_is_gone() {
    let gone = Story::holding(plan()).when(101.0, Event::NothingLeft);
    assert_eq!(gone, [Action::Exit(None)]);
}

#[test]
fn holding_traffic_stopped_forwards_once_the_shortest_delay_is_over() {
    let delay = Delay { min: Duration::from_secs(5), max: Duration::from_secs(15) };
    let mut story = Story::holding(Plan { delay, ..plan() });
    assert_eq!(story.deadline(), Some(115.0));
    assert_eq!(story.when(104.9, Event::TrafficStopped), NOTHING);
    let quiet = forward(Signal::TERM, Why::Quiet);
    assert_eq!(story.when(105.0, Event::TrafficStopped), quiet);
    assert_eq!(story.deadline(), Some(157.0));
    assert!(!story.core.holds());
}

#[test]
fn holding_goes_on_to_the_longest_delay_while_traffic_does() {
    let delay = Delay { min: Duration::from_secs(5), max: Duration::from_secs(15) };
    let mut story = Story::holding(Plan { delay, ..plan() });
    assert_eq!(story.when(114.9, Event::Tick), NOTHING);
    assert_eq!(story.when(115.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
}

#[test]
fn holding_lasts_until_the_hooks_have_ended() {
    let mut story = Story::holding(with_hooks());
    assert_eq!(story.deadline(), Some(159.0));
    assert_eq!(story.when(115.0, Event::Tick), NOTHING);
    assert!(story.core.holds());
    assert_eq!(story.when(120.0, TASKS_ENDED), forward(Signal::TERM, Why::TasksEnded));
    assert_eq!(story.deadline(), Some(157.0));
    assert_eq!(story.when(121.0, TASKS_ENDED), NOTHING);
    let mut in_time = Story::holding(with_hooks());
    assert_eq!(in_time.when(115.0, TASKS_ENDED), forward(Signal::TERM, Why::TasksEnded));
}

#[test]
fn holding_goes_on_for_the_delay_when_the_hooks_have_ended() {
    let mut story = Story::holding(with_hooks());
    assert_eq!(story.when(101.0, TASKS_ENDED), NOTHING);
    assert_eq!(story.deadline(), Some(115.0));
    assert_eq!(story.when(115.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
}

#[test]
fn holding_ends_though_hooks_run_when_hurried_or_killed() {
    let mut hurried = Story::holding(with_hooks());
    assert_eq!(hurried.when(101.0, STOP), forward(Signal::TERM, Why::Hurry));
    let mut killed = Story::holding(with_hooks());
    assert_eq!(killed.when(159.0, Event::Tick), [KILL_APP]);
    let mut endless = Story::holding(Plan { grace_period: None, ..with_hooks() });
    assert_eq!(endless.deadline(), None);
    assert_eq!(endless.when(900.0, TASKS_ENDED), forward(Signal::TERM, Why::TasksEnded));
}

#[test]
fn holding_traffic_stopped_waits_for_the_hooks() {
    let delay = Delay { min: Duration::from_secs(5), max: Duration::from_secs(15) };
    let mut story = Story::holding(Plan { delay, ..with_hooks() });
    assert_eq!(story.when(106.0, Event::TrafficStopped), NOTHING);
    assert_eq!(story.when(107.0, TASKS_ENDED), NOTHING);
    assert_eq!(story.when(108.0, Event::TrafficStopped), forward(Signal::TERM, Why::Quiet));
}

#[test]
fn traffic_stopped_moves_nothing_but_a_hold() {
    let stories: [fn(Plan) -> Story; 3] = [Story::of, Story::stopping, Story::killed];
    for story in stories {
        assert_eq!(story(plan()).when(160.0, Event::TrafficStopped), NOTHING);
    }
    // A fixed delay is over when it is over.
    let mut fixed = Story::holding(plan());
    assert_eq!(fixed.when(114.9, Event::TrafficStopped), NOTHING);
    assert_eq!(fixed.when(115.0, Event::TrafficStopped), NOTHING);
    assert_eq!(fixed.when(115.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
}

// Stopping

#[test]
fn stopping_stop_signal_is_forwarded_again() {
    let mut story = Story::stopping(plan());
    assert_eq!(story.when(120.0, STOP), forward(Signal::TERM, Why::Again));
    assert_eq!(story.deadline(), Some(157.0));
}

#[test]
fn stopping_other_signal_is_forwarded() {
    let mut story = Story::stopping(plan());
    assert_eq!(story.when(120.0, OTHER), forward(Signal::HUP, Why::Passing));
}

#[test]
fn stopping_deadline_kills() {
    let mut story = Story::stopping(plan());
    story.when(157.0, Event::Tick);
    assert_eq!(story.when(158.999, Event::Tick), NOTHING);
    assert_eq!(story.when(159.0, Event::Tick), [KILL_APP]);
    assert_eq!(story.deadline(), Some(159.5), "half the margin");
}

#[test]
fn stopping_main_exit_sweeps_until_the_kill() {
    let mut story = Story::stopping(plan());
    let kill_at = Some(story.at(159.0));
    assert_eq!(story.app_ends(120.0), sweep(Signal::TERM, kill_at));
}

#[test]
fn stopping_goes_on_while_somebody_stands_for_the_main_child() {
    let mut story = Story::stopping(without_grace_period());
    assert_eq!(story.when(120.0, MAIN_ENDED), NOTHING);
    assert_eq!(story.when(120.0, Event::Tick), [Action::LookForStandIns]);
    assert_eq!(story.when(120.0, found(None)), NOTHING);
    assert_eq!(story.deadline(), Some(121.0), "a look a second");
    // Many ends make one look.
    story.when(120.001, Event::ChildEnded);
    story.when(120.002, Event::ChildEnded);
    assert_eq!(story.deadline(), Some(120.02));
    assert_eq!(story.when(120.02, Event::Tick), [Action::LookForStandIns]);
    let again_at = Some(story.at(120.1));
    assert_eq!(story.when(120.02, found(again_at)), NOTHING);
    assert_eq!(story.deadline(), Some(120.1));
    assert_eq!(story.when(130.0, STOP), forward(Signal::TERM, Why::Again));
    // The five seconds of the leftovers begin with the end of the last.
    let kill_at = Some(story.at(145.0));
    assert_eq!(story.when(140.0, NO_STAND_IN), sweep(Signal::TERM, kill_at));
    let ending = Some(Ending::Exited(0));
    assert_eq!(story.when(141.0, Event::NothingLeft), [Action::Exit(ending)]);
}

#[test]
fn stopping_kills_who_stands_for_the_main_child_as_the_app() {
    let mut story = Story::stopping(plan());
    story.when(120.0, MAIN_ENDED);
    story.when(120.0, Event::Tick);
    story.when(120.0, found(None));
    assert_eq!(story.when(159.0, Event::Tick), [KILL_APP]);
    let leave = Action::Exit(Some(ZERO));
    assert_eq!(story.when(159.1, Event::NothingLeft), [leave]);
}

#[test]
fn stopping_looks_again_for_those_who_have_not_taken_the_signal() {
    let mut story = Story::stopping(plan());
    let again_at = Some(story.at(115.1));
    assert_eq!(story.when(115.0, found(again_at)), NOTHING);
    assert_eq!(story.when(115.05, Event::ChildEnded), NOTHING);
    assert_eq!(story.deadline(), Some(115.05));
    assert_eq!(story.when(115.1, Event::Tick), [Action::LookForStandIns]);
    assert_eq!(story.when(115.1, NO_STAND_IN), NOTHING);
    assert_eq!(story.when(115.2, Event::ChildEnded), NOTHING, "the main child has its own");
    assert_eq!(story.deadline(), Some(157.0));
    assert_eq!(story.when(115.3, found(None)), NOTHING);
    assert_eq!(story.deadline(), Some(157.0), "no look a second while the main child is there");
}

#[test]
fn stopping_pauses_between_looks_that_are_dear() {
    let mut story = Story::stopping(plan());
    story.when(120.0, MAIN_ENDED);
    story.when(120.0, Event::Tick);
    let pause = Duration::from_millis(300);
    story.when(120.0, Event::Looked(Looked { stand_ins: true, pause, ..Looked::default() }));
    story.when(120.1, Event::ChildEnded);
    assert_eq!(story.deadline(), Some(120.32));
}

#[test]
fn stopping_calls_those_who_heard_nothing_before_the_kill() {
    let mut story = Story::stopping(plan());
    assert_eq!(story.when(156.9, Event::Tick), NOTHING);
    assert_eq!(story.when(157.0, Event::Tick), [Action::LastCall]);
    assert_eq!(story.deadline(), Some(159.0));
    let grace_period = Some(Duration::from_secs(18));
    let mut short = Story::stopping(Plan { grace_period, ..plan() });
    assert_eq!(short.when(116.0, Event::Tick), [Action::LastCall], "half of two seconds");
}

#[test]
fn stopping_nothing_left_means_that_the_main_child_is_gone() {
    let gone = Story::stopping(plan()).when(120.0, Event::NothingLeft);
    assert_eq!(gone, [Action::Exit(None)]);
}

// Sweeping

#[test]
fn sweeping_stop_signal_takes_the_earlier_deadline() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    let kill_at = Some(story.at(6.0));
    assert_eq!(story.when(2.0, STOP), swept_already(kill_at));
    assert_eq!(story.deadline(), Some(4.0));

    let grace_period = Some(Duration::from_secs(3));
    let mut story = Story::of(Plan { grace_period, delay: Delay::fixed(Duration::ZERO), ..plan() });
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.deadline(), Some(2.0));
    let kill_at = Some(story.at(3.0));
    assert_eq!(story.when(2.0, STOP), swept_already(kill_at));
}

#[test]
fn sweeping_other_signal_goes_to_the_leftovers() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.when(2.0, OTHER), forward(Signal::HUP, Why::Passing));
}

#[test]
fn sweeping_deadline_kills() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.when(4.0, Event::Tick), [Action::LastCall]);
    assert_eq!(story.when(5.999, Event::Tick), NOTHING);
    assert_eq!(story.when(6.0, Event::Tick), [KILL]);
    assert_eq!(story.deadline(), Some(6.5));
}

#[test]
fn sweeping_looks_again_for_those_who_have_become_ours() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.when(1.0, NO_STAND_IN), NOTHING);
    assert_eq!(story.deadline(), Some(2.0), "a look a second");
    assert_eq!(story.when(2.0, Event::Tick), [Action::LookForLeftovers]);
    let again_at = Some(story.at(2.1));
    assert_eq!(story.when(2.0, found(again_at)), NOTHING);
    assert_eq!(story.deadline(), Some(2.1));
}

#[test]
fn sweeping_ends_where_all_that_is_left_may_not_be_signalled() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.when(1.0, REFUSED), [Action::GiveUp, Action::Exit(Some(ZERO))]);
    let mut waiting = Story::of(with(Leftovers::Wait));
    waiting.when(1.0, MAIN_ENDED);
    waiting.when(100.0, STOP);
    assert_eq!(waiting.when(100.0, REFUSED), NOTHING, "they are waited for");
    assert_eq!(waiting.deadline(), Some(101.0));
}

#[test]
fn sweeping_nothing_left_exits_with_the_main_childs_ending() {
    let mut story = Story::of(plan());
    let ending = Ending::Exited(7);
    story.when(1.0, Event::MainEnded(ending));
    assert_eq!(story.when(1.5, Event::SomeLeft), NOTHING);
    assert_eq!(story.when(2.0, Event::NothingLeft), [Action::Exit(Some(ending))]);
    assert_eq!(story.deadline(), None);
}

#[test]
fn sweeping_has_no_second_main_child() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    assert_eq!(story.when(2.0, MAIN_ENDED), NOTHING);
    assert_eq!(story.deadline(), Some(4.0));
}

// Killed

#[test]
fn killed_takes_no_more_signals() {
    let mut story = Story::killed(plan());
    assert_eq!(story.when(159.1, STOP), NOTHING);
    assert_eq!(story.when(159.1, OTHER), NOTHING);
    assert_eq!(story.deadline(), Some(159.5));
}

#[test]
fn killed_deadline_gives_up() {
    let mut story = Story::killed(plan());
    assert_eq!(story.when(159.499, Event::Tick), NOTHING);
    let exit = Action::Exit(Some(Ending::KILLED));
    assert_eq!(story.when(159.5, Event::Tick), [Action::GiveUp, exit]);
    assert_eq!(story.deadline(), None);
}

#[test]
fn killed_has_time_to_die_without_a_margin_too() {
    let mut story = Story::stopping(Plan { margin: Duration::ZERO, ..plan() });
    assert_eq!(story.when(160.0, Event::Tick), [KILL_APP]);
    assert_eq!(story.deadline(), Some(160.1));
}

#[test]
fn killed_stays_till_all_are_reaped() {
    let mut story = Story::killed(plan());
    let ending = Ending::Exited(3);
    assert_eq!(story.when(159.1, Event::MainEnded(ending)), NOTHING);
    assert_eq!(story.deadline(), Some(159.5));
    assert_eq!(story.when(159.1, MAIN_ENDED), NOTHING, "it has ended already");
    assert_eq!(story.when(159.2, Event::NothingLeft), [Action::Exit(Some(ending))]);
}

#[test]
fn killed_kills_again_what_was_forked_meanwhile() {
    let mut story = Story::killed(plan());
    assert_eq!(story.when(159.1, Event::SomeLeft), [KILL_APP]);
    assert_eq!(story.deadline(), Some(159.5), "nothing gains time by forking");
}

#[test]
fn killed_remembers_the_ending_when_it_gives_up() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    story.when(6.0, Event::Tick);
    assert_eq!(story.when(6.5, Event::Tick), [Action::GiveUp, Action::Exit(Some(ZERO))]);
}

#[test]
fn killed_and_reaped_by_another_it_was_our_kill() {
    let mut story = Story::killed(plan());
    let exit = Action::Exit(Some(Ending::KILLED));
    assert_eq!(story.when(159.1, Event::NothingLeft), [exit]);
}

// Leaving

#[test]
fn leaving_comes_when_all_are_gone() {
    let leave = [Action::StartOnExit(Some(Ending::Exited(0)))];
    let mut stopped = Story::holding(with_hooks());
    stopped.when(120.0, TASKS_ENDED);
    stopped.when(121.0, MAIN_ENDED);
    assert_eq!(stopped.when(122.0, Event::NothingLeft), leave);
    assert_eq!(stopped.deadline(), Some(159.0));
    // Only a stop signal begins the grace period.
    let mut crashed = Story::of(with_hooks());
    crashed.when(1.0, MAIN_ENDED);
    assert_eq!(crashed.deadline(), Some(4.0));
    assert_eq!(crashed.when(2.0, Event::NothingLeft), leave);
    assert_eq!(crashed.deadline(), None);
    let mut lost = Story::of(with_hooks());
    assert_eq!(lost.when(1.0, Event::NothingLeft), [Action::StartOnExit(None)]);
    assert_eq!(lost.deadline(), None);
    let mut lost = Story::holding(with_hooks());
    assert_eq!(lost.when(101.0, Event::NothingLeft), [Action::StartOnExit(None)]);
    assert_eq!(lost.deadline(), Some(159.0));
}

#[test]
fn leaving_stop_signal_takes_the_earlier_deadline() {
    let mut story = Story::leaving(with_hooks());
    let note = |kill_at| [Action::Note(Note::Leaving { kill_at })];
    let kill_at = Some(story.at(160.0));
    assert_eq!(story.when(101.0, STOP), note(kill_at));
    assert_eq!(story.when(103.0, STOP), note(kill_at));
    assert_eq!(story.deadline(), Some(160.0));
}

#[test]
fn leaving_other_signal_is_for_nobody() {
    assert_eq!(Story::leaving(with_hooks()).when(101.0, OTHER), NOTHING);
    assert_eq!(Story::leaving(with_hooks()).when(101.0, Event::MainStopped(Signal::TSTP)), NOTHING);
}

#[test]
fn leaving_deadline_kills_and_ends() {
    let mut story = Story::leaving(with_hooks());
    story.when(101.0, STOP);
    assert_eq!(story.when(160.0, Event::Tick), [KILL]);
    let exit = [Action::Exit(Some(Ending::Exited(0)))];
    assert_eq!(story.when(160.1, Event::NothingLeft), exit);
}

#[test]
fn leaving_ends_with_the_tasks_and_kills_what_they_leave() {
    let mut story = Story::leaving(with_hooks());
    assert_eq!(story.when(101.0, Event::NothingLeft), NOTHING);
    assert_eq!(story.when(102.0, TASKS_ENDED), [KILL]);
    assert_eq!(story.when(102.0, Event::SomeLeft), [KILL]);
    assert_eq!(story.deadline(), Some(102.5));
    let exit = [Action::Exit(Some(Ending::Exited(0)))];
    assert_eq!(story.when(102.1, Event::NothingLeft), exit);
}

#[test]
fn leaving_has_no_second_main_child() {
    let mut story = Story::leaving(with_hooks());
    assert_eq!(story.when(101.0, MAIN_ENDED), NOTHING);
}

#[test]
fn killed_leaves_half_the_margin_for_what_comes_after() {
    let mut story = Story::killed(with_hooks());
    let leave = Action::StartOnExit(Some(Ending::KILLED));
    assert_eq!(story.when(159.1, Event::NothingLeft), [leave]);
    assert!((story.deadline().unwrap() - 159.6).abs() < 1e-6);
}

#[test]
fn killed_has_no_time_to_leave_when_it_gives_up_at_the_end() {
    let mut late = Story::killed(with_hooks());
    let exit = Action::Exit(Some(Ending::KILLED));
    assert_eq!(late.when(159.5, Event::Tick), [Action::GiveUp, exit]);
    // After a crash there is no end but that of the leftovers.
    let mut crashed = Story::of(with_hooks());
    crashed.when(1.0, MAIN_ENDED);
    assert_eq!(crashed.when(6.0, Event::Tick), [KILL]);
    let leave = [Action::GiveUp, Action::StartOnExit(Some(Ending::Exited(0)))];
    assert_eq!(crashed.when(6.5, Event::Tick), leave);
    assert_eq!(crashed.deadline(), None);
    // Nor has a stop signal come to its own end when they are given up.
    let mut asked = Story::of(with_hooks());
    asked.when(1.0, MAIN_ENDED);
    asked.when(2.0, STOP);
    assert_eq!(asked.when(6.0, Event::Tick), [KILL]);
    assert_eq!(asked.when(6.5, Event::Tick), leave);
    assert_eq!(asked.deadline(), Some(61.0));
}

// Exited

#[test]
fn exited_is_the_end() {
    let mut story = Story::of(plan());
    story.when(1.0, MAIN_ENDED);
    story.when(1.0, Event::NothingLeft);
    let all = [STOP, OTHER, MAIN_ENDED, Event::SomeLeft, Event::NothingLeft];
    let all = all.into_iter().chain([Event::TrafficStopped]);
    for event in all.into_iter().chain([Event::Tick, Event::MainStopped(Signal::TSTP)]) {
        assert_eq!(story.when(2.0, event), NOTHING, "{event:?}");
    }
    assert_eq!(story.deadline(), None);
}

// Options

#[test]
fn without_a_delay_the_stop_signal_passes_in_the_same_wake() {
    let mut story = Story::of(Plan { delay: Delay::fixed(Duration::ZERO), ..plan() });
    story.when(100.0, STOP);
    assert_eq!(story.deadline(), Some(100.0));
    assert_eq!(story.when(100.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
    assert_eq!(story.deadline(), Some(157.0));
    assert_eq!(story.when(100.1, STOP), forward(Signal::TERM, Why::Again));
}

#[test]
fn without_a_grace_period_nothing_is_killed() {
    let mut story = Story::stopping(without_grace_period());
    assert_eq!(story.deadline(), None);
    assert_eq!(story.when(1e6, Event::Tick), NOTHING);
    let none = LeftoversTimeout::None;
    let mut endless = Story::stopping(Plan { leftovers_timeout: none, ..without_grace_period() });
    assert_eq!(endless.app_ends(120.0), sweep(Signal::TERM, None));
    assert_eq!(endless.when(1e6, STOP), swept_already(None));
}

#[test]
fn without_a_grace_period_a_crash_has_five_seconds_all_the_same() {
    let mut story = Story::of(without_grace_period());
    let kill_at = Some(story.at(6.0));
    assert_eq!(story.when(1.0, MAIN_ENDED), sweep(Signal::TERM, kill_at));
    assert_eq!(story.when(2.0, STOP), swept_already(kill_at));
}

#[test]
fn leftovers_that_are_waited_for_get_nothing_until_a_stop_signal() {
    let mut story = Story::of(with(Leftovers::Wait));
    assert_eq!(story.when(1.0, MAIN_ENDED), NOTHING);
    assert_eq!(story.deadline(), None);
    let kill_at = Some(story.at(159.0));
    let [sweep] = sweep(Signal::TERM, kill_at);
    assert_eq!(story.when(100.0, STOP), [unheld(&story, 100.0, 159.0), sweep]);
    assert_eq!(story.when(101.0, STOP), swept_already(kill_at));
    assert_eq!(story.deadline(), Some(157.0));
}

#[test]
fn leftovers_that_are_waited_for_get_the_rewritten_signal() {
    let rewrites = vec![(Signal::TERM, Some(Signal::QUIT))];
    let mut story = Story::of(Plan { rewrites, ..with(Leftovers::Wait) });
    story.when(1.0, MAIN_ENDED);
    let kill_at = Some(story.at(159.0));
    let [sweep] = sweep(Signal::QUIT, kill_at);
    assert_eq!(story.when(100.0, STOP), [unheld(&story, 100.0, 159.0), sweep]);

    let rewrites = vec![(Signal::TERM, None)];
    let mut story = Story::of(Plan { rewrites, ..with(Leftovers::Wait) });
    story.when(1.0, MAIN_ENDED);
    let dropped = Action::Drop { signal: Signal::TERM, why: Why::Unheld };
    assert_eq!(story.when(100.0, STOP), [unheld(&story, 100.0, 159.0), dropped]);
    assert_eq!(story.deadline(), Some(157.0), "the kill stands");
}

#[test]
fn leftovers_of_a_rehearsal_are_not_waited_for() {
    let rehearse = Some(Duration::from_secs(5));
    let mut story = Story::of(Plan { rehearse, ..with(Leftovers::Wait) });
    let kill_at = Some(story.at(6.0));
    assert_eq!(story.when(1.0, MAIN_ENDED), sweep(Signal::TERM, kill_at));
}

#[test]
fn leftovers_of_a_shutdown_are_swept_though_they_are_waited_for() {
    let mut story = Story::stopping(with(Leftovers::Wait));
    let kill_at = Some(story.at(159.0));
    assert_eq!(story.app_ends(120.0), sweep(Signal::TERM, kill_at));
}

#[test]
fn leftovers_are_not_killed_while_hooks_run() {
    let mut story = Story::holding(Plan { leftovers: Leftovers::Kill, ..with_hooks() });
    assert_eq!(story.when(101.0, MAIN_ENDED), NOTHING);
    assert_eq!(story.deadline(), Some(159.0));
    assert_eq!(story.when(105.0, TASKS_ENDED), [KILL]);
    // A stop signal in the meantime changes nothing of that.
    let mut asked = Story::holding(Plan { leftovers: Leftovers::Kill, ..with_hooks() });
    asked.when(101.0, MAIN_ENDED);
    let kill_at = Some(asked.at(159.0));
    assert_eq!(asked.when(102.0, STOP), swept_already(kill_at));
    assert_eq!(asked.when(105.0, TASKS_ENDED), [KILL]);
    let mut swept = Story::holding(with_hooks());
    swept.when(101.0, MAIN_ENDED);
    assert_eq!(swept.when(105.0, TASKS_ENDED), NOTHING);
}

#[test]
fn leftovers_may_be_killed_at_once() {
    let mut by_itself = Story::of(with(Leftovers::Kill));
    assert_eq!(by_itself.when(120.0, MAIN_ENDED), [KILL]);
    // But not what stands for the app.
    let mut stopped = Story::stopping(with(Leftovers::Kill));
    assert_eq!(stopped.app_ends(120.0), [KILL]);
    for mut story in [by_itself, stopped] {
        assert_eq!(story.deadline(), Some(120.5));
        assert_eq!(story.when(120.1, Event::NothingLeft), [Action::Exit(Some(ZERO))]);
    }
}

#[test]
fn rewritten_signals() {
    let rewrites = vec![(Signal::TERM, Some(Signal::QUIT)), (Signal::HUP, None)];
    let mut story = Story::holding(Plan { rewrites, ..plan() });
    let dropped = Action::Drop { signal: Signal::HUP, why: Why::Passing };
    assert_eq!(story.when(101.0, OTHER), [dropped]);
    assert_eq!(story.when(115.0, Event::Tick), forward(Signal::QUIT, Why::DelayOver));
    assert_eq!(story.when(116.0, STOP), forward(Signal::QUIT, Why::Again));
}

#[test]
fn a_dropped_stop_signal_holds_and_kills_all_the_same() {
    let rewrites = vec![(Signal::TERM, None)];
    let mut story = Story::holding(Plan { rewrites, ..plan() });
    let dropped = Action::Drop { signal: Signal::TERM, why: Why::DelayOver };
    assert_eq!(story.when(115.0, Event::Tick), [dropped]);
    assert_eq!(story.when(159.0, Event::Tick), [KILL_APP]);
    let rewrites = vec![(Signal::TERM, None)];
    let mut late = Story::holding(Plan { rewrites, ..plan() });
    assert_eq!(late.when(900.0, Event::Tick), [dropped]);
    assert_eq!(late.when(900.0, Event::Tick), [KILL_APP], "nobody was told");
}

// Job control

#[test]
fn a_stopped_main_child_is_continued_by_a_session_leader() {
    let plan = Plan { job_control: JobControl::Leader, ..plan() };
    for mut story in [Story::of(plan.clone()), Story::holding(plan.clone()), Story::stopping(plan)]
    {
        for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            assert_eq!(story.when(120.0, Event::MainStopped(signal)), [Action::Resume(signal)]);
        }
        assert_eq!(story.when(120.0, Event::MainStopped(Signal::STOP)), NOTHING);
        let cont = story.when(120.0, Event::Signal(Signal::CONT));
        assert_eq!(cont, forward(Signal::CONT, Why::Passing));
    }
}

#[test]
fn a_stopped_main_child_suspends_the_job_of_a_shell() {
    let plan = Plan { job_control: JobControl::Job, ..plan() };
    for mut story in [Story::of(plan.clone()), Story::holding(plan.clone()), Story::stopping(plan)]
    {
        for signal in [Signal::TSTP, Signal::STOP] {
            assert_eq!(story.when(120.0, Event::MainStopped(signal)), [Action::Suspend(signal)]);
        }
        let cont = story.when(120.0, Event::Signal(Signal::CONT));
        assert_eq!(cont, [Action::Resume(Signal::CONT)]);
        assert_eq!(story.when(120.0, OTHER), forward(Signal::HUP, Why::Passing));
        story.when(121.0, MAIN_ENDED);
        assert_eq!(story.when(121.0, Event::MainStopped(Signal::TSTP)), NOTHING);
        let cont = story.when(122.0, Event::Signal(Signal::CONT));
        assert_eq!(cont, forward(Signal::CONT, Why::Passing), "to the leftovers");
    }
}

#[test]
fn a_stopped_main_child_without_a_terminal_is_nobodys_business() {
    assert_eq!(Story::of(plan()).when(1.0, Event::MainStopped(Signal::TSTP)), NOTHING);
}

// Stories

#[test]
fn a_late_wake_owes_all_steps_in_their_order() {
    let mut story = Story::holding(plan());
    assert_eq!(story.when(1000.0, Event::Tick), forward(Signal::TERM, Why::DelayOver));
    assert_eq!(story.when(1000.0, Event::Tick), NOTHING, "the app has a moment");
    assert_eq!(story.deadline(), Some(1000.05));
    assert_eq!(story.when(1000.05, Event::Tick), [Action::LastCall]);
    assert_eq!(story.when(1000.1, Event::Tick), [KILL_APP]);
    assert_eq!(story.deadline(), Some(1000.6), "what was killed late has its time to die");
    assert_eq!(story.when(1000.1, Event::Tick), NOTHING);
}

#[test]
fn a_late_forward_leaves_the_app_half_of_what_is_left_of_the_margin() {
    let margin = Duration::from_secs(8);
    // The grace period ends at 160 s, and SIGKILL was due at 152 s.
    for (woken, killed) in
        [(151.999, 152.0), (152.0, 156.0), (155.0, 157.5), (159.9, 160.0), (161.0, 161.1)]
    {
        let mut story = Story::holding(Plan { margin, ..plan() });
        assert_eq!(story.when(woken, Event::Tick), forward(Signal::TERM, Why::DelayOver));
        assert_eq!(story.core.kill_due(), Some(story.at(killed)), "woken at {woken}");
    }
    // What is left over by an app that ends in such a wake has it too, but not what is to be killed.
    let mut ended = Story::holding(Plan { margin, ..plan() });
    let kill_at = Some(ended.at(157.5));
    assert_eq!(ended.when(155.0, MAIN_ENDED), sweep(Signal::TERM, kill_at));
    let killing = Plan { margin, ..with(Leftovers::Kill) };
    assert_eq!(Story::holding(killing).when(155.0, MAIN_ENDED), [KILL]);
    // The hooks kept the signal back until the end: nobody is owed a forward.
    let mut hooked = Story::holding(Plan { margin, ..with_hooks() });
    assert_eq!(hooked.when(155.0, Event::Tick), [KILL_APP]);
    let mut done = Story::holding(Plan { margin, ..with_hooks() });
    assert_eq!(done.when(155.0, TASKS_ENDED), forward(Signal::TERM, Why::TasksEnded));
    assert_eq!(done.core.kill_due(), Some(done.at(157.5)));
}

#[test]
fn a_kill_is_due_where_the_next_tick_kills() {
    let due = |story: &Story| story.core.kill_due();
    let running = Story::of(plan());
    assert_eq!(due(&running), None);
    assert_eq!(due(&Story::holding(plan())), None, "a forward comes first");
    assert_eq!(due(&Story::killed(plan())), None);
    for story in [Story::holding(with_hooks()), Story::stopping(plan())] {
        assert_eq!(due(&story), Some(story.at(159.0)));
    }
    let mut sweeping = Story::of(plan());
    sweeping.when(1.0, MAIN_ENDED);
    assert_eq!(due(&sweeping), Some(sweeping.at(6.0)));
    let mut leaving = Story::leaving(with_hooks());
    assert_eq!(due(&leaving), None);
    leaving.when(101.0, STOP);
    assert_eq!(due(&leaving), Some(leaving.at(160.0)));
}

#[test]
fn children_that_are_left_change_nothing() {
    let mut story = Story::holding(plan());
    assert_eq!(story.when(101.0, Event::SomeLeft), NOTHING);
    assert_eq!(story.deadline(), Some(115.0));
}

/// What looks find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finds {
    Nobody,
    StandIns,
    Refused,
}

impl Finds {
    fn next(self) -> Finds {
        match self {
            Finds::Nobody => Finds::StandIns,
            Finds::StandIns => Finds::Refused,
            Finds::Refused => Finds::Nobody,
        }
    }

    fn looked(self) -> Event {
        let (stand_ins, only_refused) = (self == Finds::StandIns, self == Finds::Refused);
        Event::Looked(Looked { stand_ins, only_refused, pause: Duration::ZERO, again_at: None })
    }
}

/// What must hold whatever happens, watched from outside.
#[expect(clippy::struct_excessive_bools, reason = "each is an event that has come or not")]
struct Watch {
    story: Story,
    plan: Plan,
    now: f64,
    began: Option<f64>,
    ended: Option<(f64, Ending)>,
    requests: usize,
    forwards: usize,
    swept: usize,
    killed: bool,
    /// The on-stop hooks began with the hold, and have not ended.
    hooks: bool,
    hooks_started: bool,
    /// When a stop signal came first, also where it begins no hold.
    asked: Option<f64>,
    left: bool,
    exited: bool,
    finds: Finds,
    /// When the sweep or the wait for leftovers began.
    swept_at: Option<f64>,
    /// We woke later than we wanted to.
    late: bool,
    /// When something was signalled though its SIGKILL was due already.
    signalled_late: Option<f64>,
}

impl Watch {
    fn over(plan: &Plan) -> Watch {
        Watch {
            story: Story::of(plan.clone()),
            plan: plan.clone(),
            now: 0.0,
            began: None,
            ended: None,
            requests: 0,
            forwards: 0,
            swept: 0,
            killed: false,
            hooks: false,
            hooks_started: false,
            asked: None,
            left: false,
            exited: false,
            finds: Finds::Nobody,
            swept_at: None,
            late: false,
            signalled_late: None,
        }
    }

    /// Lets time pass without a wake-up, and then wakes for all that is due.
    fn oversleep(&mut self, seconds: f64) {
        self.now += seconds;
        self.late = true;
        self.happen(Event::Tick);
        self.late = false;
    }

    /// Lets time pass, waking at each deadline on the way.
    fn pass(&mut self, seconds: f64) {
        let until = self.now + seconds;
        while let Some(at) = self.story.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.happen(Event::Tick);
        }
        self.now = until;
    }

    /// One event, and then the ticks that are due.
    fn happen(&mut self, event: Event) {
        // Reaping is not told of a main child twice, and nothing is left after nothing.
        let gone = self.ended.is_some() || self.left;
        if matches!(event, Event::MainEnded(_)) && gone {
            return;
        }
        self.step(event);
        for owed in 0.. {
            assert!(owed < 4, "the deadline does not move");
            let due = self.story.deadline().filter(|at| *at <= self.now);
            if due.is_none() {
                break;
            }
            self.step(Event::Tick);
        }
    }

    fn step(&mut self, event: Event) {
        let deadline = self.story.deadline();
        let running = self.ended.is_none() && !self.killed && !self.left;
        if event == STOP {
            self.requests += 1;
            self.asked.get_or_insert(self.now);
        }
        self.hooks &= event != TASKS_ENDED;
        let kill_at = self.kill_at();
        let actions = self.story.when(self.now, event);
        let signals = |action: &Action| {
            matches!(action, Action::Sweep { .. } | Action::Forward { why: Why::DelayOver, .. })
        };
        if kill_at.is_some_and(|at| at <= self.now) && actions.iter().any(signals) {
            self.signalled_late = Some(self.now);
        }
        if self.exited {
            assert_eq!((actions, self.story.deadline()), (vec![], None), "after the exit");
            return;
        }
        let rehearsed = self.rehearsed(event);
        let begins = |action: &Action| matches!(action, Action::Begin { .. });
        if (event == STOP || rehearsed) && running && self.began.is_none() {
            self.began = actions.iter().any(begins).then_some(self.now);
            assert!(self.began.is_some() || event == Event::Tick, "each of the two begins it");
        }
        if let Event::MainEnded(ending) = event {
            self.ended = Some((self.now, ending));
        }
        for action in actions {
            self.act(action, event, deadline);
        }
    }

    fn act(&mut self, action: Action, event: Event, deadline: Option<f64>) {
        let gives_up = self.killed && event == Event::Tick;
        match action {
            Action::StartOnStop => {
                assert!(self.plan.on_stop.is_some() && self.asked(event));
                assert!(!std::mem::replace(&mut self.hooks_started, true), "hooks start twice");
                self.hooks = self.ended.is_none();
            }
            Action::Forward { why, .. } => {
                self.forwarded(why);
                if why != Why::Passing {
                    self.step(self.finds.looked());
                }
            }
            Action::Drop { why, .. } => self.forwarded(why),
            Action::Sweep { kill_at, .. } => {
                self.swept += 1;
                assert_eq!(self.swept, 1, "swept twice");
                let (ended_at, _) = self.ended.expect("an ending");
                assert!(kill_at.is_none_or(|at| at >= self.story.at(ended_at)));
                self.swept_at = Some(self.now);
                self.step(self.finds.looked());
            }
            Action::KillAll { .. } => self.kill(event, deadline),
            Action::LookForStandIns => {
                assert!(self.swept_at.is_none() && !self.killed, "nobody stands for the app");
                self.step(self.finds.looked());
            }
            Action::LookForLeftovers => {
                assert!(self.ended.is_some() && !self.killed && !self.left);
                self.step(self.finds.looked());
            }
            Action::LastCall => {
                let until_kill = deadline.map(|_| self.story.deadline());
                assert!(until_kill.is_some() && !self.killed && !self.left);
            }
            Action::GiveUp => {
                let refused = self.finds == Finds::Refused && self.ended.is_some();
                assert!(gives_up || refused, "gives up at {event:?}");
            }
            Action::StartOnExit(ending) => {
                assert!(self.plan.on_exit && !std::mem::replace(&mut self.left, true));
                self.ends(ending, event == Event::NothingLeft || gives_up);
            }
            Action::Exit(ending) => {
                self.exited = true;
                assert!(self.left || gives_up || !self.plan.on_exit, "nothing was run");
                self.ends(ending, event == Event::NothingLeft || gives_up);
            }
            Action::Begin { .. } | Action::Note(_) | Action::Suspend(_) | Action::Resume(_) => {}
        }
    }

    /// Whether this event asks for a stop.
    fn asked(&self, event: Event) -> bool {
        event == STOP || self.rehearsed(event)
    }

    /// Whether it may play the stop signal of a rehearsal.
    fn rehearsed(&self, event: Event) -> bool {
        [Event::Tick, REHEARSAL_DUE].contains(&event) && self.plan.rehearse.is_some()
    }

    /// When the stop signal leads to SIGKILL, by the plan.
    fn kill_at(&self) -> Option<f64> {
        let by_stop = self.plan.kill_after().map(|after| after.as_secs_f64());
        by_stop.zip(self.began.or(self.asked)).map(|(after, began)| began + after)
    }

    fn ends(&self, ending: Option<Ending>, in_its_time: bool) {
        if let Some((_, seen)) = self.ended {
            assert_eq!(ending, Some(seen));
        }
        // All that is left may not be signalled.
        let refused = self.finds == Finds::Refused && self.ended.is_some();
        assert!(in_its_time || refused);
    }

    fn forwarded(&mut self, why: Why) {
        if why == Why::Passing {
            return;
        }
        self.forwards += 1;
        let rehearsed = usize::from(self.plan.rehearse.is_some());
        assert!(self.forwards <= self.requests + rehearsed, "forwarded more often than asked");
        let Delay { min, max } = self.plan.delay;
        let least = match why {
            Why::DelayOver | Why::TasksEnded => max,
            Why::Quiet => min,
            _ => Duration::ZERO,
        };
        let in_turn = [Why::DelayOver, Why::TasksEnded, Why::Quiet].contains(&why);
        assert!(!in_turn || !self.hooks, "forwarded before the hooks had ended");
        if !least.is_zero() {
            let held = self.now - self.began.expect("a hold");
            assert!(held >= least.as_secs_f64() - 1e-6, "held for {held}");
        }
        if why == Why::Hurry && self.ended.is_none() {
            assert!(self.now - self.began.expect("a hold") >= 1.0 - 1e-6);
            assert_eq!(self.plan.on_repeat, OnRepeat::Hurry);
        }
    }

    fn kill(&mut self, event: Event, deadline: Option<f64>) {
        if event == Event::SomeLeft {
            assert!(self.killed, "killed because something is left");
            return;
        }
        if event == TASKS_ENDED {
            assert!(self.left, "killed what hooks left");
            self.killed = true;
            return;
        }
        self.killed = true;
        let app_ended = matches!(event, Event::MainEnded(_) | Event::Looked(_));
        if self.plan.leftovers == Leftovers::Kill && app_ended {
            return;
        }
        assert_eq!(event, Event::Tick);
        let at = deadline.expect("a deadline");
        assert!(self.late || (self.now - at).abs() < 1e-6, "late when woken in time");
        let moment = self.signalled_late.is_none_or(|at| self.now >= at + 0.1 - 1e-6);
        assert!(moment, "killed in the wake in which it was signalled");
        let by_stop = self.kill_at();
        let time = self.plan.sweep_time(self.began.is_none());
        let by_exit = self.swept_at.zip(time).map(|(at, time)| at + time.as_secs_f64());
        let earliest = by_stop.into_iter().chain(by_exit).fold(f64::INFINITY, f64::min);
        assert!(self.now >= earliest - 1e-6, "killed at {} before {earliest}", self.now);
    }
}

fn plans() -> Vec<Plan> {
    let plan = Plan {
        delay: Delay::fixed(Duration::from_secs(3)),
        grace_period: Some(Duration::from_secs(9)),
        ..plan()
    };
    let none = Plan { grace_period: None, ..plan.clone() };
    let at_once = Plan { delay: Delay::fixed(Duration::ZERO), ..plan.clone() };
    let no_margin = Plan { margin: Duration::ZERO, ..plan.clone() };
    let ignoring = Plan { on_repeat: OnRepeat::Ignore, ..plan.clone() };
    let waiting = Plan { leftovers: Leftovers::Wait, ..plan.clone() };
    let killing = Plan { leftovers: Leftovers::Kill, ..plan.clone() };
    let dropping = Plan { rewrites: vec![(Signal::TERM, None)], ..plan.clone() };
    let rehearse = Some(Duration::from_secs(2));
    let rehearsing = Plan { rehearse, ..plan.clone() };
    let job = Plan { job_control: JobControl::Job, ..plan.clone() };
    let min = Duration::from_secs(1);
    let ranging = Plan { delay: Delay { min, ..plan.delay }, ..plan.clone() };
    let on_stop = Some(Duration::from_secs(1));
    let hooking = Plan { on_stop, on_exit: true, ..plan.clone() };
    let hooking_at_once = Plan { on_stop, ..at_once.clone() };
    let leaving = Plan { on_exit: true, ..waiting.clone() };
    let mut plans = vec![plan, none, at_once, no_margin, ignoring, waiting, killing, dropping];
    plans.extend([rehearsing, job, ranging, hooking, hooking_at_once, leaving]);
    plans
}

/// Something happens, or time passes.
#[derive(Clone, Copy, Debug)]
enum Move {
    Happen(Event),
    /// From now on looks find something else.
    Find,
    Pass(f64),
    Oversleep(f64),
}

const MOVES: [Move; 14] = [
    Move::Happen(STOP),
    Move::Happen(REHEARSAL_DUE),
    Move::Happen(Event::TrafficStopped),
    Move::Happen(TASKS_ENDED),
    Move::Happen(OTHER),
    Move::Happen(MAIN_ENDED),
    Move::Happen(Event::SomeLeft),
    Move::Happen(Event::NothingLeft),
    Move::Happen(Event::MainStopped(Signal::TSTP)),
    Move::Happen(Event::ChildEnded),
    Move::Find,
    Move::Pass(0.4),
    Move::Pass(2.9),
    Move::Oversleep(9.1),
];

fn play(plan: &Plan, moves: impl IntoIterator<Item = Move>) -> Watch {
    let mut watch = Watch::over(plan);
    for move_ in moves {
        match move_ {
            Move::Happen(event) => watch.happen(event),
            Move::Find => watch.finds = watch.finds.next(),
            Move::Pass(seconds) => watch.pass(seconds),
            Move::Oversleep(seconds) => watch.oversleep(seconds),
        }
    }
    watch
}

#[test]
fn every_sequence_of_five_moves_keeps_the_promises() {
    const LENGTH: u32 = 5;
    for plan in plans() {
        for mut code in 0..MOVES.len().pow(LENGTH) {
            let moves = (0..LENGTH).map(|_| {
                let index = code % MOVES.len();
                code /= MOVES.len();
                MOVES[index]
            });
            play(&plan, moves.collect::<Vec<_>>());
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_sequences_keep_the_promises(
        plan in 0..plans().len(),
        moves in proptest::collection::vec((0..MOVES.len(), 0.0..4.0f64), 0..40),
    ) {
        let moves = moves.into_iter().map(|(index, seconds)| match MOVES[index] {
            Move::Pass(_) => Move::Pass(seconds),
            Move::Oversleep(_) => Move::Oversleep(3.0 * seconds),
            other @ (Move::Happen(_) | Move::Find) => other,
        });
        play(&plans()[plan], moves);
    }

    #[test]
    fn a_stubborn_app_is_always_killed_within_the_grace_period(
        moves in proptest::collection::vec((0..MOVES.len(), 0.0..4.0f64), 0..20),
    ) {
        let plan = &plans()[0];
        // Whatever else happens, the app never ends.
        let moves = moves.into_iter().map(|(index, seconds)| match MOVES[index] {
            Move::Happen(MAIN_ENDED | Event::NothingLeft) | Move::Pass(_) => Move::Pass(seconds),
            Move::Oversleep(_) => Move::Oversleep(seconds),
            other @ (Move::Happen(_) | Move::Find) => other,
        });
        let stop = std::iter::once(Move::Happen(STOP));
        let watch = play(plan, stop.chain(moves).chain([Move::Pass(9.0)]));
        proptest::prop_assert!(watch.killed && watch.exited);
    }
}
