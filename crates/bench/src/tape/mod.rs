//! Tapes: recorded draws of a real pipeline, on which a trial is played, and paid for by the tokens that it draws.
//!
//! The examples are a finite pool that all plans share, as in life; every seed has its own order of them. There is one
//! stream of draws: a plan that was tried on the whole pool has nothing left to ask.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::{Measurement, Plan, Problem, Problems, Space, Span, Usage};
use agenttts_engine::{EngineError, Loaded, Need, PlayedTape, Tape};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::environment::{Arena, Environment, Session, Truth, Unit};

/// How a tape's file name ends.
pub(crate) const EXTENSION: &str = "tape";

/// The usual search budget, as a share of the tokens that all plans within the plan budget together need.
const USUAL_SHARE: f64 = 0.5;

/// A tape's file as an environment and its truth, under the plan budget of its pipeline.
///
/// # Errors
/// A file that is no whole tape of this program's format.
pub fn read_tape(path: &Path) -> Result<Arena, Problems> {
    let tape = Tape::open(path)?;
    arena(&Arc::new(tape)).map_err(|problems| at(path, problems))
}

/// The problems, each with the tape's file.
pub(crate) fn at(path: &Path, Problems(problems): Problems) -> Problems {
    let at = |p: Problem| Problem { message: format!("{}: {}", path.display(), p.message), ..p };
    Problems(problems.into_iter().map(at).collect())
}

/// A tape as an environment and its truth: the mean of every plan over all search examples, and its outcomes on the test
/// examples.
pub(crate) fn arena(tape: &Arc<Tape>) -> Result<Arena, Problems> {
    arena_under(tape, tape.load()?)
}

/// As [`arena`], with the tape's pipeline under other prices or another plan budget.
pub(crate) fn arena_under(tape: &Arc<Tape>, loaded: Loaded) -> Result<Arena, Problems> {
    let played = PlayedTape::new(tape, loaded).map_err(|error| match error {
        EngineError::Input(problems) => problems,
        other => Problem::new(other.to_string()).maybe_hint(other.hint()).into(),
    })?;
    let space = &played.loaded().space;
    let truth = Truth::new(space, played.plans().filter_map(|plan| Some((plan.clone(), played.score(plan)?))));
    let tested = played.plans().filter_map(|plan| Some((plan.clone(), played.test_scores(plan)?.to_vec())));
    let truth = truth.with_test(tested.filter(|(_, scores)| !scores.is_empty()));
    let name = played.loaded().pipeline.name.clone();
    Ok(Arena { name, environment: Box::new(Ground::new(played)), truth })
}

/// A played tape as an environment.
struct Ground {
    played: PlayedTape,
    /// Tokens that all plans together need.
    whole: f64,
}

impl Ground {
    fn new(played: PlayedTape) -> Self {
        let mut most = vec![0; played.requests()];
        for plan in played.plans() {
            for need in (0..played.examples()).flat_map(|example| played.needs(plan, example)) {
                most[need.request] = need.draws.max(most[need.request]);
            }
        }
        let needs = most.into_iter().enumerate().map(|(request, draws)| Need { request, draws });
        let usage: Usage = needs.map(|need| played.bill(need, 0)).sum();
        Ground { whole: usage.tokens() as f64, played }
    }
}

impl Environment for Ground {
    fn space(&self) -> &Space {
        &self.played.loaded().space
    }

    fn pool(&self) -> Option<u32> {
        Some(self.played.examples())
    }

    fn unit(&self) -> Unit {
        Unit::Tokens
    }

    fn usual_budget(&self) -> f64 {
        (self.whole * USUAL_SHARE).round().max(1.0)
    }

    fn usual_examples(&self) -> u32 {
        self.played.examples()
    }

    fn session(&self, seed: u64) -> Box<dyn Session + '_> {
        let mut order: Vec<u32> = (0..self.played.examples()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Box::new(Run { played: &self.played, order, have: vec![0; self.played.requests()], tried: HashMap::new() })
    }
}

/// One run on a tape.
struct Run<'a> {
    played: &'a PlayedTape,
    /// The order of the examples.
    order: Vec<u32>,
    /// How many draws of each request are paid for.
    have: Vec<u32>,
    /// On how many examples each plan was tried.
    tried: HashMap<Plan, u32>,
}

impl Run<'_> {
    /// The draws that the plan needs on these examples, each request once.
    fn needs(&self, plan: &Plan, examples: &[u32]) -> HashMap<usize, u32> {
        let mut needs = HashMap::new();
        for need in examples.iter().flat_map(|&example| self.played.needs(plan, example)) {
            let draws = needs.entry(need.request).or_insert(0);
            *draws = need.draws.max(*draws);
        }
        needs
    }

    fn bill(&self, needs: &HashMap<usize, u32>) -> Usage {
        let lacking = needs.iter().map(|(&request, &draws)| (Need { request, draws }, self.have[request]));
        lacking.filter(|(need, have)| need.draws > *have).map(|(need, have)| self.played.bill(need, have)).sum()
    }
}

impl Session for Run<'_> {
    fn price(&self, plan: &Plan, examples: u32) -> f64 {
        let first = self.tried.get(plan).copied().unwrap_or(0) as usize;
        let end = first.saturating_add(examples as usize).min(self.order.len());
        if first >= end || self.played.score(plan).is_none() {
            return f64::INFINITY;
        }
        self.bill(&self.needs(plan, &self.order[first..end])).tokens() as f64
    }

    fn measure(&mut self, plan: &Plan, stream: u32, span: Span) -> Option<Measurement> {
        if stream > 0 {
            return None;
        }
        let examples = self.order.get(span.first as usize..span.end() as usize)?;
        let mut measurement = self.played.measurement(plan, examples)?;
        let needs = self.needs(plan, examples);
        measurement.drawn = self.bill(&needs);
        for (request, draws) in needs {
            self.have[request] = draws.max(self.have[request]);
        }
        let tried = self.tried.entry(plan.clone()).or_insert(0);
        *tried = span.end().max(*tried);
        Some(measurement)
    }
}

#[cfg(test)]
mod tests;
