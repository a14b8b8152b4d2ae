//! The app and all that descends from it: who is the main child, who is left, and how signals reach
//! them.

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, getpid, getppid};
use tracing::warn;

use crate::process::helper;
use crate::process::proc::{self, Process};
use crate::process::send::{kill, send};
use crate::process::shell::{self, Image};
use crate::process::target::{Name, Reason, Swept, Target};
use crate::shutdown::ending::Ending;
use crate::signal::Signal;

/// Whom a forwarded signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The main child; its process group where it is a shell that would not pass the signal on.
    Automatic,
    MainChild,
    ProcessGroup,
}

/// Before the spawn: makes orphans of ours come to us also where we are not PID 1, and asks for a
/// signal when our own parent dies (prctl(2)).
pub fn adopt_orphans(parent_death_signal: Option<Signal>) {
    if getpid() != Pid::from_raw(1)
        && let Err(errno) = prctl::set_child_subreaper(true)
    {
        warn!(event = "no_subreaper", "cannot adopt orphans: {}", errno.desc());
    }
    let Some(signal) = parent_death_signal else {
        return;
    };
    // It is 0 for PID 1 of a container, so only a change shows that the parent has died.
    let parent = getppid();
    // SAFETY: neither call takes a pointer. Not nix's, whose signals know no real-time ones.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal.number());
        if getppid() != parent {
            // It has just died: what was asked for would not come any more.
            libc::raise(signal.number());
        }
    }
}

/// A process of ours beside the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// A hook, or a request to a sidecar.
    Task,
    /// It answers health probes.
    Responder,
}

/// What reaping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// The main child has ended.
    Main(Ending),
    /// The main child was stopped by this signal.
    MainStopped(Signal),
    /// A process has ended that became our child when its parent ended.
    Orphan,
    /// A process of ours beside the app has ended.
    Helper(Helper, Ending),
    /// There is nothing more to reap, and children of ours are still there.
    SomeLeft,
    /// No child of ours is there any more.
    NothingLeft,
}

/// Us, the main child, and all that descends from us.
pub struct Family {
    us: i32,
    /// Until it is reaped; from then on its pid may be another's.
    main: Option<i32>,
    main_command: String,
    /// The main child leads a process group of its own.
    group: i32,
    aim: Aim,
    warn_on_reap: bool,
    /// The stop signal went to the whole group, whose members we do not all know.
    group_signalled: bool,
    /// The stop signal went to a shell that has a trap for it.
    trap_signalled: bool,
    /// The end of the group was reported.
    group_end_reported: bool,
    /// Those whom a SIGKILL to all found so far.
    killed: Option<Vec<Name>>,
    /// What the main child executed when it was last seen to be no shell.
    no_shell: Option<Image>,
    /// The processes of ours beside the app, each of which leads a group of its own.
    helpers: Vec<(Helper, i32)>,
}

impl Family {
    pub fn new(main: i32, aim: Aim, warn_on_reap: bool) -> Family {
        let us = std::process::id() as i32;
        Family {
            us,
            main: Some(main),
            main_command: "the app".into(),
            group: main,
            aim,
            warn_on_reap,
            group_signalled: false,
            trap_signalled: false,
            group_end_reported: false,
            killed: None,
            no_shell: None,
            helpers: Vec::new(),
        }
    }

    /// What a log calls the main child: the program that it executes now, or executed last.
    pub fn main_name(&mut self) -> Name {
        if let Some(command) = self.main.and_then(proc::command) {
            self.main_command = command;
        }
        Name { pid: self.group, command: self.main_command.clone() }
    }

    /// The main child's process group, which a terminal can have in its foreground.
    pub fn main_group(&self) -> i32 {
        self.group
    }

    /// Takes in a process of ours beside the app.
    pub fn adopt(&mut self, helper: Helper, pid: i32) {
        self.helpers.push((helper, pid));
    }

    /// Takes a process of ours beside the app for a leftover.
    pub fn disown(&mut self, helper: Helper) {
        self.helpers.retain(|(kind, _)| *kind != helper);
    }

    /// Sends a signal to a process of ours beside the app, and to its group.
    pub fn signal(&self, helper: Helper, signal: Signal) {
        for (_, pid) in self.helpers.iter().filter(|(kind, _)| *kind == helper) {
            kill_helper(*pid, signal);
        }
    }

    /// Ends the processes of ours beside the app. With PID 1 the kernel ends them.
    pub fn end_helpers(&mut self) {
        for (_, pid) in self.helpers.drain(..).filter(|_| self.us != 1) {
            kill_helper(pid, Signal::KILL);
            helper::reap(pid, 0);
        }
    }

