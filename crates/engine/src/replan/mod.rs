//! Planning again from what a study has drawn: under another budget, other prices, another way to count costs, or a
//! limit on time, without a single call.
//!
//! What was measured stays true: scores do not depend on prices. Costs are computed again from the tokens of the stored
//! samples, so they are measured costs, not expected ones.

mod recost;
mod surer;

use agenttts_core::text::nearest;
use agenttts_core::{Archive, Cost, CostModel, Estimate, MissingFact, Pipeline, Plan, Price, Space, SpaceError};
use agenttts_search::{Beliefs, estimates};
use agenttts_store::Store;
use serde::Serialize;

use crate::error::EngineError;
use crate::load::Loaded;
use crate::plan_file::{Measured, PlanFile};
use crate::summary::{Standing, objective_name};
use recost::{Latencies, Takings};
use surer::Prices;
pub use surer::Surer;

/// What is different now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplanOptions {
    /// The plan budget, in units of the cost model. Absent: the study's, or none where costs are counted otherwise.
    pub budget: Option<f64>,
    /// How plans are priced. Absent: as in the study, or in dollars where prices are given.
    pub cost_model: Option<CostModel>,
    /// Prices by model, in the place of the pipeline's.
    pub prices: Vec<(String, Price)>,
    /// The most seconds that an answer may take on average.
    pub max_latency: Option<f64>,
}

/// The version of [`Replan`]'s JSON. Fields are only added; readers ignore what they do not know.
pub const REPLAN_VERSION: u32 = 1;

/// A plan chosen anew.
#[derive(Clone, Debug, Serialize)]
pub struct Replan {
    /// [`REPLAN_VERSION`].
    pub version: u32,
    /// The study.
    pub study: String,
    /// What the objective is.
    pub objective: String,
    /// How plans are priced now.
    pub cost_model: CostModel,
    /// The plan budget, in units of the cost model; absent where any cost will do.
    pub budget: Option<f64>,
    /// The most seconds that an answer may take on average.
    pub max_latency: Option<f64>,
    /// Measured plans, and those of them that fit what is asked for now.
    pub measured: [u32; 2],
    /// Plans of the space whose expected cost is within the budget.
    pub feasible: f64,
    /// The names of the stages.
    pub stages: Vec<String>,
    /// The plan to use now.
    pub recommended: Candidate,
    /// Why it, in words.
    pub why: String,
    /// The plan that comes next, and how far behind it is.
    pub runner_up: Option<RunnerUp>,
    /// A plan that was never run and is believed to be better than the recommended one, though not surely enough.
    pub untried: Option<Candidate>,
    /// What the study recommended under its own terms, where that is another plan and it was measured.
    pub before: Option<Candidate>,
    /// What it would take to be surer.
    pub surer: Vec<Surer>,
}

/// A plan under the new terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Its first trial; absent where it was never run, so that all below is prediction.
    pub trial: Option<u32>,
    /// The plan.
    pub plan: Plan,
    /// What its true objective is believed to be: mean, and the ends of the 95% interval of the belief.
    pub estimate: [f64; 3],
    /// What it scored, all its trials pooled.
    pub objective: Option<Estimate>,
    /// The cost of one query, in units of the cost model: from the tokens of its samples where it was run, else from
    /// expected lengths, corrected by how far they were off for the measured plans, without an interval.
    pub cost: Estimate,
    /// Seconds of one query: stage after stage, each until its slowest sample and the call that combines them are there.
    /// Measured while the search made many calls at once. Absent where a stage's model was never timed.
    pub seconds: Option<f64>,
}

/// The plan that comes next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunnerUp {
    /// The plan.
    pub candidate: Candidate,
    /// How much better the recommended plan is believed to be: mean, and the ends of the 95% interval.
    pub behind: [f64; 3],
    /// The probability that the recommended plan is really the better of the two.
    pub chance: f64,
}

/// How sure the surrogate must be that a plan that was never run beats the best that was, before it is recommended.
const SURE: f64 = 0.95;

/// The most plans that were never run that are looked at, evenly spread over the space.
const MOST_UNTRIED: usize = 20_000;

