//! What a search will probably spend, before it spends anything.

use std::collections::BTreeMap;

use agenttts_core::pipeline::MetricSpec;
use agenttts_core::{CallTokens, CostModel, ModelSpec, Pipeline, Space};
use serde::Serialize;

/// A forecast of a search's spend. From the expected token lengths of the pipeline file, so as good as they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Tokens if trials share draws as much as they can.
    pub tokens_low: f64,
    /// Tokens, most likely.
    pub tokens: f64,
    /// Tokens if no trial shared a draw with another.
    pub tokens_high: f64,
    /// Calls, most likely.
    pub calls: f64,
    /// Those of them that ask a judge for the metric.
    #[serde(skip_serializing_if = "is_zero")]
    pub verdicts: f64,
    /// Dollars for the likely tokens, where all models have prices.
    pub usd: Option<f64>,
    /// GFLOP for the likely tokens, where all models have parameters.
    pub gflop: Option<f64>,
    /// What it rests on, in words.
    pub note: String,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// What a judge is told besides the task and the output, and what it says, in tokens.
const QUESTION_TOKENS: u64 = 200;
const VERDICT_TOKENS: u64 = 12;

/// Bytes of a rubric that are a token.
const BYTES_PER_TOKEN: u64 = 4;

/// Plans in the final test.
const TESTED: f64 = 5.0;

/// How far upstream outputs differ between plans, as the number of distinct downstream prompts per example: trials
/// share a downstream draw only where upstream said the same.
const DISTINCT_UPSTREAM: f64 = 1.6;

/// Forecasts a search of `pipeline.search.trials` trials and its confirmation on the test split.
pub fn forecast(pipeline: &Pipeline, space: &Space) -> Forecast {
    let split = pipeline.search_split.examples.len() as u32;
    let examples = f64::from(pipeline.search.examples_per_trial.map_or(split, |n| n.min(split)));
    let test = pipeline.test_split.examples.len() as f64;
    let trials = f64::from(pipeline.search.trials).min(space.feasible() as f64);
    let plans = sample_plans(space, 2_000);
    // Average over feasible plans: what one query takes, and the most that any plan draws of each stage and model.
    let mut mean = Totals::default();
    let mut most: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for plan in &plans {
        for (stage, &option) in plan.iter().enumerate() {
            let priced = &space.stages()[stage];
            let option = &priced.options[option];
            mean.add(pipeline, space, stage, option.model, option.choice.samples, 1.0 / plans.len() as f64);
            let entry = most.entry((stage, option.model)).or_insert(0);
            *entry = (*entry).max(option.choice.samples);
        }
    }
    let mut shared = Totals::default();
    let mut distinct = Totals::default();
    for (&(stage, model), &samples) in &most {
        shared.add(pipeline, space, stage, model, samples, 1.0);
        let spread = if stage == 0 { 1.0 } else { DISTINCT_UPSTREAM };
        distinct.add(pipeline, space, stage, model, samples, spread);
    }
    // The recommended plan, two baselines, the runner-up and a cheaper plan.
    let confirmation = mean.times(TESTED * test);
    let verdicts = Verdicts::of(pipeline, trials);
    let tested = verdicts.once.times(TESTED * test);
    let (judged_low, judged) = (verdicts.once.times(examples), verdicts.likely.times(examples));
    let judged_high = verdicts.once.times(examples * trials);
    let fresh = mean.times(examples * trials);
    let cap = |t: &Totals| if t.tokens * examples < fresh.tokens { t.times(examples) } else { fresh };
    let (low, likely) = (cap(&shared), cap(&distinct));
    let total = likely.plus(&confirmation).plus(&judged).plus(&tested);
    Forecast {
        tokens_low: low.tokens + confirmation.tokens + judged_low.tokens + tested.tokens,
        tokens: total.tokens,
        tokens_high: fresh.tokens + confirmation.tokens + judged_high.tokens + tested.tokens,
        calls: total.calls,
        verdicts: judged.calls + tested.calls,
        usd: total.usd(),
        gflop: total.gflop(),
        note: "from the expected token lengths of the pipeline file; calls of fusion, judging samples and the agent come on \
               top"
            .into(),
    }
}

