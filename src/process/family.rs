//! The app and all that descends from it: who is the main child, who is left, and how signals reach
//! them.

use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Pid, getpgid};
use tracing::warn;

use crate::process::filter::Role;
use crate::process::helpers::{Helper, Helpers};
use crate::process::killed::Killed;
use crate::process::proc::{self, Census, Process, Signals};
use crate::process::reap::{self, Status};
use crate::process::send::{Sent, kill, send};
use crate::process::shell::{self, Image};
use crate::process::target::{Aim, Name, Reason, Swept, Target};
use crate::process::topmost::{self, Look, Topmost};
use crate::process::wait::Wait;
use crate::shutdown::ending::Ending;
use crate::shutdown::event::{ENDING, Looked};
use crate::signal::Signal;

/// What the app has been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// To end, by a signal that is no stop signal; long ago perhaps.
    ToEnd,
    /// To stop.
    ToStop,
}

/// Whom a signal went to that is no stop signal, and what a look found, if there was one.
type Forwarded = (Target, Option<Looked>);

/// What reaping found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// The main child has ended.
    Main(Ending),
    /// The main child was stopped by this signal.
    MainStopped(Signal),
    /// A process has ended that stood for the main child, which had ended before it.
    StandIn(Name, Ending),
    /// A process has ended that became our child when its parent ended.
    Orphan,
    /// A process of ours beside the app has ended.
    Helper(Helper, Ending),
    /// Another than the main child was stopped.
    OtherStopped,
    /// There is nothing more to reap, and children of ours are still there.
    SomeLeft,
    /// No child of ours is there any more.
    NothingLeft,
    /// The kernel, or a sandbox, refuses to say.
    Failed(Errno),
}

/// Us, the main child, and all that descends from us.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Family {
    us: i32,
    /// Until it is reaped; from then on its pid may be another's.
    main: Option<i32>,
    main_command: String,
    /// The main child leads a process group of its own.
    group: i32,
    aim: Aim,
    warn_on_reap: bool,
    /// Who was signalled, and whose turn comes later.
    topmost: Topmost,
    /// What was forwarded when the stop signal was.
    stop_signal: Signal,
    asked: Asked,
    /// The stop signal went to the whole group, whose members we do not all know.
    group_signalled: bool,
    /// The stop signal went to a shell that has a trap for it.
    trap_signalled: bool,
    /// The stop signal went to the main child while /proc did not show it, so that nobody has a record of it.
    main_told_unseen: bool,
    /// The end of the group was reported.
    group_end_reported: bool,
    killed: Killed,
    /// Looks go on until then at most.
    until: Option<Instant>,
    /// The kernel tells us which children are stopped: there is a terminal.
    hears_of_stops: bool,
    /// What the main child executed when it was last seen to be no shell.
    no_shell: Option<Image>,
    /// The processes of ours beside the app, each of which leads a group of its own.
    helpers: Helpers,
}

