//! How prompts fitted the contexts of their models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::summary::StudySummary;

/// How the prompts of a stage fitted the context of its model, over the examples of a measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fitting {
    /// Examples with a prompt that was shortened.
    pub shortened: u32,
    /// The share that these lost of what the stage shortens, on average; 0 where there are none.
    pub left_out: f64,
    /// Examples that failed because a prompt was too long.
    pub too_long: u32,
}

impl Fitting {
    /// Of several measurements together.
    pub fn total<'a>(parts: impl Iterator<Item = &'a Fitting>) -> Fitting {
        let mut total = Fitting::default();
        for part in parts {
            let shortened = total.shortened + part.shortened;
            let left_out = total.left_out * f64::from(total.shortened) + part.left_out * f64::from(part.shortened);
            total = Fitting {
                shortened,
                left_out: left_out / f64::from(shortened.max(1)),
                too_long: total.too_long + part.too_long,
            };
        }
        total
    }

    /// In words, such as `1 example failed, 2 lost 40% of candidates on average`; empty where everything fitted.
    /// `shortens` is what the stage shortens.
    pub fn words(&self, shortens: Option<&str>) -> String {
        let examples = |n: u32| format!("{n} example{}", if n == 1 { "" } else { "s" });
        let failed = (self.too_long > 0).then(|| format!("{} failed", examples(self.too_long)));
        let share = (self.left_out * 100.0).round().max(1.0);
        let lost = (self.shortened > 0).then(|| {
            format!("{} lost {share}% of {} on average", examples(self.shortened), shortens.unwrap_or("their prompts"))
        });
        failed.into_iter().chain(lost).collect::<Vec<_>>().join(", ")
    }
}

impl StudySummary {
    /// What to say of how a plan's prompts fitted, a line for each stage and model that they did not all fit.
    pub fn fitting_words(&self, plan: &Plan, fitting: &[Fitting]) -> Vec<String> {
        let stages = self.stages.iter().zip(&plan.choices).zip(fitting);
        let told = stages.filter(|(_, fitting)| **fitting != Fitting::default());
        told.map(|((stage, choice), fitting)| {
            let words = fitting.words(stage.shortens.as_deref());
            format!("prompts of {} too long for {}: {words}", stage.name, choice.model)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_did_not_fit_is_said() {
        let words = |shortened, left_out, too_long| Fitting { shortened, left_out, too_long }.words(Some("candidates"));
        assert_eq!(words(0, 0.0, 0), "");
        assert_eq!(words(0, 0.0, 1), "1 example failed");
        assert_eq!(words(2, 0.4, 1), "1 example failed, 2 examples lost 40% of candidates on average");
        assert_eq!(words(1, 0.001, 0), "1 example lost 1% of candidates on average");
    }

    #[test]
    fn parts_add_up() {
        let part = |shortened, left_out| Fitting { shortened, left_out, too_long: 1 };
        let total = Fitting::total([part(3, 0.5), part(0, 0.0), part(1, 0.1)].iter());
        assert_eq!((total.shortened, total.too_long), (4, 3));
        assert!((total.left_out - 0.4).abs() < 1e-12, "{total:?}");
    }
}
