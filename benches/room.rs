//! The room that a benchmark works in: who comes first, on which CPUs, and where files lie.

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Where our files lie.
pub const FOLDER: &str = "/dev/shm";

/// Makes a mount namespace with a tmpfs in it, both of which go with the last process of ours.
pub fn enter() -> Result<(), String> {
    // Whoever ends `cargo bench` may not know of us.
    set_pdeathsig(Signal::SIGTERM).expect("a signal");
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| mount(none, FOLDER, Some("tmpfs"), MsFlags::empty(), none))
        .map_err(|errno| {
            format!("cannot mount in a namespace: {errno}; in a container: docker run --privileged")
        })
}

/// Sets our own scheduling policy and flags (sched(7)), with the lowest priority in it; says false
/// if we may not.
pub fn schedule(policy: libc::c_int) -> bool {
    let priority = libc::c_int::from(policy != libc::SCHED_OTHER);
    // SAFETY: the kernel's sched_param is this one number. (musl has a call that always fails.)
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) == 0 }
}

/// The CPUs that we may use.
pub fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs");
    (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect()
}

/// Keeps us and what we start on these CPUs.
pub fn stay_on(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu).expect("a CPU"));
    sched_setaffinity(Pid::from_raw(0), &set).expect("CPUs");
}
