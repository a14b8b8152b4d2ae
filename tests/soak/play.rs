//! Plays a plan with the real binary, and keeps what was seen.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;

use crate::app;
use crate::faults;
use crate::harness::{
    APP, Ended, Folder, Init, MAX_LATENESS, Run, Said, TIMEOUT, children, eventually_or,
    is_program, process_state, runs, send, show, signals, status,
};
use crate::machine::Machine;
use crate::member::{Born, Member, OnStop};
use crate::plan::{Act, Plan};

/// What a run left to be judged.
pub struct Played {
    pub ended: Ended,
    /// The pid of the init, as the app sees it.
    pub init: i32,
    /// When stop signals were sent.
    pub stopped_at: Vec<Instant>,
    /// Pids of the app's processes to which we sent SIGKILL, as the app sees them.
    pub shot: Vec<i32>,
    /// Whether SIGKILL came from us to all of them, as nothing else would have ended the run.
    pub was_cleared: bool,
    /// For how long the init was frozen.
    pub frozen: Duration,
    /// How late the machine was meanwhile.
    pub machine_late: Duration,
    /// What of the app is there after the end, as we see it.
    pub left: Vec<i32>,
    /// What the one that came in from outside said.
    pub visitor: Vec<String>,
}

impl Played {
    /// All that was said, each line with the milliseconds since the init was started.
    pub fn timed(&self) -> String {
        let ms = |at: Instant| at.saturating_duration_since(self.ended.started_at).as_millis();
        let lines = self.ended.lines.iter();
        let lines =
            lines.map(|line| format!("{:>6} {}: {}\n", ms(line.at), line.source, line.text));
        let stops: Vec<_> = self.stopped_at.iter().map(|at| ms(*at)).collect();
        format!(
            "exit code {} at {}, stop signals at {stops:?}, the machine was late by {:?}, \
             pids that we shot: {:?}, visitor: {:?}\n{}",
            self.ended.code,
            ms(self.ended.at),
            self.machine_late,
            self.shot,
            self.visitor,
            lines.collect::<String>()
        )
    }
}

/// After its last act a run without a deadline has so long.
const REST: Duration = Duration::from_secs(3);

/// A shell or the init itself may have our words in its command line too: only what executes our own
/// program is of the app.
fn program() -> PathBuf {
    std::env::current_exe().expect("our own path")
}

fn words(mark: &str, stops: &[i32], member: &Member) -> Vec<String> {
    let member = serde_json::to_string(member).expect("plain values");
    let stops = serde_json::to_string(stops).expect("plain values");
    vec![program().display().to_string(), app::WORD.into(), mark.into(), stops, member]
}

pub fn play(plan: &Plan, seed: u64, folder: &Folder, machine: &Machine) -> Played {
    let mark = format!("{}-{seed}", std::process::id());
    let mut app = words(&mark, &plan.stops, &plan.app);
    if let Some(shell) = plan.shell {
        app.splice(0..0, ["sh", "-c", shell, "sh"].map(str::to_owned));
    }
    let mut init = Init::new(plan.is_pid1, env!("CARGO_BIN_EXE_reprieve").into());
    init.options.extend(plan.options.iter().map(Into::into));
    let run = init.app(app);
    let processes = Processes { mark };
    ready(plan, &run);
    let tracer = (plan.is_listed || plan.fault.is_some())
        .then(|| faults::attach(&run, plan.fault.as_ref(), folder));
    let init = if plan.is_pid1 { 1 } else { run.pid() };
    let began_at = Instant::now();
    let mut seen = Seen::default();
    for (after, act) in &plan.acts {
        let due = began_at + *after;
        while Instant::now() < due && !is_over(&run) {
            look_again_soon();
        }
        if is_over(&run) {
            break;
        }
        seen.act(*act, &run, plan, &processes);
    }
    let rests_until = Instant::now() + REST;
    while plan.grace_period.is_none() && !is_over(&run) {
        if Instant::now() >= rests_until {
            seen.was_cleared = true;
            processes.all().iter().for_each(|pid| send(*pid, libc::SIGKILL));
        }
        look_again_soon();
    }
    let visitors = std::mem::take(&mut seen.visitors);
    let stopped_at = &seen.stopped_at;
    let why = || {
        format!("the end\nstop signals: {stopped_at:?}, now {:?}\n{}", Instant::now(), doing(&run))
    };
    let waits_from = Instant::now();
    while !is_over(&run) {
        let now = Instant::now();
        let gives_up_at = waits_from + TIMEOUT + machine.lateness(waits_from, now);
        assert!(now < gives_up_at, "waited in vain for {}", why());
        look_again_soon();
    }
    let ended = run.ends();
    // It ends with what it traces.
    tracer.map(|mut tracer| tracer.wait());
    let left = processes.left();
    let visitor = visitors.iter().flat_map(|said| said.lines()).map(|line| line.text).collect();
    let machine_late = machine.lateness(ended.started_at, ended.at);
    let Seen { stopped_at, shot, was_cleared, frozen, .. } = seen;
    Played { ended, init, stopped_at, shot, was_cleared, frozen, machine_late, left, visitor }
}

