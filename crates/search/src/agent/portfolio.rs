//! The agent beside the planner: its plans are tried where the planner finds them worth about as much as its own.

use std::collections::HashSet;

use agenttts_core::{Exchange, Guideline, Plan, Purpose};

use super::prompt::{self, Lens, View};
use super::reply::{self, Wanted};
use super::talk::{Settled, settle};
use super::unaided::{nothing_new, repaired};
use super::{NAME, schema};
use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::planner::{Contest, Planner};
use crate::portfolio::{Round, compete};
use crate::recommend::Recommendation;

/// See the module.
pub(super) struct Portfolio;

impl Searcher for Portfolio {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if ask.round() == 0 || ask.limit_reached().is_some() || nothing_new(ask).is_some() {
            return Planner.ask(ask);
        }
        let advice = if is_due(ask) { consult(ask) } else { Ok(Advice { guideline: None, wanted: Ok(standing(ask)) }) };
        let Advice { guideline, wanted } = match advice {
            Ok(advice) => advice,
            Err(question) => return question,
        };
        let theirs: Vec<Proposal> = wanted.iter().flatten().map(|w| repaired(ask.space, w, NAME)).collect();
        let contest = Contest::new(ask, theirs.iter().map(|p| &p.plan));
        match contest.own() {
            Step::Propose { proposals: own, .. } => {
                let proposals = match wanted {
                    Ok(_) => compete(ask, &contest, own, theirs),
                    Err(error) => own.into_iter().map(|p| without_agent(p, &error)).collect(),
                };
                Step::Propose { guidelines: guideline.into_iter().collect(), proposals }
            }
            end => end,
        }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        Planner.recommend(ask)
    }
}

/// What the agent has to say to a round.
struct Advice {
    /// Written for this round.
    guideline: Option<Guideline>,
    /// The plans that it proposes, or why there are none.
    wanted: Result<Vec<Wanted>, String>,
}

/// Whether enough was learned since the agent was asked last: half as many trials as were there then, and a batch at
/// least. So its calls grow with the logarithm of the trials, however small rounds are.
fn is_due(ask: &Ask<'_>) -> bool {
    let Some(last) = earlier(ask).map(|e| e.round).max() else { return true };
    let before = ask.archive.trials.iter().filter(|t| t.round < last).count();
    let since = ask.archive.trials.len() - before;
    since >= (before / 2).max(ask.settings.batch as usize)
}

/// Guidelines and plans of this round, or the question that comes before them.
fn consult(ask: &Ask<'_>) -> Result<Advice, Step> {
    let insights = Lens::Insights(ask.settings.insights);
    let settled = settle(
        ask,
        Purpose::Summarise,
        || prompt::summarise(ask, insights, View::Pooled),
        || schema::guidelines(ask.space),
        reply::guideline,
    );
    let guideline = match settled {
        Settled::Open(question) => return Err(question),
        Settled::Answered(text) => Some(Guideline { round: ask.round() - 1, author: NAME.to_owned(), text }),
        Settled::GivenUp(_) => None,
    };
    let tried: HashSet<&Plan> = ask.archive.trials.iter().map(|t| &t.plan).collect();
    let new = ask.space.feasible().saturating_sub(tried.len() as u128);
    let count = (most(ask) as u128).min(new).max(1) as usize;
    let settled = settle(
        ask,
        Purpose::Propose,
        || prompt::propose(ask, guideline.as_ref(), View::Pooled, count),
        || schema::plans(ask.space, count),
        |text, last| reply::plans(ask.space, text, count, last),
    );
    match settled {
        Settled::Open(question) => Err(question),
        Settled::Answered(wanted) => Ok(Advice { guideline, wanted: Ok(wanted) }),
        Settled::GivenUp(error) => Ok(Advice { guideline, wanted: Err(error) }),
    }
}

/// The plans of the newest earlier reply: those that were not tried yet compete until the agent is asked again.
fn standing(ask: &Ask<'_>) -> Vec<Wanted> {
    let newest = earlier(ask).rfind(|e| e.purpose == Purpose::Propose);
    let text = newest.and_then(|e| e.reply.as_deref());
    text.and_then(|text| reply::plans(ask.space, text, most(ask), true).ok()).unwrap_or_default()
}

/// Plans that the agent is asked for: enough for several rounds, of which it may have half.
fn most(ask: &Ask<'_>) -> usize {
    2 * ask.settings.batch.max(1) as usize
}

/// The exchanges of earlier rounds.
fn earlier<'a>(ask: &Ask<'a>) -> impl DoubleEndedIterator<Item = &'a Exchange> {
    let round = ask.round();
    ask.archive.exchanges.iter().filter(move |e| e.round < round)
}

fn without_agent(mut proposal: Proposal, error: &str) -> Proposal {
    proposal.origin.repairs.push(format!("in place of the agent: {error}"));
    proposal
}