/// Plans a study again.
///
/// # Errors
/// No such study, nothing measured, a model that is not there, a cost model that lacks a fact, and terms that no plan
/// meets.
pub fn replan(store: &Store, study: &str, options: &ReplanOptions) -> Result<(Replan, PlanFile), EngineError> {
    let Standing { row, loaded, settings, archive, recommended, .. } = Standing::read(store, study)?;
    if archive.measured().next().is_none() {
        return Err(EngineError::input(
            format!("the study {} has not measured a plan yet", row.name),
            format!("go on with `agenttts search --resume {}`", row.name),
        ));
    }
    let terms = Terms::new(&loaded, options)?;
    let takings = Takings::read(store, row.id, &archive, &loaded)?;
    let archive = takings.recosted(&archive, &terms.pipeline, terms.cost_model)?;
    let latencies = takings.latencies();
    let off = off(&terms.space, &archive);
    let choice = Choosing { terms: &terms, archive: &archive, latencies: &latencies, options, off };
    let chosen = choice.choose()?;
    let recommended_before = recommended.map(|r| r.plan);
    let before = recommended_before.filter(|p| p != &chosen.recommended.plan).and_then(|p| choice.candidate(&p, None));
    let prices = Prices::new(store, row.id, &loaded, &settings, &archive)?;
    let surer = surer::surer(&prices, &terms, &archive, &chosen);
    let replan = Replan {
        version: REPLAN_VERSION,
        study: row.name.clone(),
        objective: objective_name(&loaded.pipeline),
        cost_model: terms.cost_model,
        budget: terms.budget,
        max_latency: options.max_latency,
        measured: chosen.measured,
        feasible: terms.space.count_within(terms.limit()) as f64,
        stages: loaded.pipeline.stages.iter().map(|s| s.name.clone()).collect(),
        recommended: chosen.recommended,
        why: chosen.why,
        runner_up: chosen.runner_up,
        untried: chosen.untried,
        before,
        surer,
    };
    let file = plan_file(&replan, &loaded);
    Ok((replan, file))
}

/// The space under the new terms.
struct Terms {
    pipeline: Pipeline,
    space: Space,
    cost_model: CostModel,
    budget: Option<f64>,
}

impl Terms {
    fn new(loaded: &Loaded, options: &ReplanOptions) -> Result<Self, EngineError> {
        let mut pipeline = loaded.pipeline.clone();
        for (name, price) in &options.prices {
            match pipeline.models.iter_mut().find(|m| &m.name == name) {
                // The discount of a batch is the provider's, whatever the price is now.
                Some(model) => model.price = Some(Price { batch: model.price.and_then(|old| old.batch), ..*price }),
                None => return Err(unknown_model(name, &pipeline)),
            }
        }
        let priced = !options.prices.is_empty();
        let usual = if priced && !pipeline.cost_model.is_dollars() { CostModel::Usd } else { pipeline.cost_model };
        let cost_model = options.cost_model.unwrap_or(usual);
        if priced && !cost_model.is_dollars() {
            return Err(EngineError::input(
                format!("--price does not matter to costs in {}", cost_model.name()),
                "leave --price out, or count in dollars: --cost-model usd",
            ));
        }
        let budget = match options.budget {
            Some(units) => Some(cost_model.amount(units).ok_or_else(|| {
                EngineError::input(format!("{units} is not a plan budget"), "--budget takes a number of units")
            })?),
            // A budget in another unit says nothing here.
            None => (cost_model == pipeline.cost_model).then_some(pipeline.plan_budget),
        };
        pipeline.cost_model = cost_model;
        // The budget is kept by measured costs, where there are any, so it does not belong to the space.
        let space = pipeline.space_under(cost_model, Cost(i128::MAX / 4)).map_err(of_space)?;
        Ok(Terms { pipeline, space, cost_model, budget: budget.map(|b| cost_model.units(b)) })
    }

    fn limit(&self) -> Cost {
        self.budget.and_then(|units| self.cost_model.amount(units)).unwrap_or(self.space.budget())
    }

    /// Whether so many units are within the budget, but for rounding.
    fn affords(&self, units: f64) -> bool {
        self.budget.is_none_or(|budget| units <= budget + budget.abs() * 1e-9 + 1e-9)
    }
}

fn unknown_model(name: &str, pipeline: &Pipeline) -> EngineError {
    let known: Vec<&str> = pipeline.models.iter().map(|m| m.name.as_str()).collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the study has: {}", known.join(", ")),
    };
    EngineError::input(format!("--price: the study has no model {name:?}"), hint)
}

fn of_space(error: SpaceError) -> EngineError {
    let hint = match &error {
        SpaceError::MissingFact(missing) => missing_hint(missing),
        SpaceError::Infeasible { .. } | SpaceError::Empty(_) => "this study cannot be planned again".into(),
    };
    EngineError::input(error.to_string(), hint)
}

