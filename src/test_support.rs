//! What several unit tests need: a plan, the steps of a shutdown, and a wait for a condition.

use std::time::{Duration, Instant};

use crate::process::target::{Name, Reason, Swept, Target};
use crate::report::step::{Sender, Step};
use crate::report::timeline::Timeline;
use crate::shutdown::ending::Ending;
use crate::shutdown::event::{Note, Why};
use crate::shutdown::plan::{Delay, JobControl, Leftovers, LeftoversTimeout, OnRepeat, Plan};
use crate::signal::Signal;
use crate::tasks::task::{Done, Hooks, Occasion, Task};

/// Fifteen seconds of hold in a minute, and else what the options default to.
pub fn plan() -> Plan {
    Plan {
        delay: Delay::fixed(Duration::from_secs(15)),
        grace_period: Some(Duration::from_mins(1)),
        margin: Duration::from_secs(1),
        stop_signals: vec![Signal::TERM],
        rewrites: Vec::new(),
        on_repeat: OnRepeat::Hurry,
        leftovers: Leftovers::Stop,
        leftovers_timeout: LeftoversTimeout::Default,
        rehearse: None,
        job_control: JobControl::Absent,
        on_stop: None,
        on_exit: false,
    }
}

/// An on-stop hook.
pub fn hook() -> Task {
    let Hooks(mut hooks) = Hooks::parse("/bin/deregister --now").unwrap();
    Task::Hook(Occasion::OnStop, hooks.remove(0))
}

/// A request to a sidecar to quit.
pub fn quit() -> Task {
    Task::Quit("http://127.0.0.1:4191/shutdown".parse().unwrap())
}

pub fn name(pid: i32) -> Name {
    Name { pid, command: "app".into() }
}

#[expect(clippy::unnecessary_wraps, reason = "steps have a sender or none")]
pub fn outside() -> Option<Sender> {
    Some(Sender { pid: 0, uid: 0, command: None, queued: false })
}

/// A stop signal that is held for up to 15 s, and kills after 59 s.
pub fn began(sender: Option<Sender>, now: Instant) -> Step {
    let [forward_at, kill_at] = [15, 59].map(|seconds| now + Duration::from_secs(seconds));
    let (signal, may_end_at, kill_at) = (Signal::TERM, forward_at, Some(kill_at));
    Step::Began { signal, sender, may_end_at, forward_at, kill_at }
}

pub fn noted() -> Step {
    Step::Noted { signal: Signal::INT, sender: outside(), note: Note::StillHeld }
}

pub fn forwarded(why: Why) -> Step {
    forwarded_as(Signal::TERM, why)
}

pub fn forwarded_as(signal: Signal, why: Why) -> Step {
    Step::Forwarded { signal, why, target: Target::Main(Reason::NoShell) }
}

pub fn to(target: Target) -> Step {
    Step::Forwarded { signal: Signal::TERM, why: Why::DelayOver, target }
}

pub fn killed(pids: &[i32], trap_pending: bool) -> Step {
    killed_of(pids, trap_pending, false)
}

/// The same, where the app was among them.
pub fn killed_of(pids: &[i32], trap_pending: bool, of_app: bool) -> Step {
    Step::Killed { names: pids.iter().copied().map(name).collect(), trap_pending, of_app }
}

pub fn swept(pids: &[i32]) -> Step {
    let signalled = pids.iter().copied().map(name).collect();
    Step::Swept {
        signal: Signal::TERM,
        swept: Swept { signalled, ..Swept::default() },
        kill_at: None,
    }
}

pub fn exited(code: u8) -> Step {
    Step::MainEnded(Ending::Exited(code))
}

pub fn done(task: Task, how: Result<String, String>) -> Step {
    Step::TaskEnded(Done { task, how, took: Duration::from_secs(1) })
}

/// All the steps, each with its second, counted from the time that is returned with them.
pub fn recorded(plan: Plan, steps: Vec<(u64, Step)>) -> (Timeline, Instant) {
    let t0 = Instant::now();
    let mut timeline = Timeline::new(name(2), plan, t0);
    for (second, step) in steps {
        timeline.record(&step, t0 + Duration::from_secs(second));
    }
    (timeline, t0)
}

pub fn start(sender: Option<Sender>) -> Step {
    began(sender, Instant::now())
}

/// Long enough for any machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(began.elapsed() < TIMEOUT, "{what}: not in {TIMEOUT:?}");
        // Not to keep a CPU busy between two looks.
        std::thread::sleep(Duration::from_millis(5));
    }
}
