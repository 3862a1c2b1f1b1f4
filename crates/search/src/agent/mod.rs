//! AgentTTS: a language model writes guidelines from the trials and proposes plans by them (arXiv 2508.00890).
//!
//! Sans-IO: each prompt is returned as a question, and its reply is looked up in the archive when the method is asked
//! again. What the model proposes wrongly is repaired or replaced, and the trial's origin says so; after two unusable
//! replies the method `rules` takes the step.

mod prompt;
mod reply;
mod schema;

use std::collections::HashSet;

use agenttts_core::{Exchange, Guideline, Message, Plan, Purpose};
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Question, Searcher, Step};
use crate::draw::{Use, rng};
use crate::initial::opening;
use crate::random::all_tried;
use crate::rules;
use crate::surrogate::Surrogate;
use crate::words::shortened;
use reply::Wanted;

/// The paper's loop with a language model as the agent.
pub(crate) struct Agent;

pub(crate) const NAME: &str = "agent";

/// Tries for each question: the second quotes the error of the first.
const TRIES: u32 = 2;

impl Searcher for Agent {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(step) = opening(ask, NAME) {
            return step;
        }
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
        let learned = |rng: &mut ChaCha8Rng| Surrogate::new(ask.space, ask.archive, ask.settings.insights, rng);
        let guideline = match settle(ask, Purpose::Summarise, reply::guideline) {
            Settled::Open(attempt, bad) => {
                let messages = with_complaint(prompt::summarise(ask), bad);
                return question(ask, Purpose::Summarise, attempt, messages, schema::guidelines(ask.space));
            }
            Settled::Answered(text) => Some(Guideline { round: ask.round() - 1, author: NAME.to_owned(), text }),
            Settled::GivenUp(_) => rules::guideline(ask, &learned(&mut rng)),
        };
        let room = ask.room();
        let parse = |text: &str, last: bool| reply::plans(ask.space, text, room, last);
        let wanted = match settle(ask, Purpose::Propose, parse) {
            Settled::Open(attempt, bad) => {
                let messages = with_complaint(prompt::propose(ask, guideline.as_ref()), bad);
                return question(ask, Purpose::Propose, attempt, messages, schema::plans(ask.space, room));
            }
            Settled::Answered(wanted) => Ok(wanted),
            Settled::GivenUp(error) => Err(error),
        };
        let surrogate = learned(&mut rng);
        let proposals = match wanted {
            Ok(wanted) => settle_plans(ask, &surrogate, wanted, room, &mut rng),
            Err(error) => {
                let mut proposals = rules::propose(ask, &surrogate, room, &HashSet::new(), &mut rng);
                for p in &mut proposals {
                    p.origin.repairs.push(format!("in place of the agent: {error}"));
                }
                proposals
            }
        };
        if proposals.is_empty() {
            return all_tried(ask.archive.trials.len());
        }
        Step::Propose { guidelines: guideline.into_iter().collect(), proposals }
    }
}

/// How far a question of this round has come.
enum Settled<T> {
    /// It is to be asked as this attempt; with the reply before and what was wrong with it.
    Open(u32, Option<(Option<String>, String)>),
    /// A usable reply.
    Answered(T),
    /// No try gave a usable reply; what was wrong with the last.
    GivenUp(String),
}

/// Looks for a usable reply among the exchanges of this round. `parse` is told whether there will be another try.
fn settle<T>(ask: &Ask<'_>, purpose: Purpose, parse: impl Fn(&str, bool) -> Result<T, String>) -> Settled<T> {
    let mut before = None;
    for attempt in 0..TRIES {
        let Some(exchange) = exchange(ask, purpose, attempt) else {
            return Settled::Open(attempt, before);
        };
        let parsed = match &exchange.reply {
            Some(text) => parse(text, attempt + 1 == TRIES),
            None => Err(format!("the call failed: {}", exchange.error.as_deref().unwrap_or("no reply"))),
        };
        match parsed {
            Ok(value) => return Settled::Answered(value),
            Err(error) => before = Some((exchange.reply.clone(), error)),
        }
    }
    Settled::GivenUp(before.map_or_else(String::new, |(_, error)| error))
}

fn exchange<'a>(ask: &Ask<'a>, purpose: Purpose, attempt: u32) -> Option<&'a Exchange> {
    let round = ask.round();
    let mine = |e: &&Exchange| e.round == round && e.purpose == purpose && e.attempt == attempt;
    ask.archive.exchanges.iter().rev().find(mine)
}

fn question(ask: &Ask<'_>, purpose: Purpose, attempt: u32, messages: Vec<Message>, schema: serde_json::Value) -> Step {
    Step::Question(Question { round: ask.round(), attempt, purpose, messages, schema })
}

/// The prompt, followed by the bad reply and what is wrong with it. After a failed call the prompt is asked as it was.
fn with_complaint(mut messages: Vec<Message>, bad: Option<(Option<String>, String)>) -> Vec<Message> {
    if let Some((Some(reply), error)) = bad {
        messages.push(Message::assistant(shortened(&reply, 600)));
        messages.push(Message::user(prompt::complaint(&error)));
    }
    messages
}

/// Repairs what the agent wants, replaces duplicates and fills up to `room` plans by the rules.
fn settle_plans(
    ask: &Ask<'_>,
    surrogate: &Surrogate,
    wanted: Vec<Wanted>,
    room: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Proposal> {
    let mut chosen: HashSet<Plan> = HashSet::new();
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    let incumbent = rules::elites(ask.space, surrogate).into_iter().next();
    for Wanted { choices } in wanted {
        let (plan, repairs) = ask.space.repair(&choices);
        let before = ask.archive.trials.iter().find(|t| t.plan == plan);
        let mut proposal = Proposal::new(plan, NAME, "proposed by the agent");
        proposal.origin.repairs = repairs;
        if chosen.contains(&proposal.plan) {
            missing.push("the agent proposed one plan twice".to_owned());
            continue;
        }
        if let Some(before) = before {
            let best = incumbent.as_deref().filter(|&i| ask.space.plan(i) == proposal.plan);
            let Some(options) = best.filter(|&i| rules::worth_replicating(ask, surrogate, i)) else {
                missing.push(format!("the agent proposed the plan of trial {} again", before.number));
                continue;
            };
            let n = surrogate.belief(options);
            proposal.origin.repairs.push(format!(
                "the plan of trial {}, the best so far ({:.2} ± {:.2}), is tried again on fresh draws to confirm it",
                before.number, n.mean, n.sd
            ));
        }
        chosen.insert(proposal.plan.clone());
        proposals.push(proposal);
    }
    let short = room.saturating_sub(proposals.len() + missing.len());
    missing.extend(std::iter::repeat_n("the agent proposed too few plans".to_owned(), short));
    let replacements = rules::propose(ask, surrogate, missing.len(), &chosen, rng);
    for (mut proposal, why) in replacements.into_iter().zip(missing) {
        proposal.origin.repairs.push(format!("in place of the agent's: {why}"));
        proposals.push(proposal);
    }
    proposals
}
