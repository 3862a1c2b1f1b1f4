//! The agent beside a method that plans by itself: its plans are tried where that method finds them as good as its own.

use agenttts_core::{Exchange, Guideline, Purpose};

use super::prompt::{self, Lens, View};
use super::talk::{Settled, settle};
use super::unaided::repaired;
use super::{NAME, reply, room, schema};
use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::portfolio;
use crate::recommend::Recommendation;

/// See the module.
pub(super) struct Portfolio;

impl Searcher for Portfolio {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(step) = portfolio::opening(ask) {
            return step;
        }
        if !is_due(ask) {
            return portfolio::round(ask).own();
        }
        let insights = Lens::Insights(ask.settings.insights);
        let settled = settle(
            ask,
            Purpose::Summarise,
            || prompt::summarise(ask, insights, View::Pooled),
            || schema::guidelines(ask.space),
            reply::guideline,
        );
        let guideline = match settled {
            Settled::Open(question) => return question,
            Settled::Answered(text) => Some(Guideline { round: ask.round() - 1, author: NAME.to_owned(), text }),
            Settled::GivenUp(_) => None,
        };
        let room = room(ask);
        let settled = settle(
            ask,
            Purpose::Propose,
            || prompt::propose(ask, guideline.as_ref(), View::Pooled, room),
            || schema::plans(ask.space, room),
            |text, last| reply::plans(ask.space, text, room, last),
        );
        let wanted = match settled {
            Settled::Open(question) => return question,
            Settled::Answered(wanted) => Ok(wanted),
            Settled::GivenUp(error) => Err(error),
        };
        let round = portfolio::round(ask);
        let Step::Propose { mut guidelines, proposals: own } = round.own() else {
            return round.own();
        };
        if let Some(guideline) = guideline {
            guidelines = vec![guideline];
        }
        let proposals = match wanted {
            Ok(wanted) => {
                let theirs = wanted.iter().map(|w| repaired(ask.space, w, NAME)).collect();
                portfolio::compete(ask, &*round, own, theirs)
            }
            Err(error) => own.into_iter().map(|p| without_agent(p, &error)).collect(),
        };
        Step::Propose { guidelines, proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        portfolio::recommend(ask)
    }
}

/// Whether enough was learned since the agent was last asked to ask it again: where rounds are small, a call for each
/// would cost more than its trials.
fn is_due(ask: &Ask<'_>) -> bool {
    let round = ask.round();
    let earlier = |e: &&Exchange| e.round < round;
    let Some(last) = ask.archive.exchanges.iter().filter(earlier).map(|e| e.round).max() else {
        return true;
    };
    let since = ask.archive.trials.iter().filter(|t| t.round >= last).count();
    since >= ask.settings.batch as usize
}

fn without_agent(mut proposal: Proposal, error: &str) -> Proposal {
    proposal.origin.repairs.push(format!("in place of the agent: {error}"));
    proposal
}