impl Family {
    /// The main child has just been started. Stops are only asked for where there is a terminal: many
    /// processes that are stopped and continued again and again would keep us busy.
    pub fn new(main: i32, aim: Aim, warn_on_reap: bool, hears_of_stops: bool) -> Family {
        let us = std::process::id() as i32;
        Family {
            us,
            main: Some(main),
            main_command: "the app".into(),
            group: main,
            aim,
            warn_on_reap,
            topmost: Topmost::default(),
            stop_signal: Signal::TERM,
            asked: Asked::Nothing,
            group_signalled: false,
            trap_signalled: false,
            main_told_unseen: false,
            group_end_reported: false,
            killed: Killed::default(),
            until: None,
            hears_of_stops,
            no_shell: None,
            helpers: Helpers::default(),
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
        self.helpers.add(helper, pid);
    }

    /// Takes a process of ours beside the app for a leftover.
    pub fn disown(&mut self, helper: Helper) {
        self.helpers.forget(helper);
    }

    /// Sends a signal to a process of ours beside the app, and to its group.
    pub fn signal(&self, helper: Helper, signal: Signal) {
        self.helpers.signal(helper, signal);
    }

    /// Sends SIGKILL to the processes of ours beside the app. With PID 1 the kernel ends them.
    pub fn kill_helpers(&self) {
        if self.us != 1 {
            self.helpers.kill();
        }
    }

    /// Waits a moment for the end of those processes.
    pub fn await_helpers(&mut self, wait: &mut Wait) {
        if self.us != 1 {
            self.helpers.await_end(wait);
        }
    }

    /// Looks go on until then at most: SIGKILL is due.
    pub fn look_until(&mut self, until: Option<Instant>) {
        self.topmost.look_until(until);
        self.until = until;
    }

    /// Reaps one child, and returns what happened to it.
    pub fn reap(&mut self) -> Reaped {
        let stops = if self.hears_of_stops { libc::WUNTRACED } else { 0 };
        let none_ended = match reap::take(stops) {
            Ok(Some((pid, status))) => return self.reaped(pid, status),
            Ok(None) => Reaped::SomeLeft,
            Err(Errno::ECHILD) => Reaped::NothingLeft,
            Err(errno) => Reaped::Failed(errno),
        };
        self.helpers.reap().map_or(none_ended, |(pid, status)| self.reaped(pid, status))
    }

    /// What became of a child.
    fn reaped(&mut self, pid: i32, status: Status) -> Reaped {
        let is_main = self.main == Some(pid);
        let ending = match status {
            Status::Ended(ending) => ending,
            Status::Stopped(signal) if is_main => return Reaped::MainStopped(signal),
            Status::Stopped(_) => return Reaped::OtherStopped,
        };
        self.killed.reaped(pid, ending);
        let stand_in = self.topmost.reaped(pid, ending);
        if is_main {
            self.main = None;
            return Reaped::Main(ending);
        }
        if let Some(name) = stand_in {
            return Reaped::StandIn(name, ending);
        }
        if let Some(helper) = self.helpers.take(pid) {
            return Reaped::Helper(helper, ending);
        }
        if self.warn_on_reap {
            warn!(event = "reaped", "reaped the orphan pid {pid}: {ending}");
        }
        Reaped::Orphan
    }

    /// The main child and all that descends from us, but for what is ours beside the app; as far as
    /// /proc shows them until then.
    fn census(&self, until: Option<Instant>) -> Census {
        proc::census(self.us, &self.helpers.pids(), until)
    }

    /// Our children but for the processes of ours beside the app: what is topmost. Zombies too.
    fn children(&self) -> Vec<i32> {
        let mut children = proc::children(self.us);
        children.retain(|pid| !self.helpers.have(*pid));
        children
    }

    /// Sends a stop signal to the main child or its group, and once the main child has ended to those
    /// that stand for it.
    pub fn forward_stop(&mut self, signal: Signal, now: Instant) -> (Target, Looked) {
        self.stop_signal = signal;
        let mut children = self.children();
        let Some(main) = self.main else {
            let stand_ins = self.topmost.stand_ins(&children);
            let reached = stand_ins.iter().filter(|process| send(process, signal) == Sent::Yes);
            let target = Target::StandIns(reached.map(Name::from).collect());
            let looked = self.look(signal, Role::StandIn, now).looked;
            return (target, looked);
        };
        children.retain(|pid| *pid != main);
        self.forget_who_was_asked();
        self.topmost.begin(&children);
        let target = match self.aim {
            Aim::ProcessGroup => {
                self.signal_group(main, signal);
                self.group_signalled = true;
                Target::Group(Reason::Option)
            }
            Aim::MainChild => {
                kill(main, signal, "the main child");
                Target::Main(Reason::Option)
            }
            Aim::Automatic => signal_by_rule(&mut self.topmost, main, signal, now),
        };
        if let Some(process) = Process::read(main).filter(|_| self.aim != Aim::Automatic) {
            self.topmost.record_main(&process, signal);
        }
        self.trap_signalled |= matches!(target, Target::Main(Reason::ShellWithTrap(_)));
        self.main_told_unseen |= matches!(target, Target::Main(_)) && !self.topmost.has(main);
        (target, self.topmost.looked_after_main(main, now))
    }

    /// Who was asked to end is to get what is sent now all the same.
    fn forget_who_was_asked(&mut self) {
        if self.asked == Asked::ToEnd {
            self.topmost.forget();
        }
        self.asked = Asked::ToStop;
    }

    fn signal_group(&self, main: i32, signal: Signal) {
        let reached = kill(-self.group, signal, "the process group of the main child");
        // It may have left the group that it led.
        if !reached || getpgid(Some(Pid::from_raw(main))) != Ok(Pid::from_raw(self.group)) {
            kill(main, signal, "the main child");
        }
    }

    /// Sends a signal that is no stop signal to the main child; to what is left, once that is gone.
    pub fn forward(&mut self, signal: Signal, by_kernel: bool, now: Instant) -> Forwarded {
        // The whole way of nearly all signals.
        if let Some(main) = self.main
            && self.aim == Aim::Automatic
            && !ENDING.contains(signal)
            && self.no_shell.as_ref().is_some_and(Image::is_current)
        {
            kill(main, signal, "the main child");
            return (Target::Main(Reason::NoShell), None);
        }
        self.forward_by_a_look(signal, by_kernel, now)
    }

    /// The same where more has to be known than that the main child is still no shell.
    #[cold]
    #[inline(never)]
    fn forward_by_a_look(&mut self, signal: Signal, by_kernel: bool, now: Instant) -> Forwarded {
        let Some(main) = self.main else {
            let topmost = self.children().into_iter().filter_map(Process::read);
            let reached = topmost.filter(|process| send(process, signal) == Sent::Yes).count();
            return (Target::Leftovers(reached), None);
        };
        let target = match self.aim {
            Aim::MainChild => {
                kill(main, signal, "the main child");
                Target::Main(Reason::Option)
            }
            Aim::ProcessGroup => {
                self.signal_group(main, signal);
                Target::Group(Reason::Option)
            }
            // Whoever sends these wants an end, so they go the way of a stop signal.
            Aim::Automatic if ENDING.contains(signal) => {
                return self.forward_end(main, signal, now);
            }
            Aim::Automatic => self.forward_past_shells(main, signal, by_kernel),
        };
        (target, None)
    }

    fn forward_end(&mut self, main: i32, signal: Signal, now: Instant) -> Forwarded {
        if self.asked == Asked::ToStop {
            let mut apart = Topmost::default();
            return (signal_by_rule(&mut apart, main, signal, now), None);
        }
        let mut children = self.children();
        children.retain(|pid| *pid != main);
        self.topmost.forget();
        self.topmost.begin(&children);
        self.asked = Asked::ToEnd;
        self.stop_signal = signal;
        let target = signal_by_rule(&mut self.topmost, main, signal, now);
        (target, Some(self.topmost.looked_after_main(main, now)))
    }

    /// A shell that would end of the signal, or do nothing with it, is no addressee: what it runs is.
    fn forward_past_shells(&mut self, main: i32, signal: Signal, by_kernel: bool) -> Target {
        let Some(shell) = self.shell(main) else {
            kill(main, signal, "the main child");
            return Target::Main(Reason::NoShell);
        };
        if by_kernel {
            // Of a hangup the kernel signals the group too, but for us.
            self.signal_group(main, signal);
            return Target::Group(Reason::ShellWithoutTrap(shell));
        }
        let mut reached = Vec::new();
        if topmost::forward_past_shells(main, signal, &mut reached) {
            reached.retain(|name| name.pid != main);
            return match reached.is_empty() {
                true => Target::Main(Reason::ShellWithTrap(shell)),
                false => Target::Through(Reason::OpaqueShell(shell), reached),
            };
        }
        Target::Spared(Reason::ShellWithoutTrap(shell), reached)
    }

    /// The name of the shell that the main child is. What is none is remembered, until it executes
    /// something else: the app, mostly.
    fn shell(&mut self, main: i32) -> Option<&'static str> {
        let image = Image::of(main);
        let shell = shell::of(main);
        self.no_shell = image.filter(|image| shell.is_none() && image.is_current());
        shell
    }

