//! System calls of PID 1 that fail: of those that a full-featured run makes after the spawn, one at a
//! time, by `strace --inject`. PID 1 has to live, tell the app, and kill in time all the same.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrand::Rng;

use crate::harness::{Folder, Run, Said, address, file};
use crate::machine::Machine;
use crate::member::{Born, OnStop};
use crate::plan::{Act, Plan, READY, REPORT};
use crate::play;

/// A call that fails.
#[derive(Clone, Debug)]
pub struct Fault {
    pub call: String,
    error: &'static str,
    /// As strace counts from the start of a run's acts: `3`, `3..23`, `3+` (from then on).
    when: String,
}

const ERRORS: [&str; 6] = ["EPERM", "ENOMEM", "EINTR", "ENOSYS", "EAGAIN", "EMFILE"];

/// They do not return, or are no calls of ours.
const NEVER: [&str; 4] = ["exit_group", "exit", "rt_sigreturn", "restart_syscall"];

/// Without them for ever nobody can be told, or no stop signal is heard of.
const NEEDED: [&str; 4] =
    ["kill", "pidfd_send_signal", "rt_sigtimedwait", "rt_sigtimedwait_time64"];

/// What strace wrote, in the folder of a run.
const TRACE: &str = "trace";

impl Fault {
    fn new(random: &mut Rng, calls: &[String]) -> Fault {
        let call = calls[random.usize(0..calls.len())].clone();
        // A sandbox refuses each close(2) or none. Where it is some, std panics at the end of a folder.
        let error = match &*call {
            "close" => "EINTR",
            _ => ERRORS[random.usize(0..ERRORS.len())],
        };
        let first = random.u32(1..=6);
        // No kernel interrupts a call each time.
        let is_for_ever = error != "EINTR" && !NEEDED.contains(&&*call);
        let when = match random.u8(0..3) {
            0 => format!("{first}"),
            1 if is_for_ever => format!("{first}+"),
            _ => format!("{first}..{}", first + 20),
        };
        Fault { call, error, when }
    }

    /// Whether nobody can be signalled.
    pub fn is_of_signals(&self) -> bool {
        ["kill", "pidfd_send_signal", "pidfd_open"].contains(&&*self.call)
    }

    /// Whether nobody can be reaped from some time on.
    pub fn is_of_reaping(&self) -> bool {
        ["waitid", "wait4"].contains(&&*self.call)
    }

    fn words(&self) -> [String; 4] {
        let Fault { call, error, when } = self;
        // It has no error numbers: where there is no memory it returns what was the end of it (brk(2)).
        let outcome = if call == "brk" { "retval=0".into() } else { format!("error={error}") };
        let inject = format!("inject={call}:{outcome}:when={when}");
        ["-e".into(), format!("trace={call}"), "-e".into(), inject]
    }
}

/// Lets strace watch an init from outside of its namespace, and waits until it does. Without a fault
/// it only writes the calls down.
pub fn attach(run: &Run, fault: Option<&Fault>, folder: &Folder) -> Child {
    let mut command = Command::new("strace");
    command.args(["-p", &run.pid().to_string(), "-o"]).arg(folder.path(TRACE));
    command.args(fault.iter().flat_map(|fault| fault.words()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let strace = command.spawn();
    let mut strace =
        strace.unwrap_or_else(|error| panic!("strace: {error}; apt-get install strace"));
    let said = Arc::new(Said::default());
    said.listen("strace", strace.stderr.take().expect("a pipe"));
    said.hears_times("attached", 1);
    strace
}

/// Whether the call of a run was made, so that it failed.
pub fn was_met(folder: &Folder) -> bool {
    file(folder, TRACE).is_some_and(|trace| trace.contains("(INJECTED)"))
}

/// A run as PID 1 that uses as much as it can.
pub fn full(seed: u64, folder: &Folder) -> Plan {
    let random = &mut Rng::with_seed(seed);
    let mut plan = Plan::new(random.u64(..), folder);
    (plan.is_pid1, plan.is_early, plan.shell) = (true, false, None);
    plan.acts.retain(|(_, act)| !matches!(act, Act::Member(..) | Act::Freeze(_) | Act::Visit));
    plan.delay = [200, 700].map(Duration::from_millis);
    plan.margin = Duration::from_millis(500);
    plan.grace_period = Some(Duration::from_secs(3));
    (plan.stop_signal, plan.forwarded, plan.stops) = (15, 15, vec![15]);
    (plan.leftovers, plan.expected) = ("stop", vec![]);
    plan.hooks = [vec![], vec!["true", "sleep 0.1"]];
    plan.app.ends_after = None;
    if random.bool() {
        plan.app.on_stop = OnStop::Ends { drain: 200, code: 7 };
    }
    if random.bool() {
        // What only SIGKILL ends.
        let mut deaf = plan.app.clone();
        (deaf.name, deaf.born, deaf.on_stop) = ("m.deaf".into(), Born::Orphan, OnStop::Deaf);
        (deaf.children, deaf.waits, deaf.is_stopped) = (vec![], false, false);
        plan.app.children.push(deaf);
    }
    let words = "--log-format=json --delay=200ms..700ms --quiet-window=150ms --grace-period=3s \
                 --margin=500ms --on-stop=true --on-exit=true --warn-on-reap --verbose \
                 --quit-url=http://127.0.0.1:9/";
    plan.options = words.split_whitespace().map(str::to_owned).collect();
    let path = |name: &str| folder.path(name).display().to_string();
    plan.options.extend([
        "--on-exit=sleep 0.1".into(),
        format!("--traffic-port={}", watched_port()),
        format!("--ready-file={}", path(READY)),
        format!("--report-file={}", path(REPORT)),
        format!("--health-listen={}", address()),
    ]);
    plan
}

/// A port on which somebody listens as long as the runs last, so that there is something to watch.
fn watched_port() -> u16 {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| TcpListener::bind(address()).expect("a port"));
    listener.local_addr().expect("an address").port()
}

/// The same, with one of these calls failing.
pub fn plan(seed: u64, folder: &Folder, calls: &[String]) -> Plan {
    let mut plan = full(seed, folder);
    plan.fault = Some(Fault::new(&mut Rng::with_seed(seed), calls));
    plan
}

/// The calls that PID 1 makes in a full-featured run, once the app is ready.
pub fn calls(machine: &Machine) -> Vec<String> {
    let folder = Folder::new();
    let mut plan = full(1, &folder);
    plan.is_listed = true;
    play::play(&plan, 1, &folder, machine);
    let trace = file(&folder, TRACE).unwrap_or_default();
    let names = trace.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned()));
    let is_name =
        |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut calls: Vec<String> =
        names.filter(|name| is_name(name) && !NEVER.contains(&&**name)).collect();
    calls.sort_unstable();
    calls.dedup();
    assert!(calls.len() > 20, "no list of calls, but {calls:?} in {trace}");
    calls
}