/// The pace of looking, not a guess at when it will be so.
fn look_again_soon() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Waits until all have said that they are ready, or only until signals are kept (1.1).
fn ready(plan: &Plan, run: &Run) {
    if plan.is_early {
        eventually_or(
            || format!("an init that blocks signals; was said:\n{}", show(&run.lines())),
            || {
                let pid = run.pid_if_any()?;
                // First, as unshare blocks some for a moment in what is not the init yet.
                let is_init = is_program(pid, "reprieve");
                // What it waits for in rt_sigtimedwait(2) is not shown as blocked.
                let waits = || !children(pid).is_empty();
                let blocks = || signals(pid, "SigBlk") & 1 << (libc::SIGTERM - 1) != 0;
                (is_init && (blocks() || waits()) || is_over(run)).then_some(())
            },
        );
        return;
    }
    let all = plan.app.all();
    run.said.until("all of the app", |lines| {
        let ready = lines.iter().filter(|line| line.source == APP && line.text.contains(" ready "));
        // Who ends early may have told others to end before they were ready.
        let may_end = lines.iter().any(|line| line.text.contains(" ends "));
        (ready.count() == all.len() || may_end).then_some(())
    });
}

fn is_over(run: &Run) -> bool {
    // Nobody waits for it, or for unshare, before `ends`.
    process_state(run.child.id() as i32) == 'Z'
}

/// What the init does, where it does not end.
fn doing(run: &Run) -> String {
    let files = run.pid_if_any().into_iter().flat_map(|pid| {
        ["status", "syscall", "stack", "wchan"].map(|name| format!("/proc/{pid}/{name}"))
    });
    let texts = files.map(|file| {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| error.to_string());
        format!("{file}:\n{text}\n")
    });
    texts.chain([show(&run.lines())]).collect()
}

#[derive(Default)]
struct Seen {
    stopped_at: Vec<Instant>,
    shot: Vec<i32>,
    was_cleared: bool,
    frozen: Duration,
    visitors: Vec<Arc<Said>>,
}

impl Seen {
    fn act(&mut self, act: Act, run: &Run, plan: &Plan, processes: &Processes) {
        let Some(init) = run.pid_if_any() else { return };
        match act {
            Act::Stop => {
                self.stopped_at.push(Instant::now());
                send(init, plan.stop_signal);
            }
            Act::Signal(signal) => send(init, signal),
            Act::Member(signal, which) => {
                let all = processes.all();
                let Some(pid) = all.get(which % all.len().max(1)) else { return };
                if signal == libc::SIGKILL {
                    self.shot.extend(inner_pid(*pid));
                }
                send(*pid, signal);
            }
            Act::Freeze(time) => {
                send(init, libc::SIGSTOP);
                // How long it is frozen.
                std::thread::sleep(time);
                self.frozen += time;
                send(init, libc::SIGCONT);
            }
            Act::Visit => self.visitors.extend(visit(run, plan)),
        }
    }
}

/// Lets a process come in that nobody but SIGKILL ends, with a child; what it says is heard.
fn visit(run: &Run, plan: &Plan) -> Option<Arc<Said>> {
    let child = Member {
        name: "visitor.0".into(),
        born: Born::Child,
        on_stop: OnStop::Deaf,
        waits: false,
        is_stopped: false,
        ends_after: None,
        forks_every: None,
        children: vec![],
    };
    let visitor = Member { name: "visitor".into(), children: vec![child.clone()], ..child };
    // It goes with the namespace.
    let mut command = run.nsenter(&["--pid", "--mount"]);
    command.args(words("visitor", &plan.stops, &visitor)).stderr(Stdio::null());
    let said = Arc::new(Said::default());
    let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
    said.listen("visitor", child.stdout.take()?);
    std::thread::spawn(move || child.wait());
    Some(said)
}

/// The processes of one run's app.
struct Processes {
    mark: String,
}

impl Processes {
    /// Their pids as we see them, the lowest first; no zombies, which have no command line.
    fn all(&self) -> Vec<i32> {
        let program = program().display().to_string();
        let begins = [&program, app::WORD, &self.mark, ""].join("\0");
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut pids: Vec<i32> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                words.starts_with(begins.as_bytes())
            })
            .collect();
        pids.sort_unstable();
        pids
    }
}

impl Processes {
    /// Those that are there after the end; what SIGKILL has reached may take its time.
    fn left(&self) -> Vec<i32> {
        let ended_by = Instant::now() + MAX_LATENESS;
        loop {
            let left: Vec<i32> = self.all().into_iter().filter(|pid| runs(*pid)).collect();
            if left.is_empty() || Instant::now() >= ended_by {
                return left;
            }
            look_again_soon();
        }
    }
}

/// A pid as the innermost namespace has it.
fn inner_pid(pid: i32) -> Option<i32> {
    status(pid, "NSpid")?.split_whitespace().last()?.parse().ok()
}
