//! What must hold after each run, whatever was done to it; docs/behaviour.md has the numbers.

use std::time::{Duration, Instant};

use nix::libc;
use serde_json::Value;

use crate::faults::Fault;
use crate::harness::{APP, Ended, Folder, Line, MAX_LATENESS, file};
use crate::member::{Member, OnStop};
use crate::plan::{Act, Plan, READY, REPORT};
use crate::play::Played;

/// A stop signal so long after the first is another request (5.5), less what it may be late by.
const SAME_REQUEST: Duration = Duration::from_millis(900);

/// What is broken, in words.
pub fn broken(plan: &Plan, played: &Played, folder: &Folder) -> Vec<String> {
    let mut judge = Judge { plan, played, heard: Heard::parse(&played.ended), wrong: vec![] };
    judge.log();
    judge.nothing_survives();
    judge.each_is_signalled_once();
    judge.is_told_in_time();
    judge.ends_in_time();
    judge.deaf_live_on();
    // Where a call fails, neither the log nor a file is promised.
    if let Some(fault) = &plan.fault {
        if !fault.is_of_reaping() {
            judge.exit_code(None);
        }
        return judge.wrong;
    }
    let report = judge.report(folder);
    judge.exit_code(report.as_ref());
    if let Some(report) = &report {
        judge.report_agrees(report);
    }
    if file(folder, READY).is_some() {
        judge.wrong.push("11.1: the ready file is still there".into());
    }
    judge.wrong
}

/// What the members of the app said.
struct Heard(Vec<(Instant, String, What)>);

#[derive(Clone, Copy, PartialEq)]
enum What {
    Ready { pid: i32 },
    Got { signal: i32, sender: i32 },
    Ends { code: i32 },
}

impl Heard {
    fn parse(ended: &Ended) -> Heard {
        let lines = ended.lines.iter().filter(|line| line.source == APP);
        Heard(
            lines
                .filter_map(|line| parse(line).map(|(name, what)| (line.at, name, what)))
                .collect(),
        )
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Instant, What)> + 'a {
        self.0.iter().filter(move |(_, who, _)| who == name).map(|(at, _, what)| (*at, *what))
    }

    fn ready(&self, name: &str) -> Option<(Instant, i32)> {
        self.of(name).find_map(|(at, what)| match what {
            What::Ready { pid } => Some((at, pid)),
            _ => None,
        })
    }

    fn ends(&self, name: &str) -> Option<(Instant, i32)> {
        self.of(name).find_map(|(at, what)| match what {
            What::Ends { code } => Some((at, code)),
            _ => None,
        })
    }
}

fn parse(line: &Line) -> Option<(String, What)> {
    let words: Vec<&str> = line.text.split(' ').collect();
    let what = match words[..] {
        [_, "ready", pid] => What::Ready { pid: pid.parse().ok()? },
        [_, "got", signal, "from", sender] => {
            What::Got { signal: signal.parse().ok()?, sender: sender.parse().ok()? }
        }
        [_, "ends", code] => What::Ends { code: code.parse().ok()? },
        _ => return None,
    };
    Some((words[0].to_owned(), what))
}

struct Judge<'a> {
    plan: &'a Plan,
    played: &'a Played,
    heard: Heard,
    wrong: Vec<String>,
}