    /// Reaps one child, and returns what happened to it.
    ///
    /// The status is decoded here, since nix's `waitpid` answers EINVAL for a child that a
    /// real-time signal killed, after the kernel has forgotten it.
    pub fn reap(&mut self) -> Reaped {
        loop {
            let mut status = 0;
            // SAFETY: the kernel writes one integer.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
            let none_ended = match pid {
                0 => Some(Reaped::SomeLeft),
                -1 if Errno::last() == Errno::EINTR => continue,
                -1 => Some(Reaped::NothingLeft),
                _ => None,
            };
            let pid = match none_ended {
                None => pid,
                Some(none_ended) => match self.reap_helper(&mut status) {
                    Some(pid) => pid,
                    None => return none_ended,
                },
            };
            if let Some(reaped) = self.reaped(pid, status) {
                return reaped;
            }
        }
    }

    /// What became of a child; nothing where another than the main child was stopped.
    fn reaped(&mut self, pid: i32, status: i32) -> Option<Reaped> {
        let is_main = self.main == Some(pid);
        if libc::WIFSTOPPED(status) {
            let signal = Signal::new(libc::WSTOPSIG(status)).filter(|_| is_main);
            return signal.map(Reaped::MainStopped);
        }
        let ending = match Signal::new(libc::WTERMSIG(status)) {
            Some(signal) if libc::WIFSIGNALED(status) => Ending::Signaled(signal),
            _ => Ending::Exited(libc::WEXITSTATUS(status) as u8),
        };
        if is_main {
            self.main = None;
            return Some(Reaped::Main(ending));
        }
        if let Some(index) = self.helpers.iter().position(|(_, helper)| *helper == pid) {
            let (helper, _) = self.helpers.swap_remove(index);
            return Some(Reaped::Helper(helper, ending));
        }
        if self.warn_on_reap {
            warn!(event = "reaped", "reaped the orphan pid {pid}: {ending}");
        }
        Some(Reaped::Orphan)
    }

    /// Reaps a process of ours that executes nothing: the kernel leaves it out unless `__WCLONE` asks
    /// for it.
    fn reap_helper(&self, status: &mut i32) -> Option<i32> {
        if self.helpers.is_empty() {
            return None;
        }
        // SAFETY: the kernel writes one integer.
        let pid = unsafe { libc::waitpid(-1, status, libc::WNOHANG | libc::__WCLONE) };
        (pid > 0).then_some(pid)
    }

    /// The main child and all that descends from us, but for what is ours beside the app; as far as
    /// /proc shows them.
    fn descendants(&self) -> Vec<Process> {
        let helpers: Vec<i32> = self.helpers.iter().map(|(_, pid)| *pid).collect();
        proc::descendants(self.us, &helpers)
    }

    /// Sends a signal to the main child or its group; to what is left, once that is gone.
    pub fn forward(&mut self, signal: Signal, is_stop: bool) -> Target {
        let Some(main) = self.main else {
            let left = self.descendants();
            let reached = left.iter().filter(|process| send(process, signal)).count();
            return Target::Leftovers(reached);
        };
        let target = self.target(main, signal);
        let to_group = matches!(target, Target::Group(_));
        let reached = to_group && kill(-self.group, signal, "the process group of the main child");
        // It may have left the group that it led.
        if !reached || getpgid(Some(Pid::from_raw(main))) != Ok(Pid::from_raw(self.group)) {
            kill(main, signal, "the main child");
        }
        self.group_signalled |= is_stop && to_group;
        self.trap_signalled |= is_stop && matches!(target, Target::Main(Reason::ShellWithTrap(_)));
        target
    }

    /// A shell without a trap for this signal would die of it or ignore it, and what it runs
    /// would never hear. It is looked at anew when it executes something else: the app, mostly.
    fn target(&mut self, main: i32, signal: Signal) -> Target {
        match self.aim {
            Aim::MainChild => Target::Main(Reason::Option),
            Aim::ProcessGroup => Target::Group(Reason::Option),
            Aim::Automatic if self.no_shell.as_ref().is_some_and(Image::is_current) => {
                Target::Main(Reason::NoShell)
            }
            Aim::Automatic => match self.shell(main) {
                None => Target::Main(Reason::NoShell),
                Some(shell) => match shell::has_trap(&shell, main, signal) {
                    Some(false) => Target::Group(Reason::ShellWithoutTrap(shell)),
                    Some(true) => Target::Main(Reason::ShellWithTrap(shell)),
                    None => Target::Group(Reason::OpaqueShell(shell)),
                },
            },
        }
    }

    /// The name of the shell that the main child is; what is none is remembered.
    fn shell(&mut self, main: i32) -> Option<String> {
        let image = Image::of(main);
        let shell = shell::of(main);
        self.no_shell = image.filter(|image| shell.is_none() && image.is_current());
        shell
    }

