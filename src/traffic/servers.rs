//! Which sockets are the app's servers, and whether what they receive can be seen. No system call,
//! no clock.

use std::mem::take;
use std::ops::RangeInclusive;

use crate::room::Room;
use crate::sorted::{SortedMap, SortedSet, sorted};
use crate::traffic::socket::{CLOSE, LISTEN, ListedSocket};
use crate::traffic::unseen::UnseenReason;

/// Which ports are watched.
#[derive(Clone, Debug)]
pub enum Ports {
    Named(Vec<u16>),
    /// Those on which the app or a descendant of it listens.
    OfFamily,
}

/// What is to be watched, as the options and the kernel have it.
#[derive(Clone, Debug)]
pub struct Scope {
    pub ports: Ports,
    /// Those of `--ignore-port`, and that of the responder.
    pub ignored: Vec<u16>,
    /// The first and the last port that the kernel gives to clients.
    pub ephemeral: RangeInclusive<u16>,
}

/// A socket that may be a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub port: u16,
    pub inode: u64,
    /// That of whoever created it.
    pub uid: u32,
}

/// Who can reach a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Its path lies on another mount than the root, as on a volume that containers share.
    Shared,
    /// Whoever is in the container: its path lies on the root, or it has none.
    Private,
}

/// A Unix socket that takes what others send. They are sorted by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixServer {
    /// Its path, or its abstract name after an `@`.
    pub name: Vec<u8>,
    pub inode: u64,
    /// None while it has not been looked at.
    pub reach: Option<Reach>,
    /// The inodes of the sockets that are connected to it, 64 at most.
    pub peers: Vec<u64>,
}

/// The bytes of a socket, or of a peer, in all lists and sets of a look and of the search for their owners,
/// where each has just grown. A Unix socket's name has 108 bytes at most.
const EACH: usize = 512;

/// What of the sockets in our network namespace may belong to a server, at one look.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub tcp: Vec<Candidate>,
    pub udp: Vec<Candidate>,
    /// In the order of their names, once all are there.
    pub unix: Vec<UnixServer>,
    /// The ports of connected UDP sockets.
    udp_connected: SortedSet<u16>,
    /// The ports of UDP sockets on which something waits to be read.
    udp_queued: SortedSet<u16>,
    /// There is a UDP socket that can be no server's.
    udp_other: bool,
    /// The ports of the TCP sockets.
    tcp_ports: SortedSet<u16>,
    /// Memory for these, and for all that is kept of them from look to look.
    pub room: Room,
}

impl Listing {
    /// Takes in a TCP socket that listens. All of them come before the first of UDP.
    pub fn add_tcp(&mut self, scope: &Scope, socket: &ListedSocket) {
        if socket.state == LISTEN && scope.covers(socket.port) && self.has_room() {
            self.tcp.push(socket.into());
            self.tcp_ports.insert(socket.port);
        }
    }

    /// Takes in a UDP socket. One that is not connected is a client's where the kernel chose its port,
    /// unless TCP is served on that port too (HTTP/3).
    pub fn add_udp(&mut self, scope: &Scope, socket: &ListedSocket) {
        if !self.has_room() {
            return;
        }
        let is_chosen = match scope.ports {
            Ports::Named(_) => true,
            Ports::OfFamily => {
                !scope.ephemeral.contains(&socket.port) || self.tcp_ports.contains(socket.port)
            }
        };
        if socket.queued > 0 {
            self.udp_queued.insert(socket.port);
        }
        if socket.state != CLOSE {
            self.udp_connected.insert(socket.port);
        } else if is_chosen && scope.covers(socket.port) {
            self.udp.push(socket.into());
        } else {
            self.udp_other = true;
        }
    }

    /// Takes in a Unix socket that takes what others send. Where ports are named it is not asked for.
    pub fn add_unix(&mut self, inode: u64, name: &[u8]) {
        if self.has_room() {
            let (name, peers) = (name.to_vec(), Vec::new());
            self.unix.push(UnixServer { name, inode, reach: None, peers });
        }
    }

    /// All Unix sockets are taken in; what is connected to them comes next.
    pub fn sort_unix(&mut self) {
        self.unix = sorted(take(&mut self.unix));
    }

    /// Takes in what is connected to the Unix socket with this name, by its inode.
    pub fn add_unix_peer(&mut self, name: &[u8], peer: u64) {
        const MAX_PEERS: usize = 64;
        let first = self.unix.partition_point(|server| server.name.as_slice() < name);
        let named = self.unix.iter_mut().skip(first).take_while(|server| server.name == name);
        for server in named.filter(|server| server.peers.len() < MAX_PEERS) {
            if self.room.takes_one(EACH) {
                server.peers.push(peer);
            }
        }
    }

