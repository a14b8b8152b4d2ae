//! A random run: options, an app, and what is done to both. All of it follows from the seed.

use std::time::Duration;

use fastrand::Rng;
use nix::libc;

use crate::faults::Fault;
use crate::harness::Folder;
use crate::member::{Born, Member, OnStop};

/// Everything that a run does.
#[derive(Debug)]
pub struct Plan {
    pub is_pid1: bool,
    pub options: Vec<String>,
    /// MIN and MAX of the delay.
    pub delay: [Duration; 2],
    pub grace_period: Option<Duration>,
    pub margin: Duration,
    pub stop_signal: i32,
    /// What the app gets for it; 0 is nothing.
    pub forwarded: i32,
    pub leftovers: &'static str,
    pub hooks: [Vec<&'static str>; 2],
    /// Codes that become 0.
    pub expected: Vec<i32>,
    /// A shell between the init and the app.
    pub shell: Option<&'static str>,
    /// What tells the app to stop.
    pub stops: Vec<i32>,
    pub app: Member,
    /// A system call of the init fails.
    pub fault: Option<Fault>,
    /// The system calls of the init are written down.
    pub is_listed: bool,
    /// Signals come before the app is ready.
    pub is_early: bool,
    /// What is done, and how long after the app is ready; in its order.
    pub acts: Vec<(Duration, Act)>,
}

/// What is done to a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// The stop signal, to the init.
    Stop,
    /// Another one, to the init.
    Signal(i32),
    /// A signal to one of the app's processes; which one, modulo how many there are.
    Member(i32, usize),
    /// The init is frozen for so long.
    Freeze(Duration),
    /// A process comes in from outside, as by `docker exec`.
    Visit,
}

const MS: Duration = Duration::from_millis(1);

/// The names of files in the folder of a run.
pub const READY: &str = "ready";
pub const REPORT: &str = "report";

/// Signals that are forwarded at once; those end an app that leaves the default action.
const OTHERS: [i32; 6] =
    [libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH, libc::SIGCONT, libc::SIGURG, 40];

/// What a shell runs between the init and the app.
const SHELLS: [&str; 4] =
    [r#""$@"; exit $?"#, r#""$@" & wait"#, r#"trap : USR1; "$@"; exit $?"#, r#""$@" | cat"#];

impl Plan {
    pub fn new(seed: u64, folder: &Folder) -> Plan {
        let random = &mut Rng::with_seed(seed);
        let is_pid1 = random.u8(0..4) > 0;
        let mut options: Vec<String> = vec!["--log-format=json".into()];
        let delay = delay(random, &mut options);
        let margin = random.u64(200..=1000) as u32 * MS;
        let grace_period =
            (random.u8(0..5) > 0).then(|| delay[1] + margin + random.u64(100..=2500) as u32 * MS);
        if let Some(grace_period) = grace_period {
            let [grace_period, margin] = [grace_period, margin].map(|time| time.as_millis());
            options.extend([
                format!("--grace-period={grace_period}ms"),
                format!("--margin={margin}ms"),
            ]);
        }
        let (stop_signal, forwarded) = signals(random, &mut options);
        let leftovers = *pick(random, &["stop", "stop", "wait", "kill"]);
        options.push(format!("--leftovers={leftovers}"));
        if leftovers == "stop" && one_in(random, 4) {
            options.push(format!("--leftovers-timeout={}ms", random.u64(100..=2000)));
        }
        let group = *pick(
            random,
            &[None, None, None, None, Some("--process-group"), Some("--single-child")],
        );
        options.extend(group.map(str::to_owned));
        let hooks = hooks(random, &mut options);
        files(random, &mut options, folder);
        let mut expected = Vec::new();
        if one_in(random, 4) {
            expected = vec![137, 143, 7];
            options.push("--expect-exit=137,143,7".into());
        }
        let shell = one_in(random, 4).then(|| *pick(random, &SHELLS));
        let mut stops = vec![libc::SIGTERM, stop_signal, forwarded];
        stops.retain(|signal| *signal > 0);
        let mut budget = random.usize(1..=10);
        let app = member(random, "m".into(), 0, &mut budget);
        let acts = acts(random, is_pid1);
        let is_early = one_in(random, 8);
        Plan {
            is_pid1,
            options,
            delay,
            grace_period,
            margin,
            stop_signal,
            forwarded,
            leftovers,
            hooks,
            expected,
            shell,
            stops,
            app,
            fault: None,
            is_listed: false,
            is_early,
            acts,
        }
    }

    /// When SIGKILL is due, counted from the stop signal.
    pub fn kill_after(&self) -> Option<Duration> {
        self.grace_period.map(|grace_period| grace_period.saturating_sub(self.margin))
    }
}

fn one_in(random: &mut Rng, n: u8) -> bool {
    random.u8(0..n) == 0
}

fn pick<'a, T>(random: &mut Rng, from: &'a [T]) -> &'a T {
    &from[random.usize(0..from.len())]
}