    /// Signals those that are topmost now and stand for the app, and those whose time has come.
    pub fn look_for_stand_ins(&mut self, now: Instant) -> (Vec<Name>, Looked) {
        let look = self.look(self.stop_signal, Role::StandIn, now);
        (look.signalled, look.looked)
    }

    /// Sends a signal to all that is topmost and has not had the stop signal yet.
    pub fn sweep(&mut self, signal: Signal, now: Instant) -> (Swept, Looked) {
        self.stop_signal = signal;
        self.forget_who_was_asked();
        if reap::none_left() {
            return (Swept::default(), Looked::default());
        }
        let look = self.look(signal, Role::Leftover, now);
        let Look { signalled, signalled_before, refused, looked, .. } = look;
        (Swept { signalled, signalled_before, refused }, looked)
    }

    /// Signals those that have become topmost since the last look at the leftovers.
    pub fn look_for_leftovers(&mut self, now: Instant) -> (Vec<Name>, Looked) {
        let look = self.look(self.stop_signal, Role::Leftover, now);
        (look.signalled, look.looked)
    }

    fn look(&mut self, signal: Signal, role: Role, now: Instant) -> Look {
        let children = self.children();
        let group = self.group_signalled.then_some(self.group);
        let has_it = |process: &Process| Some(process.group) == group;
        let mut look = self.topmost.look(&children, role, signal, has_it, now);
        // Hooks are waited for.
        look.looked.only_refused &= !self.helpers.include(Helper::Task);
        look
    }

