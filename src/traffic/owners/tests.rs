use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::stat::fstat;

use super::*;
use crate::sorted::SortedMap;
use crate::test_support::eventually;
use crate::traffic::tests::is_alone;

/// A process that we started, which leads a group, and its descendants. They are killed when it is
/// dropped.
pub struct Family(Child);

impl Family {
    /// Runs a command of the shell's that has this socket as its standard error, and has written a
    /// line. (The standard input of a job is /dev/null.)
    pub fn run(command: &str, socket: &impl AsFd) -> Family {
        let socket = socket.as_fd().try_clone_to_owned().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stderr(socket).stdout(Stdio::piped());
        // SAFETY: a system call.
        unsafe {
            shell.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut family = Family(shell.process_group(0).spawn().unwrap());
        let output = family.0.stdout.as_mut().unwrap();
        let mut line = [0];
        io::Read::read_exact(output, &mut line).unwrap();
        family
    }

    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let group = Pid::from_raw(-self.pid());
        let _ = kill(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

pub fn listener() -> (TcpListener, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let inode = fstat(&listener).unwrap().st_ino;
    (listener, inode)
}

/// What is found in parts of a single step each; no search takes a million.
fn owned(mut search: Search) -> Owned {
    let parts = (0..1_000_000).find(|_| search.go_on_for(Duration::ZERO));
    assert!(parts.is_some(), "it does not come to an end");
    search.found()
}

/// The search by the files of the kernel, and by a scan.
fn both(ancestor: i32, but: &[i32], wanted: &[u64]) -> Owned {
    let search = |knows_children| {
        let wanted = wanted.iter().copied().collect();
        owned(Search::begin_by(knows_children, ancestor, but, wanted))
    };
    let found = search(true);
    assert_eq!(search(false), found);
    found
}

#[test]
fn sockets_of_descendants_are_found() {
    let (listener, inode) = listener();
    // The shell's child has a child, which alone has it open.
    let family = Family::run(
        "(sleep 1000 & exec 2>/dev/null; echo; wait) & exec 2>/dev/null; wait",
        &listener,
    );
    let (other, others) = self::listener();
    let found = both(family.pid(), &[], &[inode, others]);
    assert_eq!(found.searched, SortedSet::from_iter([inode, others]));
    assert_eq!(found.found.iter().map(|(inode, _)| inode).collect::<Vec<_>>(), [inode]);
    assert!(found.read_any && !found.incomplete && found.unreadable_uids.is_empty());
    // It is forked before it is what it is called.
    let owner = found.found.get(inode).unwrap();
    eventually("sleep", || (proc::command(owner).as_deref() == Some("sleep")).then_some(()));
    // It is ours too, but we are none of our descendants; nor is who is left out.
    let us = std::process::id() as i32;
    let found = owned(Search::begin(us, &[family.pid()], SortedSet::from_iter([others])));
    assert_eq!(found.found, SortedMap::default());
    drop(other);
}

#[test]
fn a_search_for_nothing_is_done() {
    let us = std::process::id() as i32;
    let mut search = Search::begin(us, &[], SortedSet::default());
    assert!(search.go_on_for(Duration::ZERO));
    assert!(!search.found().read_any);
}

#[test]
fn it_ends_as_soon_as_all_is_found() {
    let (listener, inode) = listener();
    let family = Family::run("sleep 1000 & echo; wait", &listener);
    let mut search = Search::begin(family.pid(), &[], SortedSet::from_iter([inode]));
    while !search.go_on_for(Duration::ZERO) {}
    assert!(!matches!(search.place, Place::Done));
    assert!(search.found().found.contains(inode));
}

/// The parts are short though one process has many descriptors.
#[test]
fn one_of_many_descriptors_is_found_in_many_parts() {
    // A limit of 1,024 leaves enough for a program to begin.
    const MANY: usize = 900;
    let (listener, inode) = listener();
    let socket = listener.as_raw_fd();
    let mut shell = Command::new("sleep");
    shell.arg("1000");
    // SAFETY: between fork and exec these are but system calls.
    unsafe {
        shell.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            for _ in 0..MANY {
                libc::dup(2);
            }
            libc::dup2(socket, 1);
            Ok(())
        });
    }
    let family = Family(shell.process_group(0).spawn().unwrap());
    let mut search =
        Search::begin(std::process::id() as i32, &[], SortedSet::from_iter([inode, 1]));
    search.ahead.push(family.pid());
    search.rounds = 4;
    let mut parts = 0;
    while !search.go_on_for(Duration::ZERO) {
        parts += 1;
    }
    assert!(parts > MANY, "{parts}");
    assert_eq!(search.found().found, SortedMap::from_iter([(inode, family.pid())]));
}

#[test]
fn a_search_without_memory_is_done_and_says_so() {
    let (listener, inode) = listener();
    let family = Family::run("sleep 1000 & echo; wait", &listener);
    for knows_children in [true, false] {
        let wanted = SortedSet::from_iter([inode, 1]);
        let mut search = Search::begin_by(knows_children, family.pid(), &[], wanted);
        while search.room.takes_one(usize::MAX / 1024) {}
        while !search.go_on() {}
        assert!(search.found().is_cut);
    }
}

#[test]
fn who_ends_meanwhile_is_no_matter() {
    let (listener, inode) = listener();
    for steps in 0..30 {
        let family = Family::run("sleep 1000 & echo; wait", &listener);
        let mut search = Search::begin(family.pid(), &[], SortedSet::from_iter([inode, 1]));
        for _ in 0..steps {
            search.go_on_for(Duration::ZERO);
        }
        drop(family);
        let found = owned(search);
        assert!(!found.incomplete && found.unreadable_uids.is_empty(), "{found:?}");
    }
}

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn whom_it_may_not_look_into_is_told_by_its_uids() {
    if !is_alone("traffic::owners::tests::whom_it_may_not_look_into_is_told_by_its_uids") {
        return;
    }
    // Here the uid of whoever is outside is shown as nobody's.
    let nobody = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap();
    let mut search = Search::begin(std::process::id() as i32, &[], SortedSet::from_iter([1]));
    search.ahead.push(1);
    // To the children of it, who are not meant. The folder may be read, and not what is in it.
    while !matches!(search.place, Place::Threads(_)) {
        search.step();
    }
    let found = search.found();
    assert_eq!(found.unreadable_uids, SortedSet::from_iter([nobody.trim().parse().unwrap()]));
    assert!(!found.read_any && !found.incomplete);
}

#[test]
fn the_status_of_a_process() {
    let text = "Name:\ta: b\nState:\tS (sleeping)\nThreads:\t1\nUid:\t1000\t0\t33\t7\nGid:\t4\n";
    let status = Status::parse(text).unwrap();
    assert_eq!((status.first_thread_ended, status.uids), (false, vec![1000, 0, 33, 7]));
    let ended = Status::parse(&text.replace("S (sleeping)", "Z (zombie)")).unwrap();
    assert!(ended.first_thread_ended);
    assert!(Status::parse("Name:\ta\n").is_none());
}

#[test]
fn only_a_socket_has_an_inode() {
    assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
    for other in ["pipe:[4711]", "/socket:[4711]", "socket:[]", "socket:[4711] (deleted)", ""] {
        assert_eq!(inode(Path::new(other)), None);
    }
}