fn missing_hint(missing: &MissingFact) -> String {
    match missing.cost_model {
        CostModel::Usd => {
            format!("name its price: --price {}=PROMPT/DECODE, in dollars per million tokens", missing.model)
        }
        CostModel::UsdBatch => {
            "the pipeline file tells it: price = { ..., batch = 0.5 }; a new study reuses all draws".into()
        }
        CostModel::Seconds => "plans can be limited in time without it: --max-latency SECONDS".into(),
        _ => "choose another cost model; a new study with this fact reuses all draws".into(),
    }
}

/// What was chosen.
pub(crate) struct Chosen {
    pub(crate) recommended: Candidate,
    why: String,
    pub(crate) runner_up: Option<RunnerUp>,
    pub(crate) untried: Option<Candidate>,
    measured: [u32; 2],
}

struct Choosing<'a> {
    terms: &'a Terms,
    /// With costs under the new terms.
    archive: &'a Archive,
    latencies: &'a Latencies,
    options: &'a ReplanOptions,
    /// What measured plans cost, as a share of what was expected.
    off: f64,
}

impl Choosing<'_> {
    fn choose(&self) -> Result<Chosen, EngineError> {
        let space = &self.terms.space;
        let beliefs = Beliefs::new(space, self.archive);
        let in_time = |plan: &Plan| {
            self.options.max_latency.is_none_or(|most| self.latencies.of(space, plan).is_some_and(|s| s <= most))
        };
        let all = estimates(space, self.archive);
        let measured = all.len() as u32;
        let fitting: Vec<_> = all.into_iter().filter(|r| self.terms.affords(r.cost) && in_time(&r.plan)).collect();
        let best = fitting.first();
        let counts = [measured, fitting.len() as u32];
        let untried = self.best_untried(&beliefs, best.map(|r| &r.plan), &in_time);
        let found = |plan: &Plan| {
            self.candidate(plan, beliefs.of(plan))
                .ok_or_else(|| EngineError::Internal("a plan of the space is not of the space".into()))
        };
        let among = |n: usize| {
            if n == 1 {
                "the only measured plan that fits".to_owned()
            } else {
                format!("the highest estimate of the {n} measured plans that fit")
            }
        };
        match (best, untried) {
            (None, None) => Err(self.nothing_fits(counts[0])),
            (None, Some((plan, _))) => Ok(Chosen {
                recommended: found(&plan)?,
                why: format!(
                    "none of the {measured} measured plans fits; of those that do, this one is believed to be best, but it was never run"
                ),
                runner_up: None,
                untried: None,
                measured: counts,
            }),
            (Some(best), Some((plan, chance))) if chance >= SURE => Ok(Chosen {
                recommended: found(&plan)?,
                why: format!(
                    "never run, but better than every measured plan that fits with a probability of {:.0}%",
                    chance * 100.0
                ),
                runner_up: Some(self.runner_up(&beliefs, &plan, found(&best.plan)?)),
                untried: None,
                measured: counts,
            }),
            (Some(best), untried) => {
                let runner_up = match fitting.get(1) {
                    Some(next) => Some(self.runner_up(&beliefs, &best.plan, found(&next.plan)?)),
                    None => None,
                };
                let promising = untried.filter(|(_, chance)| *chance > 0.5);
                Ok(Chosen {
                    recommended: found(&best.plan)?,
                    why: among(fitting.len()),
                    runner_up,
                    untried: promising.map(|(plan, _)| found(&plan)).transpose()?,
                    measured: counts,
                })
            }
        }
    }

    /// The plan with the highest estimate of those that fit and were never run, and how probably it beats `best`. Only
    /// plans whose models were all run at their stages: what is believed of others is a guess.
    fn best_untried(
        &self,
        beliefs: &Beliefs<'_>,
        best: Option<&Plan>,
        in_time: &dyn Fn(&Plan) -> bool,
    ) -> Option<(Plan, f64)> {
        let space = &self.terms.space;
        let pooled = self.archive.plans();
        let ran = |plan: &Plan| pooled.iter().any(|p| p.plan == plan);
        let familiar = |plan: &Plan| {
            plan.choices.iter().enumerate().all(|(stage, c)| {
                pooled.iter().filter_map(|p| p.plan.choices.get(stage)).any(|known| {
                    (&known.model, known.temperature, known.aggregator) == (&c.model, c.temperature, c.aggregator)
                        || (known.model == c.model && (c.samples == 1 || known.samples == 1))
                })
            })
        };
        let affordable = || {
            let cost = |options: &Vec<usize>| space.cost(options).map(|c| self.terms.cost_model.units(c) * self.off);
            space.feasible_indices().filter(move |o| cost(o).is_some_and(|c| self.terms.affords(c)))
        };
        let step = (affordable().count() / MOST_UNTRIED).max(1);
        let mut found: Option<(f64, Plan)> = None;
        for options in affordable().step_by(step) {
            let plan = space.plan(&options);
            if ran(&plan) || !familiar(&plan) || !in_time(&plan) {
                continue;
            }
            let Some((mean, _)) = beliefs.of(&plan) else { continue };
            if found.as_ref().is_none_or(|(most, _)| mean > *most) {
                found = Some((mean, plan));
            }
        }
        let (_, plan) = found?;
        let chance = best.and_then(|b| beliefs.chance_better(&plan, b)).unwrap_or(0.0);
        Some((plan, chance))
    }

    fn runner_up(&self, beliefs: &Beliefs<'_>, first: &Plan, candidate: Candidate) -> RunnerUp {
        let (mean, sd) = beliefs.difference(first, &candidate.plan).unwrap_or((0.0, f64::INFINITY));
        let chance = beliefs.chance_better(first, &candidate.plan).unwrap_or(0.5);
        RunnerUp { behind: interval(mean, sd, -1.0), chance, candidate }
    }

    /// A plan under the new terms.
    fn candidate(&self, plan: &Plan, belief: Option<(f64, f64)>) -> Option<Candidate> {
        let space = &self.terms.space;
        let expected = self.terms.cost_model.units(space.cost_of(plan)?) * self.off;
        let (mean, sd) = belief.or_else(|| Beliefs::new(space, self.archive).of(plan))?;
        let pooled = self.archive.plans().into_iter().find(|p| p.plan == plan);
        Some(Candidate {
            trial: pooled.as_ref().map(|p| p.first_trial()),
            plan: plan.clone(),
            estimate: interval(mean, sd, 0.0),
            objective: pooled.as_ref().map(|p| p.objective),
            cost: pooled.as_ref().map_or_else(|| Estimate::of_values(&[expected]), |p| p.cost),
            seconds: self.latencies.of(space, plan),
        })
    }

    fn nothing_fits(&self, measured: u32) -> EngineError {
        let mut wanted = Vec::new();
        if let Some(budget) = self.terms.budget {
            let amount = self.terms.cost_model.amount(budget).unwrap_or(Cost::ZERO);
            wanted.push(format!("at most {}", self.terms.cost_model.display(amount)));
        }
        wanted.extend(self.options.max_latency.map(|s| format!("at most {s} s")));
        let plans = self.archive.plans();
        let fastest = plans.iter().filter_map(|p| self.latencies.of(&self.terms.space, p.plan)).min_by(f64::total_cmp);
        let cheapest = plans.iter().map(|p| p.cost.mean).min_by(f64::total_cmp).filter(|c| !self.terms.affords(*c));
        let display = |units| self.terms.cost_model.amount(units).map(|a| self.terms.cost_model.display(a));
        let hint = match (fastest.filter(|f| self.options.max_latency.is_some_and(|most| *f > most)), cheapest) {
            (Some(f), _) => format!("the fastest measured plan takes {f:.2} s: raise --max-latency"),
            (None, Some(c)) => {
                format!("the cheapest measured plan costs {}: raise --budget", display(c).unwrap_or_default())
            }
            (None, None) => "plans that are cheap enough take too long: raise --budget or --max-latency".into(),
        };
        let message =
            format!("no plan is known to fit ({}): none of the {measured} measured plans does", wanted.join(", "));
        EngineError::input(message, hint)
    }
}

