//! Which models are given up for another one, where memory is limited.

/// A loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// The bytes that it takes.
    pub(super) bytes: u64,
    /// When it was last used, on any clock.
    pub(super) used: u64,
    /// Whether it is at work, and cannot be given up.
    pub(super) busy: bool,
}

/// The models to give up so that one of `need` bytes fits below `limit`, as indices: those used longest ago, and no more than
/// it takes. `None` where those that are at work leave no room.
pub(super) fn give_up(loaded: &[Holding], need: u64, limit: u64) -> Option<Vec<usize>> {
    let mut held = loaded.iter().fold(0, |held: u64, l| held.saturating_add(l.bytes));
    let mut idle: Vec<usize> = (0..loaded.len()).filter(|at| !loaded[*at].busy).collect();
    idle.sort_by_key(|at| std::cmp::Reverse(loaded[*at].used));
    let mut given_up = Vec::new();
    while held.saturating_add(need) > limit {
        let at = idle.pop()?;
        held = held.saturating_sub(loaded[at].bytes);
        given_up.push(at);
    }
    Some(given_up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holding(bytes: u64, used: u64, busy: bool) -> Holding {
        Holding { bytes, used, busy }
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let loaded = [holding(4, 3, false), holding(4, 1, false), holding(4, 2, false)];
        assert_eq!(give_up(&loaded, 4, 16), Some(vec![]));
        assert_eq!(give_up(&loaded, 4, 15), Some(vec![1]));
        assert_eq!(give_up(&loaded, 8, 12), Some(vec![1, 2]));
        assert_eq!(give_up(&loaded, 13, 12), None);
    }

    #[test]
    fn models_at_work_stay() {
        assert_eq!(give_up(&[holding(4, 1, true), holding(4, 2, false)], 4, 8), Some(vec![1]));
        assert_eq!(give_up(&[holding(4, 1, true), holding(4, 2, true)], 4, 8), None);
    }

    proptest! {
        #[test]
        fn what_stays_leaves_room_and_nothing_is_given_up_in_vain(
            loaded in prop::collection::vec((0_u64..50, 0_u64..9, any::<bool>()), 0..8),
            need in 0_u64..60,
            limit in 0_u64..120,
        ) {
            let loaded: Vec<Holding> = loaded.into_iter().map(|(bytes, used, busy)| holding(bytes, used, busy)).collect();
            let held = |without: &[usize]| -> u64 {
                loaded.iter().enumerate().filter(|(at, _)| !without.contains(at)).map(|(_, l)| l.bytes).sum()
            };
            match give_up(&loaded, need, limit) {
                Some(gone) => {
                    prop_assert!(held(&gone) + need <= limit);
                    prop_assert!(gone.iter().all(|at| !loaded[*at].busy));
                    if let Some((_, before)) = gone.split_last() {
                        prop_assert!(held(before) + need > limit);
                    }
                }
                None => {
                    let busy: u64 = loaded.iter().filter(|l| l.busy).map(|l| l.bytes).sum();
                    prop_assert!(busy + need > limit);
                }
            }
        }
    }
}
