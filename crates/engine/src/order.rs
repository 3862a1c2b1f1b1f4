//! The order in which a study goes through the examples of its search split.

use serde::{Deserialize, Serialize};

use crate::streams::{Purpose, mix, stream};

/// How examples are ordered. Trials on part of the examples take consecutive ones, and data files are often sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExampleOrder {
    /// As in the data file: studies from before trials could run on part of the examples.
    #[default]
    File,
    /// Shuffled by the study's seed.
    Seeded,
}

impl ExampleOrder {
    /// The examples in their order, as indices into the split.
    pub(crate) fn of(self, examples: usize, seed: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..examples).collect();
        if self == ExampleOrder::Seeded {
            let base = stream(seed, Purpose::Order);
            order.sort_by_key(|&i| (mix(base.wrapping_add(i as u64)), i));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_order_holds_every_example_once_and_differs_by_seed() {
        let order = ExampleOrder::Seeded.of(100, 7);
        assert_eq!(order, ExampleOrder::Seeded.of(100, 7));
        assert_ne!(order, ExampleOrder::Seeded.of(100, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ExampleOrder::File.of(100, 7));
        // The first half of the file is not the first half of the order.
        let early = order[..50].iter().filter(|&&i| i < 50).count();
        assert!((15..35).contains(&early), "{early}");
    }
}
