//! Sets and maps as sorted lists. std's are made anew for each type, and would add more to the file than
//! all that uses them. No system call, no clock.
//!
//! To put one in takes as long as the list is, unless it comes in order; 10,000 one by one would take
//! seconds. So what may be many is collected, or merged, in the time that it takes to sort it.

use std::collections::BinaryHeap;
use std::mem::take;

/// A set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortedSet<T>(Vec<T>);

impl<T> Default for SortedSet<T> {
    fn default() -> SortedSet<T> {
        SortedSet(Vec::new())
    }
}

impl<T: Copy + Ord> SortedSet<T> {
    /// Whether it was not there yet.
    pub fn insert(&mut self, value: T) -> bool {
        let place = self.0.binary_search(&value);
        if let Err(at) = place {
            self.0.insert(at, value);
        }
        place.is_err()
    }

    /// Whether it was there.
    pub fn remove(&mut self, value: T) -> bool {
        let place = self.0.binary_search(&value);
        if let Ok(at) = place {
            self.0.remove(at);
        }
        place.is_ok()
    }

    pub fn contains(&self, value: T) -> bool {
        self.0.binary_search(&value).is_ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are no less than this one, in order.
    pub fn from(&self, least: T) -> impl Iterator<Item = T> {
        let first = self.0.partition_point(|value| *value < least);
        self.0.iter().skip(first).copied()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied()
    }

    /// For a few; many are merged.
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.insert(value);
        }
    }

    /// Puts in all of another set.
    pub fn merge(&mut self, other: SortedSet<T>) {
        self.0.extend(other.0);
        self.sort();
    }

    fn sort(&mut self) {
        self.0 = sorted(take(&mut self.0));
        self.0.dedup();
    }

    pub fn retain(&mut self, mut is_kept: impl FnMut(T) -> bool) {
        self.0.retain(|value| is_kept(*value));
    }

    /// As a list, in order.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T: Copy + Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> SortedSet<T> {
        let mut set = SortedSet(values.into_iter().collect());
        set.sort();
        set
    }
}

/// Sorts without much code: a heap's is an eighth of that of `sort_unstable`.
pub fn sorted<T: Ord>(list: Vec<T>) -> Vec<T> {
    BinaryHeap::from(list).into_sorted_vec()
}

/// A map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap(Vec::new())
    }
}

/// Of two with the same key the one with the greater value stays.
impl<K: Copy + Ord, V: Copy + Ord> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> SortedMap<K, V> {
        let mut list = sorted(pairs.into_iter().collect());
        list.dedup_by(|next, first| {
            let is_same = next.0 == first.0;
            if is_same {
                *first = *next;
            }
            is_same
        });
        SortedMap(list)
    }
}

impl<K: Copy + Ord, V: Copy> SortedMap<K, V> {
    /// Puts a value in, in place of one that is there.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub fn get(&self, key: K) -> Option<V> {
        self.place(key).ok().map(|at| self.0[at].1)
    }

    pub fn contains(&self, key: K) -> bool {
        self.place(key).is_ok()
    }

    /// Puts in all of another map, in place of what is there.
    pub fn merge(&mut self, other: SortedMap<K, V>)
    where
        V: Ord,
    {
        self.0.retain(|(key, _)| !other.contains(*key));
        self.0.extend(other.0);
        self.0 = sorted(take(&mut self.0));
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> {
        self.0.iter().copied()
    }

    pub fn retain(&mut self, mut is_kept: impl FnMut(K) -> bool) {
        self.0.retain(|(key, _)| is_kept(*key));
    }

    fn place(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests;