/// What measured plans cost on average, as a share of what was expected of them: expected lengths are often off.
fn off(space: &Space, archive: &Archive) -> f64 {
    let share = |p: agenttts_core::PooledPlan<'_>| {
        let expected = space.cost_model().units(space.cost_of(p.plan)?);
        Some(p.cost.mean / expected).filter(|s| s.is_finite() && *s > 0.0)
    };
    let shares: Vec<f64> = archive.plans().into_iter().filter_map(share).collect();
    if shares.is_empty() { 1.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
}

/// Mean, and the ends of the interval that holds 95% of a normal belief, within the range of objectives.
fn interval(mean: f64, sd: f64, least: f64) -> [f64; 3] {
    const Z95: f64 = 1.959_963_984_540_054;
    [mean, (mean - Z95 * sd).max(least), (mean + Z95 * sd).min(1.0)]
}

fn plan_file(replan: &Replan, loaded: &Loaded) -> PlanFile {
    let Candidate { trial, plan, objective, cost, .. } = &replan.recommended;
    let measured = objective.map(|quality| Measured {
        split: "search".into(),
        objective: replan.objective.clone(),
        quality,
        cost_model: replan.cost_model,
        cost: *cost,
        used: None,
    });
    PlanFile::new(&replan.study, *trial, plan, measured, loaded)
}
