//! Whom our SIGKILL has ended. A look after it says who seems to have ended of it; for certain it is
//! known from the status, when each is reaped.
//!
//! A look after it does not show all: SIGKILL wakes a parent that waits for its child, and as often as
//! not it reaps that child in the kernel before it ends itself (do_wait in kernel/exit.c). So whom a look
//! before it found, and who was there until then, has ended of it too.

use std::collections::HashMap;
use std::mem;

use crate::process::proc::{Census, Process};
use crate::process::target::Name;
use crate::shutdown::ending::Ending;
use crate::sorted::{SortedSet, sorted};

/// What there is to tell of a SIGKILL to all.
pub struct Kill {
    /// Whom it seems to have ended, and no such kill before. Empty where /proc shows nobody.
    pub names: Vec<Name>,
    /// The main child is a shell that had not run its trap yet.
    pub trap_pending: bool,
}

/// A process that was there when SIGKILL was sent.
struct Fate {
    name: Name,
    group: i32,
    /// It seems to have ended of it, or to be about to.
    killed: bool,
}

/// Those who were there when SIGKILL was sent.
#[derive(Default)]
pub struct Killed {
    /// SIGKILL was sent, and that was told.
    told: bool,
    /// There was a look before SIGKILL.
    looked_before: bool,
    /// Who lived at the last look before SIGKILL, and then until it was sent.
    witnessed: Vec<Process>,
    /// Who was there when it was sent, by their pids, until we reap them.
    found: HashMap<i32, Fate>,
    /// Who was reaped, and had ended of SIGKILL.
    reaped: Vec<Name>,
    /// Who had ended before SIGKILL, or is none of ours, as the last look before it saw them.
    others: SortedSet<i32>,
}

impl Killed {
    /// A look before SIGKILL.
    pub fn before(&mut self, census: Census) {
        self.looked_before = true;
        let pids = census.ended.iter().map(|process| process.pid);
        let mut others = Vec::new();
        // Without memory for it some may be taken for killed.
        if others.try_reserve(census.others.len() + census.ended.len()).is_ok() {
            others.extend(census.others.iter().copied().chain(pids));
        }
        self.others = others.into_iter().collect();
        self.witnessed = census.living;
    }

    /// There was a look before SIGKILL.
    pub fn has_looked(&self) -> bool {
        self.looked_before
    }

    /// SIGKILL is sent next: forgets those of the look before who have ended since. No more than a
    /// thousand are asked for, which takes less than a millisecond; the others are left to the look after.
    pub fn sending(&mut self, is_there: impl Fn(i32) -> bool) {
        const MOST: usize = 1000;
        self.witnessed.truncate(MOST);
        self.witnessed.retain(|process| is_there(process.pid));
    }

    /// A look after SIGKILL. Returns whom it seems to have ended that no such look found before; none
    /// where there is nobody to tell of. `peek` says how a zombie has ended, if it is our child.
    pub fn after(
        &mut self,
        census: &Census,
        peek: impl Fn(i32) -> Option<Ending>,
    ) -> Option<Vec<Name>> {
        let mut names = Vec::new();
        let witnessed = mem::take(&mut self.witnessed);
        let count = census.living.len() + census.ended.len() + witnessed.len();
        let has_room = self.found.try_reserve(count).is_ok() && names.try_reserve(count).is_ok();
        let none = Census::default();
        // Without memory nobody has a name.
        let census = if has_room { census } else { &none };
        let living = census.living.iter().map(|process| (process, true));
        let ended = census.ended.iter().map(|process| (process, false));
        // A killed parent has reaped who is in neither.
        let reaped = witnessed.iter().filter(|_| has_room && census.is_complete);
        let reaped = reaped.map(|process| (process, true));
        for (process, lives) in living.chain(ended).chain(reaped) {
            if self.others.contains(process.pid) || self.found.contains_key(&process.pid) {
                continue;
            }
            let was_there = || witnessed.iter().any(|other| other.pid == process.pid);
            // Without a status it is still its parent's, which may reap it.
            let of_sigkill = |ending| ending == Ending::KILLED;
            let killed = lives || peek(process.pid).map_or_else(was_there, of_sigkill);
            let name = Name::from(process);
            names.extend(killed.then(|| name.clone()));
            self.found.insert(process.pid, Fate { name, group: process.group, killed });
        }
        names = sorted(names);
        // Without /proc nobody has a name, and that a kill was sent is told once all the same.
        let is_news = !names.is_empty() || !census.is_complete && !self.told;
        self.told |= is_news;
        is_news.then_some(names)
    }

    /// Whether this process seems to have ended of SIGKILL, and with it another one of its group: what
    /// a shell waits for is in its group, and stays in it when it ends.
    pub fn include_with_another(&self, pid: i32) -> bool {
        let is_killed = |pid| self.found.get(&pid).is_some_and(|fate| fate.killed);
        let mut all = self.found.iter();
        is_killed(pid) && all.any(|(other, fate)| *other != pid && fate.group == pid && fate.killed)
    }

    /// A process was reaped.
    pub fn reaped(&mut self, pid: i32, ending: Ending) {
        self.others.remove(pid);
        if let Some(Fate { name, .. }) = self.found.remove(&pid)
            && ending == Ending::KILLED
            && self.reaped.try_reserve(1).is_ok()
        {
            self.reaped.push(name);
        }
    }

    /// All that have ended of SIGKILL, as far as it is known now.
    pub fn names(&self) -> Vec<Name> {
        let seem = self.found.values().filter(|fate| fate.killed).map(|fate| &fate.name);
        sorted(self.reaped.iter().chain(seem).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
