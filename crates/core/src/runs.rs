//! How often a stage runs for one example.

use std::fmt;

use crate::cost::Cost;

/// How often a stage runs on average for one example, in thousandths: below 1 under a condition, above for lists.
/// Costs stay exact integers by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Runs(u32);

impl Runs {
    /// Once for every example.
    pub const ONCE: Runs = Runs(1_000);

    /// From a number, rounded to thousandths; `None` below a thousandth and above a million.
    pub fn new(runs: f64) -> Option<Self> {
        let thousandths = (runs * 1e3).round();
        (1.0..=1e9).contains(&thousandths).then_some(Runs(thousandths as u32))
    }

    /// As a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e3
    }

    /// The cost of so many runs, rounded up to a quantum.
    pub fn of(self, one: Cost) -> Cost {
        let total = one.0 * i128::from(self.0);
        Cost(total.div_euclid(1_000) + i128::from(total.rem_euclid(1_000) > 0))
    }

    /// At most one run: for what runs side by side.
    #[must_use]
    pub fn side_by_side(self) -> Self {
        self.min(Runs::ONCE)
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn costs_are_exact_and_rounded_up() {
        let runs = |n| Runs::new(n).unwrap();
        assert_eq!(runs(0.3).of(Cost(10)), Cost(3));
        assert_eq!(runs(0.3).of(Cost(11)), Cost(4));
        assert_eq!(runs(2.5).of(Cost(3)), Cost(8));
        assert_eq!(runs(0.5).of(Cost(-3)), Cost(-1), "up, below zero too");
        assert_eq!(Runs::ONCE.of(Cost(i128::from(u64::MAX))), Cost(i128::from(u64::MAX)));
        for bad in [0.0, 0.0004, -1.0, 1e7, f64::NAN, f64::INFINITY] {
            assert_eq!(Runs::new(bad), None, "{bad}");
        }
        assert_eq!((runs(4.0).side_by_side(), runs(0.25).side_by_side()), (Runs::ONCE, runs(0.25)));
    }

    proptest! {
        #[test]
        fn the_cost_of_runs_is_the_least_integer_that_is_enough(thousandths in 1u32..5_000_000, one in -1_000_000_000i64..1_000_000_000) {
            let cost = Runs(thousandths).of(Cost(one.into())).0;
            let exact = i128::from(one) * i128::from(thousandths);
            prop_assert!(cost * 1_000 >= exact && (cost - 1) * 1_000 < exact);
        }

        #[test]
        fn more_runs_never_cost_less(a in 1u32..1_000_000, b in 1u32..1_000_000, one in 0i64..1_000_000_000) {
            let cost = |thousandths| Runs(thousandths).of(Cost(one.into()));
            prop_assert!(cost(a.min(b)) <= cost(a.max(b)));
        }
    }
}
