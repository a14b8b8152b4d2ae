//! Finds which sockets the app and its descendants have open, by their descriptors in /proc, a part
//! at a time: PID 1 may get a small share of a CPU, and its deadlines come first.

use std::fs::{self, DirEntry, ReadDir};
use std::io::{self, ErrorKind};
use std::mem;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::process::proc::{self, Process};
use crate::room::Room;
use crate::sorted::SortedSet;
use crate::traffic::servers::Owned;

/// How long a part of a search takes. It is no CPU time: where we have to wait for the CPU in the
/// middle of a part, the deadlines come first after that.
const PART: Duration = Duration::from_millis(1);

/// A search for the owners of sockets. Processes may begin, end and change hands during it.
pub struct Search {
    ancestor: i32,
    /// The inodes that are still looked for.
    wanted: SortedSet<u64>,
    /// The pids that need no visit: who has been visited, and who is left out.
    visited: SortedSet<i32>,
    /// The pids that are to be visited.
    ahead: Vec<i32>,
    /// What each process is a child of, as a scan of /proc has found, in pairs of parent and child,
    /// sorted; None where the kernel tells the children of each.
    parents: Option<SortedSet<(i32, i32)>>,
    /// Memory for the processes.
    room: Room,
    /// How often the children of the ancestor were asked for.
    rounds: usize,
    /// One was visited in this round.
    visited_any: bool,
    place: Place,
    /// What was found, in the order of the visits.
    found: Vec<(u64, i32)>,
    owned: Owned,
}

/// Where the search stands.
enum Place {
    /// In a scan of /proc for the parent of each process.
    Scan(ReadDir),
    Between,
    Descriptors(Descriptors),
    /// Among the threads of a process, each of which has children of its own.
    Threads(ReadDir),
    Done,
}

/// The descriptors of a process.
struct Descriptors {
    pid: i32,
    entries: ReadDir,
    /// There was one.
    any: bool,
    /// They were opened by another thread than the first, which has ended.
    by_thread: bool,
}

/// The bytes of a process in all lists and sets of a search, where each has just grown.
const EACH: usize = 128;

impl Search {
    /// Begins to look for the owners of these inodes among the descendants of a process, without
    /// those in `but` and their descendants.
    pub fn begin(ancestor: i32, but: &[i32], wanted: SortedSet<u64>) -> Search {
        // A kernel without CONFIG_PROC_CHILDREN has no such file.
        let children = format!("/proc/{ancestor}/task/{ancestor}/children");
        Search::begin_by(fs::exists(children).unwrap_or(false), ancestor, but, wanted)
    }

    fn begin_by(
        knows_children: bool,
        ancestor: i32,
        but: &[i32],
        wanted: SortedSet<u64>,
    ) -> Search {
        let scan = || proc::folder("/proc").map_or(Place::Done, Place::Scan);
        let place = match proc::shows_our_namespace() {
            true if knows_children => Place::Between,
            true => scan(),
            false => Place::Done,
        };
        Search {
            ancestor,
            owned: Owned {
                searched: wanted.clone(),
                incomplete: matches!(place, Place::Done),
                ..Owned::default()
            },
            wanted,
            visited: but.iter().copied().collect(),
            ahead: Vec::new(),
            parents: (!knows_children).then(SortedSet::default),
            room: Room::default(),
            rounds: 0,
            visited_any: false,
            place,
            found: Vec::new(),
        }
    }

    /// Goes on for about a millisecond. Whether the search is done.
    pub fn go_on(&mut self) -> bool {
        self.go_on_for(PART)
    }

    fn go_on_for(&mut self, part: Duration) -> bool {
        let began = Instant::now();
        while !self.is_done() {
            self.step();
            if began.elapsed() >= part {
                break;
            }
        }
        self.is_done()
    }

    /// What was found.
    pub fn found(self) -> Owned {
        Owned { found: self.found.into_iter().collect(), ..self.owned }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.wanted.is_empty() || self.owned.is_cut || matches!(self.place, Place::Done)
    }

    /// Looks at one descriptor, one thread or one entry of /proc.
    fn step(&mut self) {
        self.place = match mem::replace(&mut self.place, Place::Between) {
            Place::Scan(entries) => self.scan(entries),
            Place::Between => self.next_process(),
            Place::Descriptors(descriptors) => self.descriptor(descriptors),
            Place::Threads(threads) => self.thread(threads),
            Place::Done => Place::Done,
        };
    }

    fn scan(&mut self, mut entries: ReadDir) -> Place {
        let parents = self.parents.get_or_insert_default();
        let Some(entry) = entries.next() else { return Place::Between };
        let pid = entry.ok().and_then(|entry| number(&entry));
        let process = pid.and_then(Process::read);
        self.owned.is_cut |= !self.room.takes_one(EACH);
        parents.extend(process.map(|process| (process.parent, process.pid)));
        Place::Scan(entries)
    }

    fn next_process(&mut self) -> Place {
        let Some(pid) = self.ahead.pop() else { return self.next_round() };
        if !self.visited.insert(pid) {
            return Place::Between;
        }
        self.visited_any = true;
        match proc::folder(format!("/proc/{pid}/fd")) {
            Ok(entries) => {
                Place::Descriptors(Descriptors { pid, entries, any: false, by_thread: false })
            }
            Err(_) => self.none_shown(pid, true, false),
        }
    }