    /// Sends a signal to all that is left and has not had the stop signal yet, and continues what
    /// is stopped, so that it can act on it.
    pub fn sweep(&mut self, signal: Signal) -> Swept {
        let mut swept = Swept::default();
        if self.nothing_left() {
            return swept;
        }
        for process in self.descendants() {
            let has_it = self.group_signalled && process.group == self.group;
            let name = Name::from(&process);
            if has_it {
                if process.stopped {
                    send(&process, Signal::CONT);
                }
                swept.signalled_before.push(name);
            } else if send(&process, signal) {
                send(&process, Signal::CONT);
                swept.signalled.push(name);
            } else if process.is_still_there() {
                swept.refused.push(name);
            }
        }
        swept
    }

    /// Sends SIGKILL to all that is left, and returns whom it found that no such call found before,
    /// if anyone. To be repeated while something is left, since it may fork in the meantime. Without
    /// /proc nobody has a name: then the list is empty.
    pub fn kill_all(&mut self) -> Option<Vec<Name>> {
        if self.nothing_left() {
            return None;
        }
        let left = self.descendants();
        if self.us == 1 {
            // Visitors and helpers too: they end with us in any case.
            kill(-1, Signal::KILL, "all processes");
        } else {
            self.kill_each(&left);
        }
        let names: Vec<Name> = left.iter().map(Name::from).collect();
        // Else there were only zombies, which wait for us.
        let anyone = !names.is_empty() || proc::command(self.us).is_none();
        if anyone { self.not_yet_killed(names) } else { None }
    }

    /// What kill(-1) would do where we are PID 1.
    fn kill_each(&self, left: &[Process]) {
        if let Some(main) = self.main {
            // Needs no /proc, and an unreaped child's pid cannot be another's.
            kill(-self.group, Signal::KILL, "the process group of the main child");
            kill(main, Signal::KILL, "the main child");
        }
        for process in left {
            send(process, Signal::KILL);
        }
        for (_, pid) in &self.helpers {
            kill_helper(*pid, Signal::KILL);
        }
    }

    /// Those that are new, or nothing where none is.
    fn not_yet_killed(&mut self, mut names: Vec<Name>) -> Option<Vec<Name>> {
        match &mut self.killed {
            None => self.killed = Some(names.clone()),
            Some(killed) => {
                names.retain(|name| !killed.contains(name));
                if names.is_empty() {
                    return None;
                }
                killed.extend_from_slice(&names);
            }
        }
        Some(names)
    }

    /// The main child and all that is left beside it.
    pub fn pids(&self) -> Vec<i32> {
        self.descendants().iter().map(|process| process.pid).collect()
    }

    /// Who is left now.
    pub fn left(&self) -> Vec<Name> {
        self.descendants().iter().map(Name::from).collect()
    }

    /// Whether the main child may exit on this signal. A window's new size ends only an app that
    /// catches SIGWINCH: its default is to be ignored (signal(7)).
    pub fn main_may_exit_on(&self, signal: Signal) -> bool {
        let ignores = |main| proc::catches(main, signal) == Some(false);
        signal != Signal::WINCH || !self.main.is_some_and(ignores)
    }

    /// Whether the main child is a shell that has got the stop signal and waits for a command: it
    /// runs its trap only after that.
    pub fn trap_is_pending(&self) -> bool {
        let has_children = |main| !proc::descendants(main, &[]).is_empty();
        self.trap_signalled && self.main.is_some_and(has_children)
    }

    /// Whether the last process of a group that got the stop signal has ended. It is said once.
    pub fn group_has_ended(&mut self) -> bool {
        let waits = self.group_signalled && self.main.is_none() && !self.group_end_reported;
        self.group_end_reported |= waits && self.group_is_empty();
        waits && self.group_end_reported
    }

    fn group_is_empty(&self) -> bool {
        // SAFETY: kill takes no pointer; the signal 0 only asks.
        let sent = unsafe { libc::kill(-self.group, 0) };
        sent == -1 && Errno::last() == Errno::ESRCH
    }

    /// Whether the main child has ended and is not yet reaped.
    pub fn main_has_ended(&self) -> bool {
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        self.main.is_some_and(|main| {
            waitid(Id::Pid(Pid::from_raw(main)), peek) != Ok(WaitStatus::StillAlive)
        })
    }

    /// The kernel's word for it, which needs no /proc: orphans are our children, as hooks are; the other
    /// processes of ours it leaves out.
    pub fn nothing_left(&self) -> bool {
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        waitid(Id::All, peek) == Err(Errno::ECHILD)
    }
}

/// Sends a signal to a process of ours beside the app, which is not reaped, and to its group.
fn kill_helper(pid: i32, signal: Signal) {
    kill(-pid, signal, "a process of ours");
    // A hook may leave the group that it led.
    if getpgid(Some(Pid::from_raw(pid))) != Ok(Pid::from_raw(pid)) {
        kill(pid, signal, "a process of ours");
    }
}

#[cfg(test)]
mod tests;
