//! The plans that came nearest to the recommended one: what the final test measures beside it and the baselines. They are
//! chosen by the search's trials alone, before the test examples are opened.

use agenttts_core::{Archive, Plan, Trial};
use agenttts_search::estimates;

use crate::load::Loaded;
use crate::settings::StudySettings;
use crate::summary::recommended;

/// A measured plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rival {
    pub(crate) plan: Plan,
    /// Its first trial.
    pub(crate) trial: u32,
}

/// The plans that came nearest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rivals {
    /// The search's second choice.
    pub(crate) runner_up: Option<Rival>,
    /// The cheapest plan of which the search thinks that it is worse by less than the margin.
    pub(crate) cheaper: Option<Rival>,
    /// Whether the runner-up, too, is cheaper and worse by less than the margin, as far as the search can tell.
    pub(crate) runner_up_is_cheaper: bool,
}

impl Rivals {
    /// The rivals of the recommended plan. Plans that were raced out are none.
    pub(crate) fn of(loaded: &Loaded, settings: &StudySettings, archive: &Archive, winner: &Plan) -> Self {
        let ranked = estimates(&loaded.space, archive);
        let Some(own) = ranked.iter().find(|r| &r.plan == winner) else { return Rivals::default() };
        let margin = loaded.pipeline.margin;
        let is_cheaper = |plan: &Plan| {
            let other = ranked.iter().find(|r| &r.plan == plan);
            other.is_some_and(|r| r.within_budget && r.cost < own.cost * (1.0 - 1e-9) && r.mean >= own.mean - margin)
        };
        let by_estimates = ranked.first().is_some_and(|first| &first.plan == winner);
        let second = match by_estimates {
            true => ranked.get(1).map(|r| Rival { plan: r.plan.clone(), trial: r.trial }),
            // The method goes by something else than the estimates: by its own rule without the winner.
            false => {
                let others = |t: &&Trial| &t.plan != winner;
                let without =
                    Archive { trials: archive.trials.iter().filter(others).cloned().collect(), ..archive.clone() };
                recommended(loaded, settings, &without).map(|r| Rival { plan: r.plan, trial: r.trial })
            }
        };
        let cheapest = ranked.iter().filter(|r| is_cheaper(&r.plan)).min_by(|a, b| a.cost.total_cmp(&b.cost));
        Rivals {
            runner_up_is_cheaper: second.as_ref().is_some_and(|r| is_cheaper(&r.plan)),
            cheaper: cheapest.map(|r| Rival { plan: r.plan.clone(), trial: r.trial }),
            runner_up: second,
        }
    }
}
