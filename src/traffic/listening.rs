//! What the app listens on, from look to look of one hold. Whose a socket is, is searched for when it
//! is new, and never where ports are named.

use nix::unistd::geteuid;

use crate::sorted::{SortedMap, SortedSet};
use crate::traffic::owners::Search;
use crate::traffic::proc_net::{self, UnixListener};
use crate::traffic::servers::{Listing, Owned, Ports, Reach, Scope, Servers, servers};
use crate::traffic::unix;
use crate::traffic::unseen::UnseenReason;

/// Whether it is known whose the sockets of a listing are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    Known,
    /// A search is on, which [`Listening::go_on`] takes further. Sockets that are new count as the
    /// app's until it is done and the next listing has been taken in.
    Searching,
}

/// What the app listens on.
pub struct Listening {
    scope: Scope,
    /// Us, from whom the app and all others descend.
    us: i32,
    search: Option<Search>,
    owned: Owned,
    /// Who can reach the Unix sockets with these inodes.
    reaches: SortedMap<u64, Reach>,
    /// How often a search was for the peers of Unix sockets alone.
    peer_searches: usize,
    servers: Servers,
    /// The ports of servers so far.
    once: Vec<u16>,
    /// What was not seen at a look stays unseen, though it may be gone at the next.
    unseen: Option<UnseenReason>,
}

impl Listening {
    /// Begins. Nothing is opened.
    pub fn new(ports: Ports, ignored: Vec<u16>) -> Listening {
        Listening {
            scope: Scope { ports, ignored, ephemeral: proc_net::ephemeral_ports() },
            us: std::process::id() as i32,
            search: None,
            owned: Owned::default(),
            reaches: SortedMap::default(),
            peer_searches: 0,
            servers: Servers::default(),
            once: Vec::new(),
            unseen: None,
        }
    }

    /// What is looked for in a listing.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Adds the Unix sockets to a listing. Where they cannot be listed there are none: on a machine
    /// without them.
    pub fn add_unix(&self, listing: &mut Listing) {
        if matches!(self.scope.ports, Ports::OfFamily) {
            let _ =
                proc_net::unix_listeners(&mut |socket| listing.add_unix(socket.inode, socket.name));
            listing.sort_unix();
        }
    }

    /// Takes in a look's listing, of which the helpers have nothing.
    pub fn refresh(&mut self, mut listing: Listing, helpers: &[i32]) -> Knowledge {
        self.take_in_search();
        if listing.room.is_full() {
            return self.without_memory();
        }
        self.forget_all_but(&listing);
        if matches!(self.scope.ports, Ports::OfFamily) && self.search.is_none() {
            self.search = self.wanted(&listing).map(|wanted| {
                let mut search = Search::begin(self.us, helpers, wanted);
                search.go_on();
                search
            });
            self.take_in_search();
        }
        self.look_at_paths(&mut listing);
        let us = geteuid().as_raw();
        self.servers = servers(&self.scope, &listing, &self.owned, us, &self.once);
        match self.search {
            None if self.owned.is_cut => return self.without_memory(),
            None => self.keep(),
            // What may be unseen is known when it is known whose it is.
            Some(_) => self.servers.unseen = None,
        }
        self.servers.unseen = self.unseen.clone().or(self.servers.unseen.take());
        match self.search {
            None => Knowledge::Known,
            Some(_) => Knowledge::Searching,
        }
    }

    /// What cannot be listed or searched for is not seen, for the rest of the hold.
    fn without_memory(&mut self) -> Knowledge {
        self.search = None;
        self.unseen.get_or_insert(UnseenReason::NoMemory);
        self.servers.unseen.clone_from(&self.unseen);
        Knowledge::Known
    }

    /// Whether a search is on.
    pub fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Takes the search further, for about a millisecond. Whether none is on any more: then a new
    /// listing is to be taken in.
    pub fn go_on(&mut self) -> bool {
        self.search.as_mut().is_none_or(Search::go_on)
    }

    /// The servers as of the last listing.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Whether a descriptor of the app or of a descendant was found to be this socket.
    pub fn has(&self, inode: u64) -> bool {
        self.owned.found.contains(inode)
    }

    /// What is to be looked for: all of it while something is new; for peers alone only so often, since
    /// an app may connect to its own sockets all the time.
    fn wanted(&mut self, listing: &Listing) -> Option<SortedSet<u64>> {
        const MAX_PEER_SEARCHES: usize = 16;
        let is_new = |inode: &u64| !self.owned.searched.contains(*inode);
        let mut wanted: SortedSet<u64> = listing.inodes().filter(is_new).collect();
        let peers: SortedSet<u64> = listing.peers().filter(is_new).collect();
        if wanted.is_empty() && !peers.is_empty() {
            self.peer_searches += 1;
            if self.peer_searches > MAX_PEER_SEARCHES {
                return None;
            }
        }
        wanted.merge(peers);
        (!wanted.is_empty()).then_some(wanted)
    }

    fn take_in_search(&mut self) {
        let Some(search) = self.search.take() else { return };
        if !search.is_done() {
            self.search = Some(search);
            return;
        }
        let found = search.found();
        self.owned.searched.merge(found.searched);
        self.owned.found.merge(found.found);
        self.owned.unreadable_uids.merge(found.unreadable_uids);
        self.owned.read_any |= found.read_any;
        self.owned.incomplete |= found.incomplete;
        self.owned.is_cut |= found.is_cut;
    }

    /// Forgets what is known of sockets that are gone: an inode may be another's later.
    fn forget_all_but(&mut self, listing: &Listing) {
        let there: SortedSet<u64> = listing.inodes().chain(listing.peers()).collect();
        self.owned.searched.retain(|inode| there.contains(inode));
        self.owned.found.retain(|inode| there.contains(inode));
    }

    /// Looks who can reach the Unix sockets that are the app's, or may be.
    fn look_at_paths(&mut self, listing: &mut Listing) {
        let (mut mounts, mut reaches) = (None, Vec::new());
        for server in &mut listing.unix {
            if !self.owned.may_have(server.inode) {
                continue;
            }
            let owner = self.owned.found.get(server.inode);
            let socket = UnixListener { name: &server.name, inode: server.inode };
            let look = || {
                let mounts = mounts.get_or_insert_with(unix::mounts).as_ref();
                mounts.map_or(Reach::Shared, |mounts| unix::reach(socket, owner, mounts))
            };
            let reach = self.reaches.get(server.inode).unwrap_or_else(look);
            reaches.push((server.inode, reach));
            server.reach = Some(reach);
        }
        self.reaches = reaches.into_iter().collect();
    }

    /// Keeps what counts at later looks too.
    fn keep(&mut self) {
        // An app that listens on one port after the other has few of them at a time.
        const MAX_ONCE: usize = 64;
        if self.servers.guessed {
            return;
        }
        self.once.clone_from(&self.servers.served);
        if self.once.len() > MAX_ONCE {
            self.once.clear();
        }
        // Who does not listen yet may do so later.
        let lasts = |why: &UnseenReason| !matches!(why, UnseenReason::NobodyListens(_));
        if self.unseen.is_none() {
            self.unseen = self.servers.unseen.clone().filter(lasts);
        }
    }
}

#[cfg(test)]
mod tests;
