use super::*;
use crate::test_support::eventually;

const STAT: &str = "7 (a) b (c) T 1 7 7 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 4711 2 0";

#[test]
fn a_command_may_contain_parentheses_and_spaces() {
    let process = Process::parse(STAT).unwrap();
    assert_eq!((process.pid, process.parent, process.group), (7, 1, 7));
    assert_eq!((process.command.as_str(), process.started), ("a) b (c", 4711));
    assert!(process.stopped && !process.zombie);
}

#[test]
fn a_torn_line_is_no_process() {
    for end in 0..STAT.rfind("4711").unwrap() {
        assert_eq!(Process::parse(&STAT[..end]), None);
    }
}

fn known(ancestor: i32, but: &[i32]) -> Known {
    let mut known = Known::new();
    know(&mut known, ancestor, but);
    known
}

fn family(pairs: &[(i32, i32)]) -> HashMap<i32, Process> {
    let process = Process::parse(STAT).unwrap();
    let child = |&(pid, parent): &(i32, i32)| (pid, Process { pid, parent, ..process.clone() });
    pairs.iter().map(child).collect()
}

/// Lets a system call of this thread fail from now on, as a sandbox does.
fn refuse(call: libc::c_long, errno: Errno) {
    let number = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let skip_unless = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut filter = [
        instruction(load, 0, number),
        instruction(skip_unless, 1, call as u32),
        instruction(answer, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        instruction(answer, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads one program, as long as it says.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program)
    };
    Errno::result(done).expect("a filter");
}

#[test]
fn where_nothing_can_be_closed_no_folder_is_read() {
    let us = std::process::id() as i32;
    assert!(folder("/proc/self/fd").is_ok());
    let thread = std::thread::spawn(move || {
        refuse(libc::SYS_close, Errno::EPERM);
        let refused = folder("/proc/self/fd").map(|_| ()).map_err(|error| error.raw_os_error());
        // None of these panics.
        (refused, children(us).len(), everyone(None).len(), writes_to(us, (0, 0), &mut 100))
    });
    let (refused, _, all, _) = thread.join().expect("no panic");
    assert_eq!((refused, all), (Err(Some(Errno::EPERM as i32)), 0));
}

#[test]
fn a_visitor_descends_from_nobody() {
    let all = family(&[(7, 1), (8, 7), (20, 0), (21, 20), (30, 29), (40, 41), (41, 40)]);
    let mut known = known(1, &[]);
    let mut descends = |pid| descends(pid, &all, &mut known);
    assert_eq!([7, 8].map(&mut descends), [Some(true); 2]);
    assert_eq!([20, 21].map(&mut descends), [Some(false); 2]);
    assert_eq!([30, 40, 41].map(&mut descends), [None; 3]);
}

#[test]
fn who_is_left_out_is_left_out_with_its_descendants() {
    let all = family(&[(7, 1), (8, 7), (9, 8), (10, 1)]);
    let mut known = known(1, &[8]);
    let mut descends = |pid| descends(pid, &all, &mut known);
    assert_eq!([7, 10].map(&mut descends), [Some(true); 2]);
    assert_eq!([8, 9].map(&mut descends), [Some(false); 2]);
}

/// Each is looked at once: from each of them up to the ancestor again took minutes.
#[test]
fn a_long_chain_takes_no_longer_than_a_crowd() {
    let chain: Vec<_> = (2..300_000).map(|pid| (pid, pid - 1)).collect();
    let all = family(&chain);
    let mut known = known(1, &[]);
    assert!(all.keys().all(|pid| descends(*pid, &all, &mut known) == Some(true)));
}

#[test]
fn we_descend_from_our_parent() {
    let us = std::process::id() as i32;
    let parent = Process::read(us).unwrap().parent;
    let found = census(parent, &[], None);
    assert!(found.is_complete && found.living.iter().any(|process| process.pid == us));
    assert!(Process::read(us).unwrap().is_still_there());
}

#[test]
fn a_look_is_broken_off_when_its_time_is_over() {
    let (us, now) = (std::process::id() as i32, Instant::now());
    let broken_off = census(us, &[], Some(now));
    assert!(!broken_off.is_complete && broken_off.others.is_empty());
    assert!(census(us, &[], Some(now + std::time::Duration::from_mins(1))).is_complete);
}

/// As the parent of a vfork(2) waits until its child has ended; here each has its own memory.
#[test]
fn nothing_is_read_of_the_memory_of_one_that_hangs_in_the_kernel() {
    assert!(command_line(std::process::id() as i32).is_some());
    // SAFETY: both only wait for the signal that ends them.
    let stuck = unsafe {
        match libc::fork() {
            0 => {
                libc::setpgid(0, 0);
                libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0);
                loop {
                    libc::pause();
                }
            }
            pid => pid,
        }
    };
    eventually("its wait", || is_stuck(stuck).then_some(()));
    let line = command_line(stuck);
    // SAFETY: a group of ours, and a null pointer for a status that nobody wants.
    unsafe {
        libc::kill(-stuck, libc::SIGKILL);
        libc::waitpid(stuck, std::ptr::null_mut(), 0);
    }
    assert_eq!(line, None);
}
