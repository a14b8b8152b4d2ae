use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::{prop_assert_eq, proptest};

use super::*;

proptest! {
    /// In any order of what is put in and taken out, they are what std's are.
    #[test]
    fn they_are_what_std_has(moves in vec((0u8..3, 0u8..20), 0..100)) {
        let (mut set, mut same) = (SortedSet::default(), BTreeSet::new());
        let (mut map, mut same_map) = (SortedMap::default(), BTreeMap::new());
        for (at, (what, value)) in moves.into_iter().enumerate() {
            match what {
                0 => prop_assert_eq!(set.insert(value), same.insert(value)),
                1 => prop_assert_eq!(set.remove(value), same.remove(&value)),
                _ => {
                    map.insert(value, at);
                    same_map.insert(value, at);
                    map.retain(|key| key != 7);
                    same_map.retain(|key, _| *key != 7);
                }
            }
            prop_assert_eq!(set.contains(value), same.contains(&value));
            prop_assert_eq!(map.contains(value), same_map.contains_key(&value));
            prop_assert_eq!(map.get(value), same_map.get(&value).copied());
        }
        prop_assert_eq!(set.is_empty(), same.is_empty());
        prop_assert_eq!(map.iter().collect::<Vec<_>>(), same_map.into_iter().collect::<Vec<_>>());
        let copy: SortedSet<u8> = same.iter().rev().copied().collect();
        prop_assert_eq!(&copy, &set);
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), set.into_vec());
    }

    /// Collected and merged they are that too.
    #[test]
    fn merged_they_are_what_std_has(
        first in vec((0u8..20, 0u8..9), 0..30), second in vec((0u8..20, 0u8..9), 0..30),
    ) {
        let keys = |pairs: &[(u8, u8)]| pairs.iter().map(|(key, _)| *key).collect::<SortedSet<u8>>();
        let mut set = keys(&first);
        set.merge(keys(&second));
        let same: BTreeSet<u8> = first.iter().chain(&second).map(|(key, _)| *key).collect();
        prop_assert_eq!(set.into_vec(), same.into_iter().collect::<Vec<_>>());
        // std keeps the last value of a key, and we the greatest.
        let greatest = |mut pairs: Vec<(u8, u8)>| {
            pairs.sort_unstable();
            pairs.into_iter().collect::<BTreeMap<_, _>>()
        };
        let mut map: SortedMap<u8, u8> = first.iter().copied().collect();
        map.merge(second.iter().copied().collect());
        let mut same = greatest(first);
        same.extend(greatest(second));
        prop_assert_eq!(map.iter().collect::<Vec<_>>(), same.into_iter().collect::<Vec<_>>());
    }
}