    /// A process whose parent has ended meanwhile is a child of the ancestor now, as its own children
    /// may be: they are asked for until there is none that is new.
    fn next_round(&mut self) -> Place {
        const MAX_ROUNDS: usize = 4;
        let has_more = self.rounds == 0 || self.visited_any && self.parents.is_none();
        if self.rounds == MAX_ROUNDS || !has_more {
            return Place::Done;
        }
        self.rounds += 1;
        self.visited_any = false;
        self.children(self.ancestor)
    }

    fn descriptor(&mut self, mut descriptors: Descriptors) -> Place {
        let pid = descriptors.pid;
        let target = match descriptors.entries.next() {
            Some(entry) => entry.and_then(|entry| fs::read_link(entry.path())),
            None if descriptors.any => return self.children(pid),
            None => return self.none_shown(pid, false, descriptors.by_thread),
        };
        match target {
            Ok(target) => {
                let inode = inode(&target).filter(|inode| self.wanted.remove(*inode));
                self.found.extend(inode.map(|inode| (inode, pid)));
                self.owned.read_any = true;
                descriptors.any = true;
            }
            // It was closed meanwhile, or the process has ended.
            Err(error) if is_gone(&error) => descriptors.any = true,
            Err(_) => return self.none_shown(pid, true, descriptors.by_thread),
        }
        Place::Descriptors(descriptors)
    }

    /// Goes on after a process of which no descriptor was shown: it has none, or they may not be read.
    /// Nor are those of a process whose first thread has ended, as if it were a zombie; but another
    /// thread has the same.
    fn none_shown(&mut self, pid: i32, refused: bool, by_thread: bool) -> Place {
        match Status::read(pid) {
            Some(status) if status.first_thread_ended && !by_thread => {
                match of_another_thread(pid) {
                    Some(Ok(entries)) => {
                        let (any, by_thread) = (false, true);
                        return Place::Descriptors(Descriptors { pid, entries, any, by_thread });
                    }
                    Some(Err(_)) => self.owned.unreadable_uids.extend(status.uids),
                    None => {}
                }
            }
            Some(status) if refused => self.owned.unreadable_uids.extend(status.uids),
            Some(_) => self.owned.read_any = true,
            // It has ended, or is hidden (hidepid in proc(5)).
            None if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) => {}
            None => self.owned.incomplete = true,
        }
        self.children(pid)
    }

    fn children(&mut self, pid: i32) -> Place {
        if let Some(parents) = &self.parents {
            // Their room was asked for in the scan.
            let theirs = parents.from((pid, 0)).take_while(|(parent, _)| *parent == pid);
            self.ahead.extend(theirs.map(|(_, child)| child));
            return Place::Between;
        }
        match proc::folder(format!("/proc/{pid}/task")) {
            Ok(threads) => Place::Threads(threads),
            Err(error) => {
                self.owned.incomplete |= error.kind() != ErrorKind::NotFound;
                Place::Between
            }
        }
    }

    fn thread(&mut self, mut threads: ReadDir) -> Place {
        let Some(thread) = threads.next() else { return Place::Between };
        match thread.and_then(|thread| fs::read_to_string(thread.path().join("children"))) {
            Ok(list) => {
                let children = list.split(' ').filter_map(|pid| pid.parse::<i32>().ok());
                let has_room = |_: &i32| self.room.takes_one(EACH);
                self.ahead.extend(children.take_while(has_room));
                self.owned.is_cut |= self.room.is_full();
            }
            // It has ended.
            Err(error) if is_gone(&error) => {}
            Err(error) if error.kind() == ErrorKind::OutOfMemory => self.owned.is_cut = true,
            Err(_) => self.owned.incomplete = true,
        }
        Place::Threads(threads)
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

fn number(entry: &DirEntry) -> Option<i32> {
    entry.file_name().to_str()?.parse().ok()
}

/// The descriptors of a thread that is not the first; None where there is no other.
fn of_another_thread(pid: i32) -> Option<io::Result<ReadDir>> {
    let threads = proc::folder(format!("/proc/{pid}/task")).ok()?.flatten();
    let other = threads.map(|thread| (number(&thread), thread)).find(|(tid, _)| *tid != Some(pid));
    other.map(|(_, thread)| proc::folder(thread.path().join("fd")))
}

/// What /proc/PID/status says, which everybody may read (proc_pid_status(5)).
struct Status {
    /// It has the state of a zombie, which it has also while other threads run.
    first_thread_ended: bool,
    /// Real, effective, saved and of the file system.
    uids: Vec<u32>,
}

impl Status {
    fn read(pid: i32) -> Option<Status> {
        let text = fs::read(format!("/proc/{pid}/status")).ok()?;
        Status::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(status: &str) -> Option<Status> {
        let value = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let uids = value("Uid:")?.split_ascii_whitespace().filter_map(|uid| uid.parse().ok());
        let state = value("State:")?;
        Some(Status { first_thread_ended: state.starts_with(['Z', 'X']), uids: uids.collect() })
    }
}

/// The inode in what a descriptor of a socket leads to: `socket:[4711]`.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
pub mod tests;
