//! AgentTTS's loop without a language model: guidelines and proposals derived from the archive by the three insights.

mod candidates;
mod guideline;
mod reason;

use std::collections::HashSet;

use agenttts_core::{Plan, Space};
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::initial::opening;
use crate::random::nothing_left;
use crate::surrogate::{Pool, Surrogate};
use candidates::{Candidate, Rule, candidates};
use guideline::guideline;

/// The loop with rules in the place of the agent.
pub(crate) struct Rules;

pub(crate) const NAME: &str = "rules";

/// Good plans around which candidates are made.
const ELITES: usize = 4;

/// Standard deviations that a plan's promise lies above its estimate.
const OPTIMISM: f64 = 1.5;

/// Every so many trials one goes to the plan of which least is known, whatever it promises.
const EXPLORE_EVERY: usize = 5;

/// What the whole budget counts for in a plan's promise: decides between plans that promise the same.
const THRIFT: f64 = 1e-3;

/// The most trials of one plan, replicates included.
const MOST_TRIALS: usize = 3;

/// The share of noise that survives replication from which on replicates are not worth their price.
const REPETITIVE: f64 = 0.6;

impl Searcher for Rules {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(step) = opening(ask, NAME) {
            return step;
        }
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
        let surrogate = Surrogate::new(ask.space, ask.archive, ask.settings.insights, &mut rng);
        let proposals = propose(ask, &surrogate, ask.room(), &mut rng);
        if proposals.is_empty() {
            return nothing_left(ask);
        }
        Step::Propose { guidelines: guideline(ask, &surrogate).into_iter().collect(), proposals }
    }
}

/// Up to `count` plans that are not in the archive, replicates of the best apart; fewer only when no others are left.
///
/// Each is the candidate with the highest estimate plus [`OPTIMISM`] standard deviations, after the ones before it are
/// assumed to turn out as expected. Every [`EXPLORE_EVERY`]th trial is the candidate of which least is known instead: first
/// trials may happen to show one stage at choices that make all others look alike, and what follows from that would
/// otherwise never be put to the test.
fn propose(ask: &Ask<'_>, surrogate: &Surrogate, count: usize, rng: &mut ChaCha8Rng) -> Vec<Proposal> {
    let space = ask.space;
    let taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
    let elites = elites(space, surrogate);
    let mut all = candidates(space, &elites, &taken, ask.settings.insights, rng);
    let affordable: Vec<Candidate> = all.iter().filter(|c| ask.affordable(&space.plan(&c.options))).cloned().collect();
    if !affordable.is_empty() {
        all = affordable;
    }
    let again = elites.iter().filter(|e| worth_replicating(ask, surrogate, e));
    all.extend(again.map(|e| Candidate { options: e.clone(), rule: Rule::Replicate, parent: None }));
    let cost: Vec<f64> = all.iter().map(|c| share(space, &c.options)).collect();
    let mut pool = Pool::new(surrogate, all.iter().map(|c| c.options.clone()).collect());
    let promised = |pool: &Pool<'_>, i: usize| promised(pool, i, cost[i]);
    let mut left: Vec<usize> = (0..all.len()).collect();
    let mut proposals = Vec::new();
    while proposals.len() < count {
        let explores = (ask.archive.trials.len() + proposals.len() + 1).is_multiple_of(EXPLORE_EVERY);
        let value = |i: usize| if explores { pool.belief(i).sd } else { promised(&pool, i) };
        let best = left.iter().map(|&i| value(i)).enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
        let Some((at, _)) = best else {
            break;
        };
        let chosen = left.remove(at);
        if explores {
            (all[chosen].rule, all[chosen].parent) = (Rule::Random, None);
        }
        let text = reason::reason(space, &all[chosen], pool.belief(chosen));
        let plan = space.plan(&all[chosen].options);
        proposals.push(Proposal::new(plan, NAME, text));
        pool.assume(chosen);
    }
    proposals
}

/// What a plan promises: an estimate of its score and of what may be learned.
fn promised(pool: &Pool<'_>, candidate: usize, cost: f64) -> f64 {
    let b = pool.belief(candidate);
    b.mean + OPTIMISM * b.sd - THRIFT * cost
}

/// Whether fresh draws of a measured plan could tell anything: its draws are not all greedy, it was not tried
/// [`MOST_TRIALS`] times yet, none of its trials is open, and replicates so far did not merely repeat themselves.
pub(crate) fn worth_replicating(ask: &Ask<'_>, surrogate: &Surrogate, options: &[usize]) -> bool {
    let plan = ask.space.plan(options);
    let random = plan.choices.iter().any(|c| !c.temperature.is_greedy());
    let trials = ask.archive.trials.iter().filter(|t| t.plan == plan);
    let measured = trials.clone().filter(|t| t.measurement().is_some()).count();
    random
        && measured > 0
        && measured == trials.count()
        && measured < MOST_TRIALS
        && surrogate.lasting < REPETITIVE
        && ask.remaining.is_none_or(|left| left > 0.0)
}

/// What a plan costs as a share of the budget.
fn share(space: &Space, options: &[usize]) -> f64 {
    let units = |c| space.cost_model().units(c);
    let budget = units(space.budget()).abs().max(f64::MIN_POSITIVE);
    (units(candidates::cost(space, options)) / budget).clamp(-1.0, 1.0)
}

/// The measured plans with the highest estimates within the budget, best first.
pub(crate) fn elites(space: &Space, surrogate: &Surrogate) -> Vec<Vec<usize>> {
    let mut all: Vec<(f64, &Vec<usize>)> = surrogate
        .observations
        .iter()
        .filter(|o| candidates::cost(space, &o.options) <= space.budget())
        .map(|o| (surrogate.belief(&o.options).mean, &o.options))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(ELITES).map(|(_, o)| o.clone()).collect()
}