    /// The processes of ours beside the app.
    pub fn helper_pids(&self) -> Vec<i32> {
        self.helpers.pids()
    }

    /// Who is left now.
    pub fn left(&self) -> Vec<Name> {
        self.census(None).living.iter().map(Name::from).collect()
    }

    /// Whether the main child may exit on this signal. A window's new size ends only an app that
    /// catches SIGWINCH: its default is to be ignored (signal(7)).
    pub fn main_may_exit_on(&self, signal: Signal) -> bool {
        let ignores = |main| proc::catches(main, signal) == Some(false);
        signal != Signal::WINCH || !self.main.is_some_and(ignores)
    }

    /// Whether the main child does nothing with this signal, also by default (SIGWINCH); None where it
    /// has ended, or cannot be looked at.
    pub fn main_ignores(&self, signal: Signal) -> Option<bool> {
        let Signals { blocked, ignored, caught, .. } = proc::signals(self.main?)?;
        let acts = blocked.contains(signal) || caught.contains(signal);
        Some(ignored.contains(signal) || signal == Signal::WINCH && !acts)
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
        self.main.is_some_and(|main| reap::peek(main).is_some())
    }
}

/// Sends a signal to the main child, and through it if it does nothing with it. Without /proc nobody can
/// be looked at.
fn signal_by_rule(topmost: &mut Topmost, main: i32, signal: Signal, now: Instant) -> Target {
    let Some(process) = Process::read(main).filter(|_| proc::shows_our_namespace()) else {
        kill(main, signal, "the main child");
        return Target::Main(Reason::NoShell);
    };
    let (reason, others) = topmost.signal_main(&process, signal, now);
    match (&reason, others.is_empty()) {
        (Reason::Filter, _) => Target::Spared(reason, others),
        (_, true) => Target::Main(reason),
        (_, false) => Target::Through(reason, others),
    }
}

mod kill;
#[cfg(test)]
mod tests;
