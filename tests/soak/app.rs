//! The app of a run: processes that say on stdout, each in one write, `NAME ready PID`,
//! `NAME got NUMBER from PID` and `NAME ends CODE`.

use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, pipe, setsid, write};

use crate::member::{Born, Member, OnStop};

/// Should a run fail to end it. A machine may be so busy that a run takes minutes.
const END: Duration = Duration::from_mins(10);

/// So many at most of one process: the runs beside it want to live too.
const MAX_ORPHANS: u32 = 200;

/// The word that makes the program of the runs an app; then come the mark of the run, the signals
/// that tell it to stop, and what it is.
pub const WORD: &str = "--app";

/// The end of the pipe into which the handler writes.
static SIGNALS: AtomicI32 = AtomicI32::new(-1);

/// Number and sender of a signal.
type Got = [i32; 2];

pub fn play(stops: &str, member: &str) -> ! {
    let stops: Vec<i32> = serde_json::from_str(stops).expect("signals");
    let member: Member = serde_json::from_str(member).expect("a member");
    // SAFETY: nothing but a timer is set. It ends those too that say nothing.
    unsafe { libc::alarm(END.as_secs() as u32) };
    live(&member, &stops)
}

/// A process from its first instruction on. What comes before it is ready stays pending.
fn live(member: &Member, stops: &[i32]) -> ! {
    quiet().thread_block().expect("a mask");
    let children: Vec<Pid> =
        member.children.iter().filter_map(|child| start(child, stops)).collect();
    let mut signals = Signals::new(member, stops);
    if !member.waits {
        SigSet::empty().thread_set_mask().expect("a mask");
    }
    say(&format!("{} ready {}", member.name, getpid()));
    if member.is_stopped {
        // SAFETY: no pointer is involved.
        unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
    }
    let began_at = Instant::now();
    let mut ends_at = member.ends_after.map(|ms| began_at + Duration::from_millis(ms));
    let (mut was_told, mut orphans) = (false, 0);
    loop {
        if ends_at.is_some_and(|at| Instant::now() >= at) {
            ends(member, code(member));
        }
        if was_told && member.on_stop == OnStop::Master && !any_is_left(&children) {
            ends(member, 0);
        }
        if member.forks_every.is_some() && orphans < MAX_ORPHANS {
            orphans += 1;
            leave_an_orphan();
        }
        let pace = Duration::from_millis(member.forks_every.unwrap_or(20));
        let Some([signal, sender]) = signals.next(pace) else { continue };
        say(&format!("{} got {signal} from {sender}", member.name));
        if !stops.contains(&signal) || std::mem::replace(&mut was_told, true) {
            continue;
        }
        match member.on_stop {
            OnStop::Ends { drain, .. } => {
                let drained_at = Instant::now() + Duration::from_millis(drain);
                ends_at = Some(ends_at.map_or(drained_at, |at| at.min(drained_at)));
            }
            OnStop::Master => children.iter().for_each(|child| {
                let _ = kill(*child, Signal::SIGTERM);
            }),
            OnStop::Deaf | OnStop::Ignores | OnStop::Dies => {}
        }
    }
}

fn code(member: &Member) -> i32 {
    match member.on_stop {
        OnStop::Ends { code, .. } => code,
        _ => 0,
    }
}

fn ends(member: &Member, code: i32) -> ! {
    say(&format!("{} ends {code}", member.name));
    // SAFETY: nothing of ours runs at exit.
    unsafe { libc::_exit(code) }
}

/// Starts a member, and returns its pid if it is a child.
fn start(member: &Member, stops: &[i32]) -> Option<Pid> {
    // SAFETY: there is one thread.
    let child = match unsafe { fork() }.ok()? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            if member.born != Born::Child {
                // SAFETY: as above.
                match unsafe { fork() } {
                    // SAFETY: nothing of ours runs at exit.
                    Ok(ForkResult::Parent { .. }) | Err(_) => unsafe { libc::_exit(0) },
                    Ok(ForkResult::Child) => {}
                }
            }
            if member.born == Born::Daemon {
                let _ = setsid();
            }
            // SAFETY: nothing but a timer is set, which no child inherits.
            unsafe { libc::alarm(END.as_secs() as u32) };
            live(member, stops)
        }
    };
    if member.born == Born::Child {
        return Some(child);
    }
    let _ = waitpid(child, None);
    None
}

