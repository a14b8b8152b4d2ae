use super::*;

fn process(pid: i32, zombie: bool) -> Process {
    let command = "app".into();
    Process { pid, command, parent: 1, group: 2, started: 0, stopped: false, zombie }
}

fn census(living: &[i32], ended: &[i32]) -> Census {
    let of = |pids: &[i32], zombie| pids.iter().map(|pid| process(*pid, zombie)).collect();
    Census {
        living: of(living, false),
        ended: of(ended, true),
        is_complete: true,
        ..Census::default()
    }
}

fn names(pids: &[i32]) -> Vec<Name> {
    pids.iter().map(|pid| Name { pid: *pid, command: "app".into() }).collect()
}

#[test]
fn who_is_killed_is_told_once() {
    let mut killed = Killed::default();
    let peek = |_| None;
    assert_eq!(killed.after(&census(&[3, 4], &[]), peek), Some(names(&[3, 4])));
    assert_eq!(killed.after(&census(&[3, 5], &[4]), peek), Some(names(&[5])));
    assert_eq!(killed.after(&census(&[3, 5], &[]), peek), None);
    assert_eq!(killed.names(), names(&[3, 4, 5]));
}

#[test]
fn without_proc_it_is_told_once_too() {
    let mut killed = Killed::default();
    let nobody = Census::default();
    assert_eq!(killed.after(&nobody, |_| None), Some(vec![]));
    assert_eq!(killed.after(&nobody, |_| None), None);
    let mut zombies = Killed::default();
    assert_eq!(zombies.after(&census(&[], &[3]), |_| Some(Ending::Exited(0))), None);
}

#[test]
fn a_zombie_is_killed_if_its_status_says_so() {
    let mut killed = Killed::default();
    let statuses = [(3, Ending::KILLED), (4, Ending::Exited(0))];
    let peek = |pid| statuses.iter().find(|(of, _)| *of == pid).map(|(_, ending)| *ending);
    assert_eq!(killed.after(&census(&[6], &[3, 4, 5]), peek), Some(names(&[3, 6])));
    // 5 was not our child when it was looked at.
    killed.reaped(5, Ending::KILLED);
    killed.reaped(3, Ending::KILLED);
    killed.reaped(4, Ending::Exited(0));
    assert_eq!(killed.names(), names(&[3, 5, 6]));
    // It was about to exit by itself.
    killed.reaped(6, Ending::Exited(1));
    assert_eq!(killed.names(), names(&[3, 5]));
}

#[test]
fn who_had_ended_before_or_is_a_stranger_is_not_killed() {
    let mut killed = Killed::default();
    killed.before(Census { others: vec![7], ..census(&[3], &[4]) });
    let peek = |_| Some(Ending::KILLED);
    assert_eq!(killed.after(&census(&[7], &[3, 4]), peek), Some(names(&[3])));
    for pid in [3, 4, 7] {
        killed.reaped(pid, Ending::KILLED);
    }
    assert_eq!(killed.names(), names(&[3]));
    // Their pids may be others' by now.
    assert_eq!(killed.after(&census(&[4], &[]), peek), Some(names(&[4])));
}

#[test]
fn a_shell_that_waited_is_killed_with_its_command() {
    let (shell, apart) = (process(2, false), Process { group: 7, ..process(7, false) });
    let of = |living: Vec<Process>| Census { living, ..census(&[], &[]) };
    let waiting = of(vec![shell.clone(), process(3, false), apart.clone()]);
    let mut killed = Killed::default();
    assert!(!killed.include_with_another(2), "nobody was killed");
    killed.after(&waiting, |_| None);
    assert!(killed.include_with_another(2));
    let mut alone = Killed::default();
    let waits_for_none = of(vec![shell, apart]);
    alone.after(&waits_for_none, |_| None);
    assert!(!alone.include_with_another(2));
}

#[test]
fn whom_a_killed_parent_has_reaped_is_killed() {
    let mut killed = Killed::default();
    assert!(!killed.has_looked());
    killed.before(census(&[2, 3, 4, 5, 6], &[]));
    assert!(killed.has_looked());
    // 4 has ended before SIGKILL.
    killed.sending(|pid| pid != 4);
    let peek = |pid| match pid {
        2 => Some(Ending::KILLED),
        5 => Some(Ending::Exited(0)),
        _ => None,
    };
    // 6 is a zombie of another parent, and 7 was one before.
    assert_eq!(killed.after(&census(&[], &[2, 5, 6, 7]), peek), Some(names(&[2, 3, 6])));
    assert!(killed.include_with_another(2), "3 is of its group, and was not seen after SIGKILL");
    assert_eq!(killed.after(&census(&[], &[2, 5, 6]), peek), None);
    killed.reaped(2, Ending::KILLED);
    assert_eq!(killed.names(), names(&[2, 3, 6]));
}

#[test]
fn without_a_whole_look_after_sigkill_nobody_is_missing() {
    let mut killed = Killed::default();
    killed.before(census(&[2, 3], &[]));
    killed.sending(|_| true);
    let broken_off = Census { is_complete: false, ..census(&[2], &[]) };
    assert_eq!(killed.after(&broken_off, |_| None), Some(names(&[2])));
}
