//! Landscapes: tables of every plan's true score, on which a trial is a number of coin flips.

mod read;
mod table;
mod write;

use std::collections::HashMap;

use agenttts_core::{Estimate, Measurement, Plan, Space, SpaceError, Span};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::environment::{Arena, Environment, Session, Truth, Unit};

pub use read::read_landscape;
pub(crate) use table::model_spec;
pub use table::{Table, TableModel, TableRow, TableStage};
pub use write::write_landscape;

/// The search budget of the published comparisons: 50 trials on 50 examples.
const USUAL_BUDGET: f64 = 2500.0;

impl Table {
    /// The table as an environment and its truth.
    ///
    /// # Errors
    /// No rows, or not one within the budget.
    pub fn arena(&self) -> Result<Arena, SpaceError> {
        let (space, plans) = self.space()?;
        let truth = Truth::new(&space, plans.iter().cloned().zip(self.rows.iter().map(|r| r.score)));
        let plans = plans.into_iter().zip(&self.rows).map(|(plan, row)| {
            let key = row.choices.iter().zip(&self.stages).map(|(&(m, n), s)| (s.models[m].name.as_str(), n));
            let key = std::iter::once((self.name.as_str(), 0)).chain(key).fold(Sha256::new(), |hash, (name, n)| {
                hash.chain_update(name.len().to_le_bytes()).chain_update(name).chain_update(n.to_le_bytes())
            });
            (plan, Coin { score: row.score, cost: row.cost, key: key.finalize().into() })
        });
        let landscape = Landscape { plans: plans.collect(), space, noise_examples: self.noise_examples };
        Ok(Arena { name: self.name.clone(), environment: Box::new(landscape), truth })
    }
}

/// A table as an environment. Every draw is 1 with the probability of the plan's true score, else 0, independently for
/// every seed, plan and number of the draw, whatever method draws it and when.
struct Landscape {
    space: Space,
    plans: HashMap<Plan, Coin>,
    noise_examples: u32,
}

struct Coin {
    score: f64,
    /// In units of the cost model.
    cost: f64,
    /// The plan's name among the random numbers.
    key: [u8; 32],
}

impl Environment for Landscape {
    fn space(&self) -> &Space {
        &self.space
    }

    fn pool(&self) -> Option<u32> {
        None
    }

    fn unit(&self) -> Unit {
        Unit::Evaluations
    }

    fn usual_budget(&self) -> f64 {
        USUAL_BUDGET
    }

    fn usual_examples(&self) -> u32 {
        self.noise_examples
    }

    fn session(&self, seed: u64) -> Box<dyn Session + '_> {
        Box::new(Flips { landscape: self, seed })
    }
}

struct Flips<'a> {
    landscape: &'a Landscape,
    seed: u64,
}

impl Session for Flips<'_> {
    fn price(&self, plan: &Plan, examples: u32) -> f64 {
        if self.landscape.plans.contains_key(plan) { f64::from(examples) } else { f64::INFINITY }
    }

    fn measure(&mut self, plan: &Plan, stream: u32, span: Span) -> Option<Measurement> {
        let coin = self.landscape.plans.get(plan)?;
        let seed = Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(coin.key).finalize();
        let mut rng = ChaCha8Rng::from_seed(seed.into());
        rng.set_stream(u64::from(stream));
        // A draw takes two words of the generator.
        rng.set_word_pos(2 * u128::from(span.first));
        let scores: Vec<f64> =
            (0..span.count).map(|_| if rng.random::<f64>() < coin.score { 1.0 } else { 0.0 }).collect();
        let cost = Estimate { mean: coin.cost, low: coin.cost, high: coin.cost, se: 0.0, n: span.count };
        Some(Measurement {
            stages: vec![None; self.landscape.space.stages().len()],
            ..Measurement::of_scores(scores, cost)
        })
    }
}
