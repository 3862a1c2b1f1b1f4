//! Coordinate search: one stage at a time.
//!
//! From a first plan, the options of one stage are tried with the others kept, samples on a grid in which each count
//! doubles the one before; the best is kept, and the next stage follows. Where a round through all stages changes
//! nothing, the search begins again from another plan.

use std::collections::{HashMap, HashSet};

use agenttts_core::{Plan, Space};
use rand::seq::SliceRandom;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::encoding::Encoding;
use crate::observed::best_observed;
use crate::random::nothing_left;
use crate::recommend::Recommendation;
use crate::tried::{Purse, proposed, tried};

/// Coordinate search.
pub(crate) struct Coordinate;

pub(crate) const NAME: &str = "coordinate";

/// The grid's counts differ by at least this factor.
const FACTOR: f64 = 2.0;

/// Rounds through all stages that a search should have time for.
const ROUNDS: f64 = 4.0;

/// Beginnings before the rest is drawn at random.
const STARTS: usize = 200;

impl Searcher for Coordinate {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        let taken = proposed(ask.archive);
        let mut purse = Purse::new(ask);
        let walk = Walk::new(ask, &taken);
        let (wanted, reason) = walk.next(ask);
        let mut plans = purse.choose(wanted, ask.room());
        if plans.is_empty() {
            let mut rng = rng(ask.settings.seed, ask.round(), Use::Coordinate);
            plans = purse.choose(walk.encoding.plans(ask.space, &taken, ask.room(), &mut rng), ask.room());
        }
        if plans.is_empty() {
            return nothing_left(ask);
        }
        let proposals = plans.into_iter().map(|p| Proposal::new(p, NAME, reason.clone())).collect();
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

/// The search from its beginning, walked through again by what the archive says.
struct Walk<'a> {
    space: &'a Space,
    encoding: Encoding,
    scores: HashMap<Vec<usize>, f64>,
    taken: HashSet<Vec<usize>>,
}

impl<'a> Walk<'a> {
    fn new(ask: &Ask<'a>, taken: &HashSet<Plan>) -> Self {
        let scores = tried(ask.space, ask.archive).into_iter().map(|t| (t.options, t.mean)).collect();
        let taken = taken.iter().filter_map(|p| ask.space.indices(p)).collect();
        Walk { space: ask.space, encoding: Encoding::of(ask.space), scores, taken }
    }

    /// The plans that the step at hand still lacks, and what it is in words; no plans when all is done.
    fn next(&self, ask: &Ask<'_>) -> (Vec<Plan>, String) {
        let seed = ask.settings.seed;
        let mut draws = rng(seed, 0, Use::Coordinate);
        let mut starts: HashSet<Plan> = HashSet::new();
        let stages = self.space.stages().len();
        while starts.len() < STARTS {
            let Some(plan) = self.encoding.plans(self.space, &starts, 1, &mut draws).pop() else {
                break;
            };
            let Some(mut current) = self.space.indices(&plan) else {
                break;
            };
            let most = longest(ask, &plan);
            starts.insert(plan.clone());
            if !self.taken.contains(&current) {
                return (vec![plan], format!("beginning {} of a search stage by stage", starts.len()));
            }
            let mut unchanged = 0;
            for visit in 0u32.. {
                if unchanged == stages {
                    break;
                }
                let stage = visit as usize % stages;
                let mut line = self.line(&current, stage);
                line.shuffle(&mut rng(seed, visit + 1, Use::Coordinate));
                line.truncate(most);
                let open: Vec<&Vec<usize>> = line.iter().filter(|o| !self.taken.contains(*o)).collect();
                if !open.is_empty() {
                    let name = &self.space.stages()[stage].stage.name;
                    let reason = format!("another choice for {name} in {}", self.space.plan(&current));
                    return (open.into_iter().map(|o| self.space.plan(o)).collect(), reason);
                }
                let score = |o: &Vec<usize>| self.scores.get(o).copied().unwrap_or(f64::NEG_INFINITY);
                let best = line.into_iter().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)));
                match best.filter(|b| score(b) > score(&current)) {
                    Some(better) => (current, unchanged) = (better, 0),
                    None => unchanged += 1,
                }
            }
        }
        (Vec::new(), "drawn at random: every beginning has come to its end".to_owned())
    }

    /// The feasible plans that differ from `current` in this stage only, with samples on the grid.
    fn line(&self, current: &[usize], stage: usize) -> Vec<Vec<usize>> {
        let codes = &self.encoding.stages[stage].codes;
        let mut order: Vec<usize> = (0..codes.len()).collect();
        order.sort_by(|&a, &b| codes[a].group.cmp(&codes[b].group).then(codes[a].log.total_cmp(&codes[b].log)));
        let mut line: Vec<Vec<usize>> = Vec::new();
        let mut last: Option<(usize, f64)> = None;
        for o in order {
            let mut options = current.to_vec();
            options[stage] = o;
            let near =
                last.is_some_and(|(group, log)| group == codes[o].group && codes[o].log < log + FACTOR.ln() - 1e-9);
            if near || !self.space.fits(&options) {
                continue;
            }
            last = Some((codes[o].group, codes[o].log));
            if options != current {
                line.push(options);
            }
        }
        line
    }
}

/// The most options of a stage that are tried at once: one with very many must not take all the trials of a short
/// search. Whole powers of two, so that prices that are not known exactly hardly ever change it during a study.
fn longest(ask: &Ask<'_>, plan: &Plan) -> usize {
    let usual = ask.settings.examples.or(ask.pool).unwrap_or(1);
    let priced = ask.prices.zip(ask.remaining).map(|(prices, left)| {
        let affordable = left / prices.price(plan, usual).max(f64::MIN_POSITIVE);
        ask.archive.trials.len() as f64 + affordable.clamp(0.0, 1e9)
    });
    let counted = ask.settings.trials.map(f64::from);
    let Some(trials) = priced.into_iter().chain(counted).min_by(f64::total_cmp) else {
        return usize::MAX;
    };
    let each = (trials / (ROUNDS * ask.space.stages().len() as f64)).max(4.0);
    1 << (each.log2() as usize)
}
