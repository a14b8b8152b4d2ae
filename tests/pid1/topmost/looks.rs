//! How often we look for what is topmost: enough to miss nobody, and no more.

use nix::libc;

use super::*;

/// The CPU time that a process has used so far (proc_pid_stat(5), fields 14 and 15).
fn cpu_time(pid: i32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    // SAFETY: no pointer is involved.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
    Some(Duration::from_millis((ticks(14)? + ticks(15)?) * 1000 / per_second))
}

/// Each of their ends wakes us.
#[test]
fn a_look_at_many_leftovers_that_end_one_after_the_other_costs_little() {
    let run = json().fixture("procession 3000");
    run.hears("made 3000");
    run.hears("ready");
    let init = run.pid();
    eventually("all orphans to be ours", || (children(init).len() == 3001).then_some(()));
    let before = cpu_time(init).expect("a process");
    run.signal(libc::SIGTERM);
    let mut used = Duration::ZERO;
    eventually("the end", || {
        used = cpu_time(init).map_or(used, |now| used.max(now.saturating_sub(before)));
        (!runs(init)).then_some(())
    });
    let ended = run.ends();
    assert_eq!(ended.report()["killed"]["count"], 0, "{ended}");
    // To reap so many takes the kernel half a second; without optimization all of it takes longer.
    // A look at each end would take ten times as long.
    let most = if cfg!(debug_assertions) { 2500 * MS } else { SECOND };
    assert!(used <= most, "{used:?}");
}

/// A process that comes in from outside and leaves one behind: no SIGCHLD tells of it.
#[test]
fn what_a_visitor_leaves_during_a_sweep_is_signalled_within_two_seconds() {
    let run = json().fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    run.hears("left got SIGTERM");
    let path = fixture().to_string_lossy().into_owned();
    let mut visitor = run.enter(&[&path, "leave", "orphan", "--once", "100"]);
    let lines = [visitor.line(), visitor.line()];
    assert!(lines.iter().all(|line| line.contains("ready")), "{lines:?}");
    let began_at = std::time::Instant::now();
    assert_eq!(visitor.line(), "left got SIGTERM");
    assert!(began_at.elapsed() < 2 * SECOND, "{:?}", began_at.elapsed());
    assert_eq!(visitor.line(), "left finished");
    run.signal(libc::SIGUSR2);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("left got SIGTERM")), (0, 1), "{ended}");
}
