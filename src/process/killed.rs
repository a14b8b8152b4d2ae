//! Whom our SIGKILL has ended. It is sent before any look, so a look after it says who seems to have
//! ended of it; for certain it is known from the status, when each is reaped.

use std::collections::{HashMap, HashSet};

use crate::process::proc::{Census, Process};
use crate::process::target::Name;
use crate::shutdown::ending::Ending;

/// What there is to tell of a SIGKILL to all.
pub struct Kill {
    /// Whom it seems to have ended, and no such kill before. Empty where /proc shows nobody.
    pub names: Vec<Name>,
    /// The main child is a shell that had not run its trap yet.
    pub trap_pending: bool,
}

/// A process that was there at a look after SIGKILL.
struct Fate {
    name: Name,
    /// It seems to have ended of it, or to be about to.
    killed: bool,
}

/// Those who were there when SIGKILL was sent.
#[derive(Default)]
pub struct Killed {
    /// SIGKILL was sent, and that was told.
    told: bool,
    /// Whom a look after it has found, by their pids, until they are reaped.
    found: HashMap<i32, Fate>,
    /// Who was reaped, and had ended of SIGKILL.
    reaped: Vec<Name>,
    /// Who had ended before SIGKILL, or is none of ours, as the last look before it saw them.
    others: HashSet<i32>,
}

impl Killed {
    /// A look before SIGKILL.
    pub fn before(&mut self, census: &Census) {
        self.others.clear();
        let pids = census.ended.iter().map(|process| process.pid);
        // Without memory for it some may be taken for killed.
        if self.others.try_reserve(census.others.len() + census.ended.len()).is_ok() {
            self.others.extend(census.others.iter().copied().chain(pids));
        }
    }

    /// A look after SIGKILL. Returns whom it seems to have ended that no such look found before; none
    /// where there is nobody to tell of. `peek` says how a zombie has ended, if it is our child.
    pub fn after(
        &mut self,
        census: &Census,
        peek: impl Fn(i32) -> Option<Ending>,
    ) -> Option<Vec<Name>> {
        let mut names = Vec::new();
        let count = census.living.len() + census.ended.len();
        let has_room = self.found.try_reserve(count).is_ok() && names.try_reserve(count).is_ok();
        let none = Census::default();
        // Without memory nobody has a name.
        let census = if has_room { census } else { &none };
        let living = census.living.iter().map(|process| (process, true));
        let ended = census.ended.iter().map(|process| (process, false));
        for (process, lives) in living.chain(ended) {
            if self.others.contains(&process.pid) || self.found.contains_key(&process.pid) {
                continue;
            }
            let (name, killed) = (Name::from(process), lives || is_killed(process, &peek));
            names.extend(killed.then(|| name.clone()));
            self.found.insert(process.pid, Fate { name, killed });
        }
        sort(&mut names);
        // Without /proc nobody has a name, and that a kill was sent is told once all the same.
        let is_news = !names.is_empty() || !census.is_complete && !self.told;
        self.told |= is_news;
        is_news.then_some(names)
    }

    /// Whether this process seems to have ended of SIGKILL, and with it another one of its group: what
    /// a shell waits for is in its group, and stays in it when it ends.
    pub fn include_with_another(&self, pid: i32, census: &Census) -> bool {
        let is_killed = |pid| self.found.get(&pid).is_some_and(|fate| fate.killed);
        let mut all = census.living.iter().chain(&census.ended);
        is_killed(pid)
            && all.any(|other| other.pid != pid && other.group == pid && is_killed(other.pid))
    }

    /// A process was reaped.
    pub fn reaped(&mut self, pid: i32, ending: Ending) {
        self.others.remove(&pid);
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
        let mut names: Vec<Name> = self.reaped.iter().chain(seem).cloned().collect();
        sort(&mut names);
        names
    }
}

fn sort(names: &mut [Name]) {
    names.sort_unstable_by_key(|name| name.pid);
}

fn is_killed(zombie: &Process, peek: impl Fn(i32) -> Option<Ending>) -> bool {
    peek(zombie.pid) == Some(Ending::KILLED)
}

#[cfg(test)]
mod tests;
