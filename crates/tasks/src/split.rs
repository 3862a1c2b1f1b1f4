//! Which examples are for searching and which for the final test: seeded, disjoint, by group, balanced by stratum.

use std::collections::HashMap;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What splitting needs to know of an example.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The example's number in its file.
    pub(crate) number: usize,
    /// Examples of one group never come into both splits.
    pub(crate) group: u64,
    pub(crate) stratum: String,
}

/// There are not enough examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) wanted: usize,
    pub(crate) there: usize,
}

/// Groups in the order in which splits take them: drawn at random, such that every beginning of the list holds each
/// stratum in proportion to its size.
pub(crate) fn ordered(members: &[Member], seed: u64) -> Vec<Vec<Member>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut groups: Vec<Vec<Member>> = Vec::new();
    for member in members {
        let place = *places.entry(member.group).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.push(member.clone());
        }
    }
    groups.iter_mut().for_each(|group| group.shuffle(&mut rng));
    groups.shuffle(&mut rng);
    let stratum = |group: &[Member]| group.first().map(|m| m.stratum.clone()).unwrap_or_default();
    let mut sizes: HashMap<String, (usize, usize)> = HashMap::new();
    for group in &groups {
        sizes.entry(stratum(group)).or_default().0 += 1;
    }
    let mut keyed: Vec<(f64, Vec<Member>)> = Vec::with_capacity(groups.len());
    for group in groups {
        let (size, taken) = sizes.entry(stratum(&group)).or_default();
        let key = (*taken as f64 + rng.random::<f64>()) / (*size).max(1) as f64;
        *taken += 1;
        keyed.push((key, group));
    }
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().map(|(_, group)| group).collect()
}

/// Takes `wanted` examples off the front of the groups. What is left of the last group belongs to no split.
pub(crate) fn take(groups: &mut Vec<Vec<Member>>, wanted: usize) -> Result<Vec<Member>, Shortage> {
    let there = groups.iter().map(Vec::len).sum();
    if there < wanted {
        return Err(Shortage { wanted, there });
    }
    let mut taken = Vec::with_capacity(wanted);
    let mut used = 0;
    for group in groups.iter() {
        if taken.len() == wanted {
            break;
        }
        let room = wanted - taken.len();
        taken.extend(group.iter().take(room).cloned());
        used += 1;
    }
    groups.drain(..used);
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use proptest::prelude::*;

    fn members(groups: &[u64], strata: &[&str]) -> Vec<Member> {
        let member = |(i, (g, s)): (usize, (&u64, &&str))| Member { number: i + 1, group: *g, stratum: (*s).into() };
        groups.iter().zip(strata).enumerate().map(member).collect()
    }

    #[test]
    fn every_stratum_has_its_share_of_every_beginning() {
        let strata: Vec<&str> = ["a"; 60].into_iter().chain(["b"; 30]).chain(["c"; 10]).collect();
        let mut groups = ordered(&members(&(0..100).collect::<Vec<_>>(), &strata), 7);
        for _ in 0..2 {
            let mut shares: BTreeMap<String, usize> = BTreeMap::new();
            for member in take(&mut groups, 20).unwrap() {
                *shares.entry(member.stratum).or_default() += 1;
            }
            assert_eq!(shares, BTreeMap::from([("a".into(), 12), ("b".into(), 6), ("c".into(), 2)]));
        }
    }

    #[test]
    fn too_few_are_refused() {
        let mut groups = ordered(&members(&[1, 2, 2], &["", "", ""]), 1);
        assert_eq!(take(&mut groups, 4).unwrap_err(), Shortage { wanted: 4, there: 3 });
    }

    proptest! {
        #[test]
        fn groups_are_never_torn_apart(groups in prop::collection::vec(0_u64..12, 4..60), first in 1_usize..4, seed: u64) {
            let all = members(&groups, &vec![""; groups.len()]);
            let mut rest = ordered(&all, seed);
            let search = take(&mut rest, first).unwrap();
            let known: HashSet<u64> = search.iter().map(|m| m.group).collect();
            prop_assert_eq!(search.len(), first);
            prop_assert!(rest.iter().flatten().all(|m| !known.contains(&m.group)));
            prop_assert_eq!(take(&mut ordered(&all, seed), first).unwrap().iter().map(|m| m.number).collect::<Vec<_>>(),
                search.iter().map(|m| m.number).collect::<Vec<_>>());
        }
    }
}