    /// Leaves out the TCP and UDP sockets that are these.
    pub fn leave_out(&mut self, inodes: &SortedSet<u64>) {
        for sockets in [&mut self.tcp, &mut self.udp] {
            sockets.retain(|socket| !inodes.contains(socket.inode));
        }
    }

    fn has_room(&mut self) -> bool {
        self.room.takes_one(EACH)
    }

    /// The inodes of all sockets that may be servers'.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        let inet = self.tcp.iter().chain(&self.udp).map(|candidate| candidate.inode);
        inet.chain(self.unix.iter().map(|server| server.inode))
    }

    /// The inodes of all that is connected to Unix sockets.
    pub fn peers(&self) -> impl Iterator<Item = u64> {
        self.unix.iter().flat_map(|server| server.peers.iter().copied())
    }
}

impl From<&ListedSocket> for Candidate {
    fn from(socket: &ListedSocket) -> Candidate {
        Candidate { port: socket.port, inode: socket.inode, uid: socket.uid }
    }
}

impl Scope {
    fn covers(&self, port: u16) -> bool {
        let is_named = match &self.ports {
            Ports::Named(ports) => ports.contains(&port),
            Ports::OfFamily => true,
        };
        is_named && !self.ignored.contains(&port)
    }
}

/// What is known of the sockets that the app and its descendants have open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// The inodes that were looked for.
    pub searched: SortedSet<u64>,
    /// Those of them that were found, each with the pid of a process that has it.
    pub found: SortedMap<u64, i32>,
    /// The uids, real, effective, saved and of the file system, of the processes whose descriptors
    /// may not be read.
    pub unreadable_uids: SortedSet<u32>,
    /// The descriptors of a process were read.
    pub read_any: bool,
    /// There is a process of which not even the uids can be seen.
    pub incomplete: bool,
    /// There was no memory for all processes.
    pub is_cut: bool,
}

impl Owned {
    /// All of their processes could be looked into.
    fn is_complete(&self) -> bool {
        self.read_any && !self.incomplete && self.unreadable_uids.is_empty()
    }

    /// Whether it is theirs, or may be that of a process that could not be looked into. The uid of a
    /// Unix socket is not listed.
    pub fn may_have(&self, inode: u64) -> bool {
        let was_missed = self.searched.contains(inode) && !self.is_complete();
        was_missed || self.found.contains(inode)
    }

    /// Whether it is a socket of somebody else.
    fn is_foreign(&self, inode: u64) -> bool {
        self.searched.contains(inode) && !self.may_have(inode)
    }
}

/// How it is known whose a socket is: each is tried where those before it find no server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// It was found among their descriptors; or one of them that cannot be looked into has the uid
    /// with which it was created.
    Seen,
    /// It was created with our uid. With that the app began, and it may have changed it since.
    OurUid,
    /// None: all sockets count.
    Nothing,
}

/// A UDP socket on which a server receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UdpServer {
    pub port: u16,
    pub inode: u64,
}

/// The servers whose traffic is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The TCP ports whose connections count: those that are named, or on which they listen. Sorted.
    pub tcp_ports: Vec<u16>,
    /// Those on which they listen, or did at an earlier look. Sorted.
    pub served: Vec<u16>,
    /// Sorted.
    pub udp: Vec<UdpServer>,
    /// Something waits to be read on a UDP socket of theirs.
    pub udp_queued: bool,
    /// There is a UDP socket that belongs to none of them.
    pub other_udp: bool,
    /// Why some of their traffic is not seen.
    pub unseen: Option<UnseenReason>,
    /// It cannot be seen whose sockets these are, and so those of others may be among them.
    pub guessed: bool,
}

impl Servers {
    /// Neither TCP nor UDP nor a Unix socket is served.
    pub fn are_none(&self) -> bool {
        self.tcp_ports.is_empty() && self.udp.is_empty() && self.unseen.is_none()
    }
}