fn any_is_left(children: &[Pid]) -> bool {
    let lives = |child: &Pid| {
        matches!(waitpid(*child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
    };
    children.iter().filter(|child| lives(child)).count() > 0
}

/// All signals but for the one that ends us in any case.
fn quiet() -> SigSet {
    let mut set = SigSet::all();
    set.remove(Signal::SIGALRM);
    set
}

/// It hears of no signal, since its handlers would write into our pipe.
fn leave_an_orphan() {
    let former = quiet().thread_swap_mask(SigmaskHow::SIG_BLOCK).expect("a mask");
    // SAFETY: there is one thread, and nothing of ours runs at exit.
    unsafe {
        match fork() {
            Ok(ForkResult::Parent { child }) => drop(waitpid(child, None)),
            Ok(ForkResult::Child) => {
                let _ = fork();
                libc::_exit(0);
            }
            Err(_) => {}
        }
    }
    former.thread_set_mask().expect("a mask");
}

/// In one write, which the kernel does not tear (pipe(7)). Whoever reads may be gone.
fn say(line: &str) {
    let _ = write(std::io::stdout(), format!("{line}\n").as_bytes());
}

/// How a process hears of signals.
enum Signals {
    Waits,
    Caught(std::fs::File),
}

impl Signals {
    fn new(member: &Member, stops: &[i32]) -> Signals {
        let (reader, writer) = pipe().expect("a pipe");
        SIGNALS.store(writer.into_raw_fd(), Ordering::Relaxed);
        for signal in 1..=64 {
            let left_alone = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGALRM];
            // What the C libraries keep for themselves is refused, and nothing to us.
            let action = match member.on_stop {
                _ if left_alone.contains(&signal) => libc::SIG_DFL,
                OnStop::Ignores if stops.contains(&signal) => libc::SIG_IGN,
                OnStop::Dies => libc::SIG_DFL,
                _ => wrote as *const () as usize,
            };
            // SAFETY: plain integers, of which all may be 0; the handler only writes.
            unsafe {
                let mut act: libc::sigaction = std::mem::zeroed();
                (act.sa_sigaction, act.sa_flags) = (action, libc::SA_SIGINFO | libc::SA_RESTART);
                libc::sigfillset(&raw mut act.sa_mask);
                libc::sigaction(signal, &raw const act, null_mut());
            }
        }
        match member.waits {
            true => Signals::Waits,
            false => Signals::Caught(reader.into()),
        }
    }

    fn next(&mut self, within: Duration) -> Option<Got> {
        let ms = within.as_millis() as i32;
        match self {
            // SAFETY: the structures are the kernel's, and live for the call.
            Signals::Waits => unsafe {
                let mut set = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::sigdelset(&raw mut set, libc::SIGALRM);
                // Else it would hurry on with each orphan that it leaves.
                libc::sigdelset(&raw mut set, libc::SIGCHLD);
                let time =
                    libc::timespec { tv_sec: 0, tv_nsec: libc::c_long::from(ms) * 1_000_000 };
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let signal = libc::sigtimedwait(&raw const set, &raw mut info, &raw const time);
                (signal > 0).then(|| [signal, info.si_pid()])
            },
            Signals::Caught(pipe) => {
                let mut poll =
                    libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one structure, as told.
                if unsafe { libc::poll(&raw mut poll, 1, ms) } < 1 {
                    return None;
                }
                let mut got = [0; 8];
                pipe.read_exact(&mut got).ok()?;
                let [signal, sender] = [0, 4]
                    .map(|at| i32::from_ne_bytes(std::array::from_fn(|index| got[at + index])));
                Some([signal, sender])
            }
        }
    }
}

/// The handler: nothing is merged that the kernel does not merge.
extern "C" fn wrote(signal: i32, info: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: the kernel gives a siginfo_t (SA_SIGINFO), and write(2) may be called here.
    unsafe {
        let got: Got = [signal, (*info).si_pid()];
        libc::write(SIGNALS.load(Ordering::Relaxed), got.as_ptr().cast(), size_of::<Got>());
    }
}
