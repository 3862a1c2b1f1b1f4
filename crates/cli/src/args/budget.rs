//! The search budget as it is typed: `tokens=2M,usd=3,minutes=20`.

use std::str::FromStr;

use agenttts_core::CostModel;
use agenttts_core::pipeline::SearchBudget;
use agenttts_core::text::nearest;

use super::number::amount;

const KEYS: [&str; 5] = ["tokens", "usd", "flops", "calls", "minutes"];

/// Changes to a search budget: a limit to set, or to lift, for each key that was named.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BudgetArg {
    changes: Vec<(&'static str, Option<f64>)>,
}

impl FromStr for BudgetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut budget = BudgetArg::default();
        for part in text.split(',') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{:?} is not of the form KEY=AMOUNT, such as tokens=2M", part.trim()))?;
            let key = known(key.trim())?;
            if budget.changes.iter().any(|(k, _)| *k == key) {
                return Err(format!("{key} is given twice"));
            }
            let value = match value.trim() {
                "none" => None,
                value => Some(amount(value).map_err(|e| format!("{key}: {e}"))?),
            };
            if value == Some(0.0) {
                return Err(format!("{key}: a limit must be above 0; `{key}=none` lifts it"));
            }
            budget.changes.push((key, value));
        }
        Ok(budget)
    }
}

impl BudgetArg {
    /// The budget with these changes.
    pub(crate) fn apply(&self, mut budget: SearchBudget) -> SearchBudget {
        for &(key, value) in &self.changes {
            match key {
                "tokens" => budget.tokens = value.map(|v| v as u64),
                "usd" => budget.usd = value.and_then(|v| CostModel::Usd.amount(v)),
                "flops" => budget.flops = value.and_then(|v| CostModel::Flops.amount(v)),
                "calls" => budget.calls = value.map(|v| v as u64),
                _ => budget.minutes = value,
            }
        }
        budget
    }
}

fn known(key: &str) -> Result<&'static str, String> {
    KEYS.into_iter().find(|k| *k == key).ok_or_else(|| {
        let hint = match nearest(key, &KEYS) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are: {}", KEYS.join(", ")),
        };
        format!("there is no limit {key:?}; {hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_limits_change_and_others_stay() {
        let file = SearchBudget { tokens: Some(5), minutes: Some(9.0), calls: Some(7), ..SearchBudget::default() };
        let typed: BudgetArg = "tokens=2M, usd=3,minutes=none".parse().unwrap();
        let budget = typed.apply(file);
        assert_eq!((budget.tokens, budget.minutes, budget.calls), (Some(2_000_000), None, Some(7)));
        assert_eq!(budget.usd, CostModel::Usd.amount(3.0));
    }

    #[test]
    fn errors_name_the_key() {
        let error = |text: &str| text.parse::<BudgetArg>().unwrap_err();
        assert!(error("tokens=2Q").starts_with("tokens: \"2Q\" is not a number"));
        assert_eq!(error("token=2"), "there is no limit \"token\"; did you mean \"tokens\"?");
        assert_eq!(error("tokens=1,tokens=2"), "tokens is given twice");
        assert!(error("usd=0").starts_with("usd: a limit must be above 0"));
        assert!(error("2M").contains("KEY=AMOUNT") && error("").contains("KEY=AMOUNT"));
        assert_eq!(error("usd=-1"), "usd: must not be below 0");
    }
}
