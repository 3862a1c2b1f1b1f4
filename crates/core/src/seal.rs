//! The seal of a study's test examples: when its final test opened them, and who had before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::date;

/// What is known of the opening of a study's test examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seal {
    /// When its final test opened them, in milliseconds since 1970.
    pub opened_ms: i64,
    /// The loss of the objective that does not matter, as it was fixed then, before any test score was seen; absent where
    /// an older program did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Test examples.
    pub of: u32,
    /// How many of them a final test of the same store had used before.
    pub used: u32,
    /// Those tests, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<UsedBefore>,
}

/// An earlier final test on some of the same examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedBefore {
    /// The study whose test it was.
    pub study: String,
    /// When it opened them, in milliseconds since 1970.
    pub opened_ms: i64,
    /// How many of the same examples it used.
    pub examples: u32,
}

/// The most earlier tests that are named.
const NAMED: usize = 3;

impl Seal {
    /// That examples were used before, and what follows; `None` where all were fresh.
    pub fn warning(&self) -> Option<String> {
        let used = used_words(self.used, self.of, &self.by)?;
        Some(format!("{used}; the p-values are no longer those of a fresh test"))
    }

    /// When the test was made, and with which margin.
    pub fn words(&self) -> String {
        let margin = self.margin.map_or_else(String::new, |m| format!("; the margin of {m} was fixed before"));
        format!("the test examples were opened on {}{margin}", date(self.opened_ms))
    }
}

/// That `used` of `of` test examples were used by these tests; `None` where none were.
pub fn used_words(used: u32, of: u32, by: &[UsedBefore]) -> Option<String> {
    if used == 0 {
        return None;
    }
    let one = |u: &UsedBefore| format!("{} on {}", u.study, date(u.opened_ms));
    let mut named: Vec<String> = by.iter().take(NAMED).map(one).collect();
    if by.len() > NAMED {
        named.push(format!("{} more", by.len() - NAMED));
    }
    let tests = if by.len() == 1 { "test" } else { "tests" };
    Some(format!("{used} of these {of} test examples were already used for the final {tests} of {}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_examples_are_told_with_study_and_day() {
        let by = |study: &str, examples| UsedBefore { study: study.into(), opened_ms: 1_796_000_000_000, examples };
        let mut seal = Seal { of: 40, ..Seal::default() };
        assert_eq!(seal.warning(), None);
        seal = Seal { used: 12, by: vec![by("a-1", 12)], ..seal };
        assert_eq!(
            seal.warning().unwrap(),
            "12 of these 40 test examples were already used for the final test of a-1 on 2026-11-30; the p-values are no \
             longer those of a fresh test"
        );
        seal.by = (1..=5).map(|i| by(&format!("a-{i}"), 12)).collect();
        assert!(seal.warning().unwrap().contains("the final tests of a-1 on 2026-11-30, a-2"));
        assert!(seal.warning().unwrap().contains("a-3 on 2026-11-30, 2 more;"));
    }
}
