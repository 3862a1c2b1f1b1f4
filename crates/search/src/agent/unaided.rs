//! Language models that propose plans by themselves: the loop of AgentTTS as its paper describes it, and the methods that
//! it is compared with there. Nothing stands in for what they propose but the nearest plan that can be run; the best
//! score wins.

use std::collections::HashSet;

use agenttts_core::{Guideline, Plan, Purpose, Space};

use super::prompt::{self, Lens, View};
use super::reply::{self, Wanted};
use super::talk::{Settled, settle};
use super::{room, schema};
use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng, uniform_plans};
use crate::initial::opening;
use crate::observed::best_observed;
use crate::random::nothing_left;
use crate::recommend::Recommendation;

/// A method that is nothing but its language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unaided {
    /// The loop of the paper: initial trials by insight 1; then, round by round, guidelines by the insights and plans by
    /// the guidelines.
    AgentTts,
    /// Plans from the task text, with no scores and no guidelines: the model sees only what it has proposed before.
    ZeroShot,
    /// Plans from the task text, then guidelines and plans from the trials: the same loop with no insights.
    AgentHpo,
    /// Guidelines from an earlier study of a similar task, written once; then plans by them and by the trials.
    MlCopilot,
}

pub(crate) const ZERO_SHOT: &str = "llm-zs";
pub(crate) const AGENT_HPO: &str = "agent-hpo";
pub(crate) const ML_COPILOT: &str = "mlcopilot";

impl Searcher for Unaided {
    fn name(&self) -> &str {
        match self {
            Unaided::AgentTts => super::NAME,
            Unaided::ZeroShot => ZERO_SHOT,
            Unaided::AgentHpo => AGENT_HPO,
            Unaided::MlCopilot => ML_COPILOT,
        }
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        let open = if *self == Unaided::AgentTts { opening(ask, self.name()) } else { ask.limit_reached() };
        if let Some(step) = open.or_else(|| nothing_new(ask)) {
            return step;
        }
        let guideline = match self.guideline(ask) {
            Ok(guideline) => guideline,
            Err(step) => return step,
        };
        let room = room(ask);
        let view = if *self == Unaided::ZeroShot { View::Unscored } else { View::All };
        let settled = settle(
            ask,
            Purpose::Propose,
            || prompt::propose(ask, guideline.as_ref(), view, room),
            || schema::plans(ask.space, room),
            |text, last| reply::plans(ask.space, text, room, last),
        );
        let proposals = match settled {
            Settled::Open(question) => return question,
            Settled::Answered(wanted) => wanted.iter().map(|w| repaired(ask.space, w, self.name())).collect(),
            Settled::GivenUp(error) => at_random(ask, room, self.name(), &error),
        };
        Step::Propose { guidelines: guideline.into_iter().collect(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

impl Unaided {
    /// The guideline of this round, if the method writes one; or the step that comes before it.
    fn guideline(self, ask: &Ask<'_>) -> Result<Option<Guideline>, Step> {
        let round = ask.round();
        let messages = match (self, ask.history) {
            (Unaided::AgentTts, _) => prompt::summarise(ask, Lens::Insights(ask.settings.insights), View::All),
            (Unaided::AgentHpo, _) if round > 0 => prompt::summarise(ask, Lens::Plain, View::All),
            (Unaided::MlCopilot, Some(history)) if ask.archive.trials.is_empty() => prompt::distil(ask, history),
            (Unaided::MlCopilot, None) if ask.archive.trials.is_empty() => {
                return Err(Step::Finished(
                    "mlcopilot needs an earlier study to learn from, and none was given".into(),
                ));
            }
            _ => return Ok(None),
        };
        let schema = || schema::guidelines(ask.space);
        match settle(ask, Purpose::Summarise, || messages, schema, reply::guideline) {
            Settled::Open(question) => Err(question),
            Settled::Answered(text) => {
                Ok(Some(Guideline { round: round.saturating_sub(1), author: self.name().to_owned(), text }))
            }
            Settled::GivenUp(_) => Ok(None),
        }
    }
}

/// The end, once every plan was tried: a model that proposes old plans only would go on for ever.
pub(super) fn nothing_new(ask: &Ask<'_>) -> Option<Step> {
    let tried: HashSet<&Plan> = ask.archive.trials.iter().map(|t| &t.plan).collect();
    (tried.len() as u128 >= ask.space.feasible()).then(|| nothing_left(ask))
}

/// What the agent wants, as far as it can be run.
pub(super) fn repaired(space: &Space, wanted: &Wanted, method: &str) -> Proposal {
    let (plan, repairs) = space.repair(&wanted.choices);
    let mut proposal = Proposal::new(plan, method, "proposed by the agent");
    proposal.origin.repairs = repairs;
    proposal
}

/// Random plans that were not tried, in place of an agent that gives no usable reply.
fn at_random(ask: &Ask<'_>, count: usize, method: &str, error: &str) -> Vec<Proposal> {
    let taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
    let mut rng = rng(ask.settings.seed, ask.round(), Use::Uniform);
    let plans = uniform_plans(ask.space, &taken, count, &mut rng);
    let stand_in = |plan| {
        let mut proposal = Proposal::new(plan, method, "drawn uniformly");
        proposal.origin.repairs.push(format!("in place of the agent: {error}"));
        proposal
    };
    plans.into_iter().map(stand_in).collect()
}
