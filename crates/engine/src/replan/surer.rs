//! What further draws would make a choice surer, and what they would take.

use agenttts_core::{Aggregator, Archive, Cost, CostModel, Example, Plan, Span};
use agenttts_search::{DrawPrices, Missing};
use agenttts_store::Store;
use serde::Serialize;

use super::{Chosen, Terms};
use crate::drawn::{Drawn, Sources};
use crate::error::EngineError;
use crate::load::Loaded;
use crate::settings::StudySettings;

/// Draws that would make a choice surer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surer {
    /// What would be done, in words.
    pub what: String,
    /// Examples that would be run.
    pub examples: u32,
    /// Tokens that would be drawn: only what the study has not drawn yet.
    pub tokens: f64,
    /// Dollars, where all models of the plan have prices.
    pub usd: Option<f64>,
}

/// What a study has drawn, to price further draws by.
pub(super) struct Prices {
    drawn: Drawn,
    pool: u32,
}

impl Prices {
    pub(super) fn new(
        store: &Store,
        study: i64,
        loaded: &Loaded,
        settings: &StudySettings,
        archive: &Archive,
    ) -> Result<Self, EngineError> {
        let split = &loaded.pipeline.search_split.examples;
        let order = settings.order.of(split.len(), loaded.pipeline.search.seed);
        let examples: Vec<Example> = order.into_iter().map(|i| split[i].clone()).collect();
        let mut drawn = Drawn::new(loaded, &examples);
        // Models are not connected here, so what other studies drew is not looked up.
        drawn.catch_up(&Sources { loaded, executor: None, store, study }, archive)?;
        Ok(Prices { drawn, pool: examples.len() as u32 })
    }
}

/// What would make the choice surer, most telling first.
pub(super) fn surer(prices: &Prices, terms: &Terms, archive: &Archive, chosen: &Chosen) -> Vec<Surer> {
    let draws = DrawPrices::new(&terms.space, archive, Some(prices.pool), prices.drawn.log());
    let pricing = Pricing { draws: &draws, terms, pool: prices.pool };
    let recommended = &chosen.recommended;
    let mut all = Vec::new();
    if let Some(untried) = &chosen.untried {
        all.push(pricing.next(&untried.plan, "the untried plan on the search split"));
    }
    match &recommended.objective {
        None => all.push(pricing.next(&recommended.plan, "the recommended plan on the search split")),
        Some(objective) => {
            let left = prices.pool.saturating_sub(objective.n);
            if left > 0 {
                all.push(pricing.next(&recommended.plan, "the recommended plan on the rest of the search split"));
            }
            all.push(pricing.halved(&recommended.plan, objective.n));
        }
    }
    if let Some(next) = &chosen.runner_up {
        let n = next.candidate.objective.map_or(0, |o| o.n);
        let what = if n < prices.pool {
            "the runner-up on the rest of the search split"
        } else {
            "the runner-up once more on the search split, on fresh draws"
        };
        all.push(pricing.next(&next.candidate.plan, what));
    }
    all
}

struct Pricing<'a> {
    draws: &'a DrawPrices<'a>,
    terms: &'a Terms,
    pool: u32,
}

impl Pricing<'_> {
    /// The plan's next trial, on all examples that are left to it.
    fn next(&self, plan: &Plan, what: &str) -> Surer {
        let (stream, span) = self.draws.next(plan, self.pool);
        self.say(plan, what, span.count, &self.draws.missing(plan, stream, span))
    }

    /// Four times the examples halve an interval: those that the plan has not seen, then fresh draws.
    fn halved(&self, plan: &Plan, n: u32) -> Surer {
        let more = 3 * n;
        let new = self.pool.saturating_sub(n).min(more);
        let again = more - new;
        let mut missing = self.draws.from_nothing(plan, again);
        if new > 0 {
            let (stream, Span { first, .. }) = self.draws.next(plan, new);
            let further = self.draws.missing(plan, stream, Span { first, count: new });
            missing.iter_mut().zip(further).for_each(|(sum, part)| *sum += part);
        }
        let what = match (new, again) {
            (_, 0) => "about half the interval: the recommended plan on further examples".to_owned(),
            (0, again) => format!(
                "about half the interval, as far as draws and not examples make it: the recommended plan {:.0} times \
                 more on fresh draws",
                f64::from(again) / f64::from(self.pool.max(1))
            ),
            (new, again) => format!(
                "about half the interval: the recommended plan on {new} further examples, and {again} times on fresh \
                 draws of an example"
            ),
        };
        self.say(plan, &what, more, &missing)
    }

    fn say(&self, plan: &Plan, what: &str, examples: u32, missing: &[Missing]) -> Surer {
        let tokens = missing.iter().map(Missing::tokens).sum();
        Surer { what: what.to_owned(), examples, tokens, usd: self.usd(plan, missing) }
    }

    fn usd(&self, plan: &Plan, missing: &[Missing]) -> Option<f64> {
        let pipeline = &self.terms.pipeline;
        let mut pico = 0.0;
        for ((m, choice), stage) in missing.iter().zip(&plan.choices).zip(&pipeline.stages) {
            let price = pipeline.model(&choice.model)?.price?;
            pico += m.prompt * price.prompt as f64 + m.decode * price.decode as f64;
            if m.combining_prompt + m.combining_decode > 0.0 {
                let judge = stage.judge.as_ref().filter(|_| choice.aggregator == Aggregator::Judge);
                let price = judge.map_or(Some(price), |j| pipeline.models[j.model].price)?;
                pico += m.combining_prompt * price.prompt as f64 + m.combining_decode * price.decode as f64;
            }
        }
        Some(CostModel::Usd.units(Cost(pico.round() as i128)))
    }
}