/// Up to `most` feasible plans, evenly spread over the space.
fn sample_plans(space: &Space, most: usize) -> Vec<Vec<usize>> {
    let step = (space.feasible() as usize / most).max(1);
    space.feasible_indices().step_by(step).take(most).collect()
}

/// What judges take of one example, for metrics.
struct Verdicts {
    /// If all plans gave the same outputs.
    once: Totals,
    /// Most likely.
    likely: Totals,
}

impl Verdicts {
    fn of(pipeline: &Pipeline, trials: f64) -> Self {
        let (mut once, mut likely) = (Totals::default(), Totals::default());
        for (index, spec) in pipeline.stages.iter().enumerate() {
            let judge = spec.metric.as_ref().and_then(MetricSpec::llm_judge);
            let Some((judge, model)) = judge.and_then(|j| Some((j, pipeline.model(&j.model)?))) else { continue };
            let rubric = judge.rubric.as_ref().map_or(0, |r| r.text.len() as u64 / BYTES_PER_TOKEN);
            let prompt = QUESTION_TOKENS + rubric + spec.prompt_tokens + spec.decode_tokens;
            let call = CallTokens::planned(prompt, VERDICT_TOKENS.min(u64::from(judge.max_tokens)), judge.samples);
            let questions = f64::from(judge.questions());
            once.add_call(model, &call, questions);
            // Every model says something of its own, and something else where upstream does.
            let spread = if index == 0 { 1.0 } else { DISTINCT_UPSTREAM };
            likely.add_call(model, &call, questions * (spec.models.len() as f64 * spread).min(trials));
        }
        Verdicts { once, likely }
    }
}

#[derive(Clone, Copy, Default)]
struct Totals {
    tokens: f64,
    calls: f64,
    usd: f64,
    gflop: f64,
    no_usd: bool,
    no_gflop: bool,
}

impl Totals {
    fn add(&mut self, pipeline: &Pipeline, space: &Space, stage: usize, model: usize, samples: u32, weight: f64) {
        let spec = &pipeline.stages[stage];
        let call = CallTokens::planned(spec.prompt_tokens, spec.decode_tokens, samples);
        self.add_call(&space.stages()[stage].stage.models[model], &call, weight * spec.flow.runs.as_f64());
    }

    fn add_call(&mut self, model: &ModelSpec, call: &CallTokens, weight: f64) {
        self.tokens += weight * (call.prompt + call.decode) as f64;
        self.calls += weight;
        match CostModel::Usd.call(model, call) {
            Ok(cost) => self.usd += weight * CostModel::Usd.units(cost),
            Err(_) => self.no_usd = true,
        }
        match CostModel::Flops.call(model, call) {
            Ok(cost) => self.gflop += weight * CostModel::Flops.units(cost),
            Err(_) => self.no_gflop = true,
        }
    }

    fn times(&self, factor: f64) -> Totals {
        Totals {
            tokens: self.tokens * factor,
            calls: self.calls * factor,
            usd: self.usd * factor,
            gflop: self.gflop * factor,
            ..*self
        }
    }

    fn plus(&self, other: &Totals) -> Totals {
        Totals {
            tokens: self.tokens + other.tokens,
            calls: self.calls + other.calls,
            usd: self.usd + other.usd,
            gflop: self.gflop + other.gflop,
            no_usd: self.no_usd || other.no_usd,
            no_gflop: self.no_gflop || other.no_gflop,
        }
    }

    fn usd(&self) -> Option<f64> {
        (!self.no_usd).then_some(self.usd)
    }

    fn gflop(&self) -> Option<f64> {
        (!self.no_gflop).then_some(self.gflop)
    }
}