impl Judge<'_> {
    fn holds(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    /// How late something may be: as late as the machine was, and as long as the init was frozen.
    fn lateness(&self) -> Duration {
        MAX_LATENESS + self.played.machine_late + self.played.frozen
    }

    /// Whether the app runs without a shell, which may change whom a signal reaches.
    fn is_bare(&self) -> bool {
        self.plan.shell.is_none()
    }

    /// Whether a stop signal may have ended the hold: none that is the same request (5.5, 5.6).
    fn may_hurry(&self) -> bool {
        let Some(first) = self.played.stopped_at.first() else { return false };
        let mut all = self.played.stopped_at.iter();
        all.any(|at| *at + self.played.frozen > *first + SAME_REQUEST)
    }

    /// 15.1, 15.3, 15.6: each line is an object of 4,096 bytes at most.
    fn log(&mut self) {
        // A shell says on its stderr, which is ours, what ended its commands.
        let of_shell = |text: &str| !self.is_bare() && !text.starts_with('{');
        let log = self.played.ended.log();
        for text in log.into_iter().filter(|text| !of_shell(text)).collect::<Vec<_>>() {
            let value: Option<Value> = serde_json::from_str(text).ok();
            let is_line = value.is_some_and(|value| value["event"].is_string());
            self.holds(is_line && text.len() < 4096, || {
                format!("15.3: no line of the log: {text}")
            });
        }
        for word in ["panicked", "error"] {
            let log = self.played.ended.log();
            let said = log.iter().any(|line| line.contains(&format!("\"level\":\"{word}\"")));
            self.holds(!said, || format!("the log has {word}"));
        }
    }

    /// 6.3, 7.9
    fn nothing_survives(&mut self) {
        let left = &self.played.left;
        self.holds(left.is_empty(), || format!("7.9: {left:?} survived"));
    }

    /// 4.11, 4.19, 7.3: a stop signal or SIGTERM, once for each request.
    fn each_is_signalled_once(&mut self) {
        let requests = self.played.stopped_at.len().max(1);
        for member in self.plan.app.all() {
            let stops = &self.plan.stops;
            let from_us = self.heard.of(&member.name).filter(|(_, what)| {
                matches!(what, What::Got { signal, sender }
                    if *sender == self.played.init && stops.contains(signal))
            });
            let count = from_us.count();
            // Who blocks another signal for 100 ms, as the machine is busy, gets SIGTERM too (4.14).
            let may_block = member.waits || member.forks_every.is_some();
            let twice = may_block && self.plan.forwarded != libc::SIGTERM;
            let most = if twice { 2 * requests } else { requests };
            self.holds(count <= most, || {
                format!("4.11: {} was told {count} times for {requests} requests", member.name)
            });
        }
        let told = self.played.visitor.iter().find(|line| line.contains(" got "));
        let told = told.cloned();
        self.holds(told.is_none(), || format!("7.1: {told:?}"));
    }

    /// 5.3, 5.4: the main child hears of it in its time, and not before.
    fn is_told_in_time(&mut self) {
        let Some(stopped_at) = self.played.stopped_at.first().copied() else { return };
        let (app, plan) = (&self.plan.app, self.plan);
        let told = self.told();
        let hurries = self.may_hurry();
        // Behind a shell that has ended it is left over, and gets SIGTERM at once.
        if let Some(at) = told.filter(|_| !hurries && self.is_bare()) {
            let took = at.saturating_duration_since(stopped_at);
            self.holds(took >= plan.delay[0], || format!("5.3: told too early, after {took:?}"));
            let late = plan.delay[1] + self.lateness();
            let on_time = took < late || !plan.hooks[0].is_empty();
            self.holds(on_time, || format!("5.3: told too late, after {took:?}"));
        }
        if told.is_none() && self.must_be_told(app, stopped_at) {
            self.wrong.push("the app was never told".into());
        }
    }

    /// Whether the first member is there when the signal is forwarded, and can say so.
    fn must_be_told(&self, app: &Member, stopped_at: Instant) -> bool {
        let plan = self.plan;
        let was_ready = self.heard.ready(&app.name).is_some_and(|(at, _)| at < stopped_at);
        let due = stopped_at + plan.delay[1] + self.lateness();
        let ended = self.heard.ends(&app.name).is_some_and(|(at, _)| at < due);
        let is_stopped_by_us = plan.acts.iter().any(|(_, act)| matches!(act, Act::Member(..)));
        was_ready
            && !ended
            && !is_stopped_by_us
            && self.is_bare()
            && app.on_stop.is_heard()
            && plan.forwarded > 0
            // Else SIGKILL may come before the end of an on-stop hook, or in the same wake-up.
            && plan.kill_after().is_none_or(|kill| plan.delay[1] + self.played.machine_late < kill)
            && plan.hooks[0].is_empty()
            && self.played.frozen.is_zero()
            && !self.played.was_cleared
            // An on-stop hook of which nobody sees the end holds the signal back.
            && !plan.fault.as_ref().is_some_and(|fault| fault.is_of_signals() || fault.is_of_reaping())
    }

    /// 6.1: while one is there whom SIGKILL alone ends, nothing is over before its time.
    fn deaf_live_on(&mut self) {
        let plan = self.plan;
        let shot = &self.played.shot;
        let was_ready = |member: &Member| {
            let ready = self.heard.ready(&member.name);
            ready.is_some_and(|(at, pid)| {
                !shot.contains(&pid)
                    && self.played.stopped_at.first().is_some_and(|stop| at < *stop)
            })
        };
        let lives_on = |member: &Member| member.ends_after.is_none() && was_ready(member);
        let is_deaf = |member: &&Member| member.on_stop.is_deaf() && lives_on(member);
        let has_timeout =
            plan.options.iter().any(|option| option.starts_with("--leftovers-timeout"));
        let may_be_told = !plan.fault.as_ref().is_some_and(Fault::is_of_signals);
        let is_patient =
            may_be_told && plan.leftovers != "kill" && !has_timeout && !self.played.was_cleared;
        let is_there = lives_on(&plan.app) && plan.app.all().into_iter().any(|m| is_deaf(&m));
        let (true, true, Some(kill_after), Some(stop)) = (
            is_patient && self.is_bare(),
            is_there,
            plan.kill_after(),
            self.played.stopped_at.first(),
        ) else {
            return;
        };
        let took = self.played.ended.at.saturating_duration_since(*stop);
        // Other signals end an app that leaves the default action, and then its leftovers have 5 s.
        let is_due = took >= kill_after || plan.app.on_stop == OnStop::Dies;
        self.holds(is_due, || format!("6.1: over after {took:?}, before {kill_after:?}"));
    }

    /// 6.1, 6.4: half the margin after SIGKILL all is over.
    fn ends_in_time(&mut self) {
        let ended_at = self.played.ended.at;
        let Some(kill_after) = self.plan.kill_after() else { return };
        let Some(stopped_at) = self.played.stopped_at.first() else { return };
        let half = (self.plan.margin / 2).max(Duration::from_millis(100));
        // On-exit hooks have half the margin too, and hooks that SIGTERM does not end 2 s (12.3, 12.4).
        let hooks = match self.plan.hooks[1].is_empty() {
            true => Duration::ZERO,
            false => half + Duration::from_secs(2),
        };
        let took = ended_at.saturating_duration_since(*stopped_at);
        let late = kill_after + half + hooks + self.lateness();
        self.holds(took < late, || format!("6.4: over after {took:?}, {late:?} at the latest"));
    }

    /// 15.1, 15.9: one report, in the log and in its file.
    fn report(&mut self, folder: &Folder) -> Option<Value> {
        let is_report = |line: &&str| line.contains("\"event\":\"report\"");
        let log = self.played.ended.log();
        let lines: Vec<&str> = log.into_iter().filter(is_report).collect();
        self.holds(lines.len() <= 1, || format!("15.2: {} reports", lines.len()));
        let report = lines.first().and_then(|line| serde_json::from_str(line).ok());
        self.holds(report.is_some() != lines.is_empty(), || "15.3: no JSON in the report".into());
        let was_killed = self.played.ended.said("\"event\":\"killed\"");
        let was_stopped = self.played.ended.said("\"event\":\"stop_signal\"");
        let is_due = was_killed || was_stopped;
        self.holds(report.is_some() || !is_due, || "15.2: no report".into());
        let in_file = file(folder, REPORT);
        if is_due && self.plan.options.iter().any(|option| option.starts_with("--report-file")) {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
            self.holds(in_file.unwrap_or_default() == lines.concat(), || {
                "15.9: the report file differs from the log".into()
            });
        }
        report
    }

    /// 8.1, 8.3: as the first member said, as a signal ended it, or as the report has it.
    fn exit_code(&mut self, report: Option<&Value>) {
        let plan = self.plan;
        let mapped = |code: i32| if plan.expected.contains(&code) { 0 } else { code };
        let code = self.played.ended.code;
        if let Some(report) = report {
            let signal = report["main_signal"].as_str();
            let number = signal.map(|name| {
                (1..=64).find(|number| signal_name(*number) == name).unwrap_or_default()
            });
            let of_app = match (report["main_exit_code"].as_i64(), number) {
                (Some(code), _) => code as i32,
                (None, Some(signal)) => 128 + signal,
                (None, None) => 137,
            };
            let expected = mapped(of_app);
            self.holds(code == expected, || format!("8.1: {code} in place of {expected}"));
        }
        if !self.is_bare() {
            return;
        }
        let said = self.heard.ends(&plan.app.name).map(|(_, code)| code);
        let mut possible: Vec<i32> = said.into_iter().collect();
        let is_shot =
            self.heard.ready(&plan.app.name).is_none_or(|(_, pid)| self.played.shot.contains(&pid));
        let is_killed = report.is_some_and(|report| !report["killed_at_ms"].is_null());
        if said.is_none() || is_shot || is_killed {
            possible.push(137);
        }
        if said.is_none() && (plan.app.on_stop == OnStop::Dies || plan.is_early) {
            possible.extend(plan.stops.iter().map(|signal| 128 + signal));
            let others = plan.acts.iter().filter_map(|(_, act)| match act {
                Act::Signal(signal) => Some(128 + signal),
                _ => None,
            });
            possible.extend(others);
        }
        let possible: Vec<i32> = possible.into_iter().map(mapped).collect();
        self.holds(possible.contains(&code), || format!("8.1: {code} in place of {possible:?}"));
    }

    /// What the report says, beside what was seen.
    fn report_agrees(&mut self, report: &Value) {
        let plan = self.plan;
        let ms = |time: Duration| time.as_millis() as u64;
        let at = |key: &str| report[key].as_u64();
        self.holds(report["exit_code"] == self.played.ended.code, || "exit_code".into());
        let hurried = self.may_hurry();
        if let Some(held) = at("held_ms") {
            let by = report["hold_ended_by"].as_str().unwrap_or_default();
            let is_long = held >= ms(plan.delay[0]) || by == "exit" || hurried && by == "hurry";
            self.holds(is_long, || format!("5.3: held for {held} ms, ended by {by:?}"));
            let max = ms(plan.delay[1] + self.lateness());
            self.holds(held < max || !plan.hooks[0].is_empty(), || {
                format!("5.4: held for {held} ms")
            });
        }
        if let Some(forwarded) = at("forwarded_at_ms") {
            let is_due =
                forwarded >= ms(plan.delay[0]) || report["forwarded_to"] == "stand_ins" || hurried;
            self.holds(is_due, || format!("5.3: forwarded at {forwarded}"));
        }
        if let (Some(killed), Some(due)) = (at("killed_at_ms"), plan.kill_after()) {
            self.killed_in_time(report, killed, ms(due));
        }
        self.told_as_reported(report);
        self.left_over_are_those(report);
        self.killed_are_those(report);
        // A machine that is busy takes its time to end what SIGKILL has reached.
        let survivors = &report["survivors"];
        let gave_up = self.played.ended.said("\"event\":\"gave_up\"");
        self.holds(survivors["count"] == 0 || gave_up, || format!("6.4: survivors {survivors}"));
    }

    /// The first stop signal that the first member got, and when.
    fn told(&self) -> Option<Instant> {
        let stops = &self.plan.stops;
        let mut from_us = self.heard.of(&self.plan.app.name).filter(|(_, what)| {
            matches!(what, What::Got { signal, sender }
                if *sender == self.played.init && stops.contains(signal))
        });
        from_us.next().map(|(at, _)| at)
    }

    /// What was told to the main child was told when the report says that it was.
    fn told_as_reported(&mut self, report: &Value) {
        let forwarded = report["forwarded_at_ms"].as_u64().map(Duration::from_millis);
        let is_main = self.is_bare() && report["forwarded_to"] == "main";
        let first = self.played.stopped_at.first();
        let (Some(forwarded), Some(told), Some(first), true) =
            (forwarded, self.told(), first, is_main)
        else {
            return;
        };
        let took = told.saturating_duration_since(*first);
        let agrees = took >= forwarded && took < forwarded + self.lateness();
        self.holds(agrees, || format!("forwarded at {forwarded:?}, and told after {took:?}"));
    }

    /// Whether the app's end and SIGKILL were of one wake-up.
    fn ended_when_killed(&self) -> bool {
        let log = self.played.ended.log();
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let steps: Vec<Value> = lines
            .filter(|line| line["event"] == "app_ended" || line["event"] == "killed")
            .collect();
        steps.len() > 1 && steps[0]["at_ms"] == steps[1]["at_ms"]
    }

    /// 7.1: who is deaf and was there when the app ended by its own word.
    fn left_over_are_those(&mut self, report: &Value) {
        let app = &self.plan.app;
        let Some((app_ended_at, _)) = self.heard.ends(&app.name) else { return };
        // Where the deadline is over when the app's end is seen, SIGKILL comes before any look (6.8).
        let killed_at = report["killed_at_ms"].as_u64().map(Duration::from_millis);
        let is_late = self.plan.kill_after().zip(killed_at).is_some_and(|(due, at)| at >= due);
        let is_seen = !(is_late && self.ended_when_killed());
        let is_heard = app.on_stop.is_heard() && !app.waits;
        if !self.is_bare() || !is_heard || !is_seen || self.played.was_cleared {
            return;
        }
        let deaf = self.plan.app.all().into_iter().skip(1).filter(|member| {
            let ready = self.heard.ready(&member.name);
            member.on_stop.is_deaf()
                && member.ends_after.is_none()
                && ready
                    .is_some_and(|(at, pid)| at < app_ended_at && !self.played.shot.contains(&pid))
        });
        let deaf = deaf.count() as u64;
        let count = report["left_over"]["count"].as_u64().unwrap_or_default();
        self.holds(count >= deaf, || format!("7.1: {count} left over, with {deaf} that are deaf"));
    }

    /// 6.1, 7.5, 7.8, 7.12
    fn killed_in_time(&mut self, report: &Value, killed: u64, due: u64) {
        let plan = self.plan;
        let is_after_stop = report["trigger"] == "signal";
        let log = self.played.ended.log();
        let place = |event: &str| {
            let event = format!("\"event\":\"{event}\"");
            log.iter().position(|line| line.contains(&event))
        };
        let app_ended =
            place("app_ended").is_some_and(|at| place("killed").is_none_or(|kill| at < kill));
        let has_timeout =
            plan.options.iter().any(|option| option.starts_with("--leftovers-timeout"));
        // What on-exit hooks leave is killed when they have ended (12.9).
        let is_early = plan.leftovers == "kill" || has_timeout || !plan.hooks[1].is_empty();
        if is_after_stop && !(is_early && app_ended) && !report["held_ms"].is_null() {
            self.holds(killed >= due, || format!("6.1: killed at {killed}, before {due}"));
        }
        if is_after_stop {
            let late = due + self.lateness().as_millis() as u64;
            self.holds(killed < late, || format!("6.1: killed at {killed}, after {due}"));
        }
    }

    /// 6.9: who said its end before was not killed, and who is deaf and was there was.
    fn killed_are_those(&mut self, report: &Value) {
        let killed_at = report["killed_at_ms"].as_u64().map(Duration::from_millis);
        let killed: Vec<i64> = report["killed"]["first"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|process| process["pid"].as_i64())
            .collect();
        let (Some(at), Some(stopped_at)) = (killed_at, self.played.stopped_at.first()) else {
            return;
        };
        if report["trigger"] != "signal" {
            return;
        }
        let mut deaf = 0;
        for member in self.plan.app.all() {
            let Some((_, pid)) = self.heard.ready(&member.name) else { continue };
            let ended_at = self.heard.ends(&member.name).map(|(at, _)| at);
            // It says so before it ends.
            let late = Duration::from_millis(500) + self.played.machine_late;
            let ended = ended_at.is_some_and(|ended_at| ended_at + late < *stopped_at + at);
            let is_named = killed.contains(&i64::from(pid));
            self.holds(!(ended && is_named), || {
                format!("6.9: {} had ended, and is named as killed", member.name)
            });
            let is_there = ended_at.is_none() && member.ends_after.is_none();
            if member.on_stop.is_deaf() && is_there && !self.played.shot.contains(&pid) {
                deaf += 1;
            }
        }
        let count = report["killed"]["count"].as_u64().unwrap_or_default();
        let survivors = report["survivors"]["count"].as_u64().unwrap_or_default();
        let is_ours = !self.played.was_cleared;
        self.holds(!is_ours || count + survivors >= deaf, || {
            format!("6.9: {count} killed and {survivors} survivors, with {deaf} that are deaf")
        });
    }
}

/// As the report writes it.
fn signal_name(signal: i32) -> String {
    match signal {
        34 => "SIGRTMIN".into(),
        35..=64 => format!("SIGRTMIN+{}", signal - libc::SIGRTMIN()),
        _ => signal_hook::low_level::signal_name(signal).unwrap_or_default().into(),
    }
}