/// The servers of this listing. Where ports are named it does not matter whose they are; else a
/// socket that was not looked for yet counts as theirs. `once` are the ports on which somebody
/// listened at an earlier look: the app may have closed its door since.
pub fn servers(
    scope: &Scope,
    listing: &Listing,
    owned: &Owned,
    our_uid: u32,
    once: &[u16],
) -> Servers {
    match &scope.ports {
        Ports::Named(ports) => {
            let mut servers = listed(listing, once, |_| true);
            let named = ports.iter().filter(|port| scope.covers(**port));
            let unserved = named.clone().copied().find(|port| !servers.served.contains(port));
            let is_udp = |port| listing.udp.iter().any(|udp| udp.port == port);
            let missing = unserved.map(|port| match is_udp(port) {
                true => UnseenReason::OnlyUdp(port),
                false => UnseenReason::NobodyListens(port),
            });
            servers.unseen = missing.or(servers.unseen);
            servers.tcp_ports = named.copied().collect::<SortedSet<u16>>().into_vec();
            servers
        }
        Ports::OfFamily => {
            let evidence = evidence(listing, owned, our_uid);
            let is_theirs = |candidate: &Candidate| is_theirs(evidence, owned, our_uid, candidate);
            let mut servers = listed(listing, once, is_theirs);
            servers.guessed = evidence != Evidence::Seen;
            servers.unseen = servers.unseen.or_else(|| unseen_unix(listing, owned));
            servers
        }
    }
}

/// What TCP and UDP servers there are, if these candidates are theirs.
fn listed(listing: &Listing, once: &[u16], is_theirs: impl Fn(&Candidate) -> bool) -> Servers {
    let tcp = listing.tcp.iter().filter(|candidate| is_theirs(candidate));
    let served: SortedSet<u16> =
        tcp.map(|candidate| candidate.port).chain(once.iter().copied()).collect();
    let (theirs, others): (Vec<&Candidate>, Vec<_>) =
        listing.udp.iter().partition(|candidate| is_theirs(candidate));
    let udp = theirs.iter().map(|socket| UdpServer { port: socket.port, inode: socket.inode });
    let udp = udp.collect::<SortedSet<UdpServer>>().into_vec();
    // A connected socket on a server's port is one that the server made for a client (QUIC).
    let belongs = |port: u16| udp.iter().any(|server| server.port == port);
    let other_udp =
        listing.udp_other || !others.is_empty() || !listing.udp_connected.iter().all(belongs);
    let unseen = udp.first().filter(|_| other_udp).map(|server| UnseenReason::Udp(server.port));
    let udp_queued = listing.udp_queued.iter().any(belongs);
    let (served, guessed) = (served.into_vec(), false);
    Servers { tcp_ports: served.clone(), served, udp, udp_queued, other_udp, unseen, guessed }
}

fn evidence(listing: &Listing, owned: &Owned, our_uid: u32) -> Evidence {
    let finds = |evidence| {
        let mut candidates = listing.tcp.iter().chain(&listing.udp);
        candidates.any(|candidate| is_theirs(evidence, owned, our_uid, candidate))
            || listing.unix.iter().any(|server| owned.found.contains(server.inode))
    };
    let changed_uid = !owned.unreadable_uids.is_empty();
    let knows_nothing = !owned.read_any || owned.incomplete;
    let all = [
        (true, Evidence::Seen),
        (changed_uid, Evidence::OurUid),
        (knows_nothing, Evidence::Nothing),
    ];
    let mut fitting = all.into_iter().filter(|(fits, _)| *fits).map(|(_, evidence)| evidence);
    fitting.find(|evidence| finds(*evidence)).unwrap_or(Evidence::Seen)
}

fn is_theirs(evidence: Evidence, owned: &Owned, our_uid: u32, candidate: &Candidate) -> bool {
    match evidence {
        Evidence::Seen => {
            !owned.searched.contains(candidate.inode)
                || owned.found.contains(candidate.inode)
                || owned.unreadable_uids.contains(candidate.uid)
        }
        Evidence::OurUid => candidate.uid == our_uid,
        Evidence::Nothing => true,
    }
}

/// What comes in on a Unix socket of theirs cannot be counted, so one that others can reach is a
/// server that is not seen, and so is one to which somebody else is connected.
fn unseen_unix(listing: &Listing, owned: &Owned) -> Option<UnseenReason> {
    let may_be_theirs = |server: &&UnixServer| owned.may_have(server.inode);
    let server = listing.unix.iter().filter(may_be_theirs).find(|server| {
        let is_visited = || server.peers.iter().any(|peer| owned.is_foreign(*peer));
        server.reach != Some(Reach::Private) || is_visited()
    })?;
    let name = String::from_utf8_lossy(&server.name);
    Some(UnseenReason::Unix(name.replace(char::is_control, "?")))
}

#[cfg(test)]
mod tests;
