//! What a method recommends that trusts its own scores only: the best noisy score.

use crate::ask::Ask;
use crate::recommend::Recommendation;
use crate::tried::{Tried, tried};

/// The measured plan with the highest mean over all its examples, of those within the budget by their measured cost;
/// where none is, of all. Plans that were raced out are left out. `None` when nothing was measured.
pub(crate) fn best_observed(ask: &Ask<'_>) -> Option<Recommendation> {
    let plans = tried(ask.space, ask.archive);
    let count = plans.len();
    best_of(ask, plans, &format!("of {count} measured plans"))
}

/// The same of some of the measured plans, which `whom` tells in words.
pub(crate) fn best_of(ask: &Ask<'_>, plans: Vec<Tried>, whom: &str) -> Option<Recommendation> {
    let best = plans.into_iter().filter(|t| !t.is_raced_out).max_by(|a, b| {
        let fits = |t: &Tried| within_budget(ask, t);
        let by_score = fits(a).cmp(&fits(b)).then(a.mean.total_cmp(&b.mean));
        by_score.then(b.cost.total_cmp(&a.cost)).then(b.trial.cmp(&a.trial))
    })?;
    let why = format!("highest score ({:.3} on {} examples) {whom}", best.mean, best.examples);
    Some(recommendation(ask, &best, best.mean, standard_error(&best), why))
}

/// The plan as a recommendation with the given belief.
pub(crate) fn recommendation(ask: &Ask<'_>, tried: &Tried, mean: f64, sd: f64, mut why: String) -> Recommendation {
    let within_budget = within_budget(ask, tried);
    if !within_budget {
        why.push_str("; measured, it costs more than the budget");
    }
    let plan = ask.space.plan(&tried.options);
    Recommendation { trial: tried.trial, plan, mean, sd, cost: tried.cost, within_budget, why }
}

/// Whether the plan's measured cost is within the plan budget, but for rounding.
pub(crate) fn within_budget(ask: &Ask<'_>, tried: &Tried) -> bool {
    let budget = ask.space.cost_model().units(ask.space.budget());
    tried.cost <= budget * (1.0 + 1e-9) + 1e-9
}

/// The standard error that zero-one scores of that mean have, with one success and one failure added so that
/// agreement is not taken for certainty.
fn standard_error(tried: &Tried) -> f64 {
    let n = f64::from(tried.examples);
    let share = (tried.mean * n + 1.0) / (n + 2.0);
    (share * (1.0 - share)).max(0.0).sqrt() / n.sqrt()
}
