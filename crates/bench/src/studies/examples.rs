//! How many search examples there are.

use agenttts_core::{Problem, Problems};

use super::split::Split;
use super::{Builder, Setting, Study, named};
use crate::environment::{Arena, Unit};

/// Trials of the whole split that the search budget pays for, as in the paper.
const TRIALS: f64 = 50.0;

impl Study {
    /// What methods find with search splits of these sizes. The largest is what the others are compared with.
    ///
    /// The search budget is 50 trials on the whole split, as in the paper; on a tape its usual budget, in proportion. A
    /// tape with fewer examples than the largest number is studied in the same proportions, the largest being all that it
    /// has.
    ///
    /// # Errors
    /// No numbers, a number of zero, a number twice, and what [`open`](crate::open) refuses.
    pub fn examples(landscapes: &[String], numbers: &[u32]) -> Result<Study, Problems> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        let most = numbers.last().copied().unwrap_or(0);
        if numbers.windows(2).any(|w| w[0] == w[1]) || numbers.first().is_none_or(|n| *n == 0) {
            let problem = Problem::new("the numbers of examples are not different whole numbers from 1 on");
            return Err(problem.hint("such as --examples 50,75,100").into());
        }
        let settings = numbers.iter().map(|n| Setting { label: n.to_string(), without: None }).collect();
        let mut builder =
            Builder::new("examples", "Examples of the search split", settings, numbers.len().saturating_sub(1));
        builder.study.whole_trials = true;
        for (name, source) in named(landscapes)? {
            let mut arenas = Vec::new();
            for &n in &numbers {
                let arena = source.arena()?;
                let pool = arena.environment.pool();
                let scaled = pool.filter(|pool| *pool < most);
                let examples =
                    scaled.map_or(n, |pool| (u64::from(n) * u64::from(pool)).div_ceil(u64::from(most)) as u32);
                let about = match scaled {
                    Some(pool) => format!("{examples} of its {pool} examples"),
                    None => format!("{n} examples"),
                };
                arenas.push((split(arena, examples), about));
            }
            builder.add(name, arenas);
        }
        builder.done()
    }
}

fn split(arena: Arena, examples: u32) -> Arena {
    let inner = arena.environment;
    let budget = match (inner.unit(), inner.pool()) {
        (Unit::Tokens, Some(pool)) => (inner.usual_budget() * f64::from(examples) / f64::from(pool)).round(),
        _ => TRIALS * f64::from(examples),
    };
    Arena { environment: Box::new(Split { inner, examples, budget }), ..arena }
}