fn delay(random: &mut Rng, options: &mut Vec<String>) -> [Duration; 2] {
    let [min, max] = match random.u8(0..4) {
        0 => [0; 2],
        1 => [random.u64(0..400), random.u64(500..1500)],
        _ => [random.u64(1..=1500); 2],
    };
    if min == max {
        options.push(format!("--delay={max}ms"));
    } else {
        let window = random.u64(50..400);
        options.push(format!("--delay={min}ms..{max}ms"));
        options.push(format!("--quiet-window={window}ms"));
    }
    [min, max].map(Duration::from_millis)
}

/// The stop signal, and what is forwarded for it.
fn signals(random: &mut Rng, options: &mut Vec<String>) -> (i32, i32) {
    let (stop, name) = *pick(
        random,
        &[
            (libc::SIGTERM, "TERM"),
            (libc::SIGTERM, "TERM"),
            (libc::SIGQUIT, "QUIT"),
            (libc::SIGINT, "INT"),
            (37, "RTMIN+3"),
        ],
    );
    options.push(format!("--stop-signal={name}"));
    let forwarded = match random.u8(0..8) {
        0 => 0,
        1 => libc::SIGQUIT,
        2 => libc::SIGHUP,
        _ => stop,
    };
    if forwarded != stop {
        options.push(format!("--rewrite={name}:{forwarded}"));
    }
    (stop, forwarded)
}

fn hooks(random: &mut Rng, options: &mut Vec<String>) -> [Vec<&'static str>; 2] {
    const HOOKS: [&str; 5] =
        ["true", "false", "sleep 0.2", "sleep 30", "sh -c 'trap \"\" TERM; sleep 30'"];
    if one_in(random, 3) {
        options.push(format!("--hook-timeout={}ms", random.u64(50..=700)));
    } else if !one_in(random, 3) {
        return [vec![], vec![]];
    }
    ["--on-stop", "--on-exit"].map(|option| {
        let hooks: Vec<_> = (0..random.usize(0..3)).map(|_| *pick(random, &HOOKS)).collect();
        options.extend(hooks.iter().map(|hook| format!("{option}={hook}")));
        hooks
    })
}

fn files(random: &mut Rng, options: &mut Vec<String>, folder: &Folder) {
    let path = |name: &str| -> String { folder.path(name).display().to_string() };
    if one_in(random, 3) {
        options.push(format!("--ready-file={}", path(READY)));
    }
    if one_in(random, 3) {
        options.push(format!("--report-file={}", path(REPORT)));
    }
    for option in ["--warn-on-reap", "--verbose", "--on-repeat=ignore"] {
        if one_in(random, 5) {
            options.push(option.into());
        }
    }
    if one_in(random, 5) {
        options.push(format!("--health-listen={}", crate::harness::address()));
    }
}

fn member(random: &mut Rng, name: String, depth: usize, budget: &mut usize) -> Member {
    let waits = one_in(random, 6);
    let on_stop = match random.u8(0..10) {
        0 => OnStop::Deaf,
        1 => OnStop::Ignores,
        2 => OnStop::Dies,
        3..=4 if depth < 2 => OnStop::Master,
        _ => OnStop::Ends { drain: random.u64(0..1200), code: *pick(random, &[0, 0, 1, 7]) },
    };
    let mut children = Vec::new();
    *budget = budget.saturating_sub(1);
    while *budget > 0 && depth < 3 && children.len() < 4 && !one_in(random, 3) {
        children.push(member(random, format!("{name}.{}", children.len()), depth + 1, budget));
    }
    Member {
        born: *pick(random, &[Born::Child, Born::Child, Born::Orphan, Born::Daemon]),
        waits: waits && on_stop.is_heard(),
        is_stopped: depth > 0 && one_in(random, 10),
        ends_after: one_in(random, 8).then(|| random.u64(100..3000)),
        forks_every: one_in(random, 6).then(|| random.u64(1..30)),
        name,
        on_stop,
        children,
    }
}

fn acts(random: &mut Rng, is_pid1: bool) -> Vec<(Duration, Act)> {
    let stop_at = random.u64(0..1500);
    let mut acts = vec![(stop_at, Act::Stop)];
    if one_in(random, 3) {
        for _ in 0..random.usize(1..4) {
            acts.push((stop_at + random.u64(0..3000), Act::Stop));
        }
    }
    for _ in 0..random.usize(0..4) {
        let at = random.u64(0..stop_at + 3000);
        acts.push((at, Act::Signal(*pick(random, &OTHERS))));
    }
    if one_in(random, 3) {
        for _ in 0..random.usize(1..4) {
            let at = random.u64(0..stop_at + 3000);
            let signal =
                *pick(random, &[libc::SIGKILL, libc::SIGKILL, libc::SIGSTOP, libc::SIGCONT]);
            acts.push((at, Act::Member(signal, random.usize(..))));
        }
    }
    if one_in(random, 10) {
        let at = random.u64(0..stop_at + 2000);
        acts.push((at, Act::Freeze(Duration::from_millis(random.u64(10..3000)))));
    }
    if is_pid1 && one_in(random, 6) {
        acts.push((random.u64(0..stop_at + 1000), Act::Visit));
    }
    acts.sort_by_key(|(at, _)| *at);
    acts.into_iter().map(|(at, act)| (Duration::from_millis(at), act)).collect()
}
