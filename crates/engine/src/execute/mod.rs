//! One example through all steps, and all stages of a plan: what a search measures and what `run` serves.

mod stage;
mod tally;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use agenttts_core::pipeline::{Node, TooLong};
use agenttts_core::{
    Cost, CostModel, Decoding, Example, Finish, Message, Opinion, Pipeline, Plan, Request, RequestKey, Temperature,
    Usage,
};
use agenttts_models::ModelError;
use agenttts_stage::{CompiledStage, ParseFailure, Ran};
use serde_json::Value;

use crate::budget::lock;
use crate::code::Code;
use crate::error::EngineError;
use crate::fit::{Fit, FitError, Fits, Fitted, LeftOut, Prompt};
use crate::judging::{Judging, Unscored};
use crate::listener::{Listener, StageEnds};
use crate::load::Loaded;
use crate::source::{GotSample, Halt, Source};
use crate::steps::{StepFailure, StepRun, Steps};
use crate::streams::Purpose;
use crate::workshop::ModelSet;
use stage::{StageContext, StageEnd};
use tally::Tally;
pub(crate) use tally::{Taken, call_tokens, side_by_side};

/// Runs examples through the stages of one pipeline.
#[derive(Clone)]
pub(crate) struct Executor {
    pipeline: Arc<Pipeline>,
    stages: Arc<Vec<CompiledStage>>,
    models: ModelSet,
    steps: Steps,
    cost_model: CostModel,
    /// What runs generated code, where the pipeline has any.
    code: Option<Arc<Code>>,
    /// How prompts fit the contexts of their models.
    fits: Arc<Fits>,
    /// Whether votes may be ended early.
    adaptive: Option<Adaptive>,
    /// Who hears what is done.
    listener: Option<Arc<dyn Listener>>,
}

/// Drawing the samples of a vote until it is decided, not all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// The probability that is accepted for a vote to come out otherwise than with all samples; 0 = none.
    pub error: f64,
}

/// An example's way through all stages.
#[derive(Debug)]
pub(crate) struct Execution {
    /// The example's id.
    pub(crate) example: String,
    /// What every stage did; those after a failed one did nothing.
    pub(crate) stages: Vec<StageRun>,
    /// What every step did; nothing where it was not reached or failed.
    pub(crate) steps: Vec<Option<StepRun>>,
    /// Which stage or step failed, and why.
    pub(crate) failure: Option<Failure>,
    /// The objective: 0 where a stage failed.
    pub(crate) objective: f64,
    /// What this query costs when served.
    pub(crate) cost: Cost,
    /// The same in units of the cost model.
    pub(crate) cost_units: f64,
    /// Tokens that it takes when nothing is reused.
    pub(crate) fresh: Usage,
    /// Tokens that were drawn for it now.
    pub(crate) drawn: Usage,
}

/// What a stage did for one example.
#[derive(Debug, Default)]
pub(crate) struct StageRun {
    /// Its output.
    pub(crate) output: Option<Value>,
    /// Its metric; 0 where it failed or was not reached, `None` where it has none, or did not run and has no output said.
    pub(crate) score: Option<f64>,
    /// Whether its condition kept it from running.
    pub(crate) skipped: bool,
    /// Whether it failed because a prompt was too long for its model.
    pub(crate) too_long: bool,
    /// Whether it ran for items.
    pub(crate) by_item: bool,
    /// Every run: one as a rule, one for each item, none where it did not run.
    pub(crate) runs: Vec<ItemRun>,
    /// The metric with the first 1, 2, 4, ... samples.
    pub(crate) prefix_scores: Vec<(u32, f64)>,
    /// What a judge said of the output, where one is to.
    pub(crate) opinion: Option<Opinion>,
}

/// What one run of a stage drew.
#[derive(Debug, Default)]
pub(crate) struct ItemRun {
    /// Its samples.
    pub(crate) samples: Vec<GotSample>,
    /// What each sample parses to, or why it does not.
    pub(crate) parsed: Vec<Result<Value, ParseFailure>>,
    /// What running each sample's code came to, where the aggregator wanted that.
    pub(crate) ran: Vec<Option<Ran>>,
    /// The fusion's or judge's reply.
    pub(crate) combined: Option<GotSample>,
    /// What was left out of its prompt, where it was too long.
    pub(crate) left_out: Option<LeftOut>,
    /// The share of samples that agree with the output.
    pub(crate) support: Option<f64>,
    /// Why the vote stands in for an unusable fusion or judgement.
    pub(crate) fallback: Option<String>,
}

impl ItemRun {
    /// Whether the text behind the output ended at `max_tokens`: that of the fusion, or those of all samples that say the
    /// same as the output, or of all where none does as it is made of several.
    pub(crate) fn is_cut_off(&self, output: &Value) -> bool {
        let cut = |sample: &GotSample| sample.draw.finish == Finish::Length;
        if let Some(combined) = self.combined.as_ref().filter(|_| self.fallback.is_none()) {
            return cut(combined);
        }
        let says = |parsed: &Result<Value, ParseFailure>| parsed.as_ref().is_ok_and(|value| value == output);
        let pairs = || self.samples.iter().zip(&self.parsed);
        let any = pairs().any(|(_, parsed)| says(parsed));
        let mut behind = pairs().filter(|(_, parsed)| !any || says(parsed)).peekable();
        behind.peek().is_some() && behind.all(|(sample, _)| cut(sample))
    }
}

/// What stands for the stage where an example is quarantined.
pub(crate) const QUARANTINE: &str = "quarantined";

/// What to do where a step gives no output.
const BY_HAND: Option<&str> = Some("a step gets this example as a line of JSON: try its program by hand");

/// Why an example failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    stage: String,
    reason: String,
    /// What to do about it, where that is known.
    pub(crate) hint: Option<&'static str>,
    /// The model's error, where a model could not be had.
    pub(crate) fault: Option<ModelError>,
    /// Whether it is the fault of a step's program.
    pub(crate) of_program: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.reason)
    }
}

impl Failure {
    fn new(stage: &str, reason: String, hint: Option<&'static str>) -> Self {
        Failure { stage: stage.to_owned(), reason, hint, fault: None, of_program: false }
    }

    /// The stage or step that failed.
    pub(crate) fn stage(&self) -> &str {
        &self.stage
    }

    /// The provider's error, where it is the provider's fault and not the plan's.
    pub(crate) fn provider_fault(&self) -> Option<&ModelError> {
        self.fault.as_ref().filter(|error| error.kind.is_transient())
    }
}

impl Executor {
    /// An executor for a checked pipeline.
    pub(crate) fn new(loaded: &Loaded, models: ModelSet, steps: Steps) -> Self {
        Executor {
            pipeline: Arc::new(loaded.pipeline.clone()),
            stages: loaded.stages.clone(),
            models,
            steps,
            cost_model: loaded.pipeline.cost_model,
            code: None,
            fits: Arc::default(),
            adaptive: None,
            listener: None,
        }
    }

    /// With what runs generated code, which pipelines need that [have any](Pipeline::runs_code).
    #[must_use]
    pub(crate) fn with_code(mut self, code: Option<Arc<Code>>) -> Self {
        self.code = code;
        self
    }

    /// The fields that an input must have to be answered.
    pub(crate) fn inputs(&self) -> BTreeSet<String> {
        self.stages.iter().flat_map(CompiledStage::input_fields).map(str::to_owned).collect()
    }

    /// Votes may be ended early, or not. Sources that keep what they drew want all: only [`crate::direct`] takes parts.
    #[must_use]
    pub(crate) fn with_adaptive(mut self, adaptive: Option<Adaptive>) -> Self {
        self.adaptive = adaptive;
        self
    }

    /// What is done is told. Sources that keep what they drew tell no texts.
    #[must_use]
    pub(crate) fn with_listener(mut self, listener: Option<Arc<dyn Listener>>) -> Self {
        self.listener = listener;
        self
    }

    /// Whether a plan's answer is the text of one call, which can be told while it is decoded.
    pub(crate) fn tells(&self, plan: &Plan) -> bool {
        let Some((last, choice)) = self.stages.len().checked_sub(1).and_then(|i| Some((i, plan.choices.get(i)?)))
        else {
            return false;
        };
        let once = self.pipeline.stages[last].flow.each.is_none();
        once && self.stages[last].verbatim(choice.aggregator, stage::draws(choice)).is_some()
    }

    pub(crate) fn code(&self) -> Result<&Code, EngineError> {
        self.code.as_deref().ok_or_else(|| EngineError::Internal("the pipeline's code has no sandbox".into()))
    }

    /// What running the code of a stage's outputs came to, by the output as JSON; nothing where the stage neither
    /// aggregates nor scores by it.
    pub(crate) async fn ran<'v>(
        &self,
        stage: usize,
        outputs: impl Iterator<Item = &'v Value>,
    ) -> Result<HashMap<String, Ran>, EngineError> {
        if !self.pipeline.stages[stage].runs_code() {
            return Ok(HashMap::new());
        }
        let code = self.code()?;
        let distinct: BTreeMap<String, &Value> = outputs.map(|output| (output.to_string(), output)).collect();
        let run = |(key, output): (String, &'v Value)| async move {
            Ok::<_, EngineError>((key, code.run(output).await?.ran()))
        };
        Ok(futures::future::try_join_all(distinct.into_iter().map(run)).await?.into_iter().collect())
    }

    /// Whether scoring a stage takes calls: embeddings or verdicts.
    pub(crate) fn scores_by_call(&self, stage: usize) -> bool {
        self.stages[stage].scores_by_embedding() || self.stages[stage].llm_judge().is_some()
    }

    pub(crate) fn stage(&self, index: usize) -> &CompiledStage {
        &self.stages[index]
    }

    pub(crate) fn stage_count(&self) -> usize {
        self.stages.len()
    }

    pub(crate) fn models(&self) -> &ModelSet {
        &self.models
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The bank's keys of a stage's samples for this example and these outputs upstream, for each model of the stage's
    /// pool and each temperature; of every run, with the number of samples that are there before anything is drawn. `None`
    /// where a prompt cannot be rendered.
    pub(crate) fn keys(
        &self,
        stage: usize,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        purpose: Purpose,
    ) -> Option<StageKeys> {
        let inputs = self.stages[stage].inputs(example, outputs).ok()?;
        let whole = inputs.iter().map(|outputs| self.stages[stage].render(example, outputs).ok());
        let whole = whole.collect::<Option<Vec<Vec<Message>>>>()?;
        let spec = &self.pipeline.stages[stage];
        let mut keys = Vec::new();
        for (index, &model) in spec.models.iter().enumerate() {
            let name = &self.pipeline.models[model].name;
            let Ok(connected) = self.models.get(name) else { continue };
            // Of what is too long and not shortened nothing is drawn, and it does not matter which messages stand for that.
            let sent = |(outputs, whole): (&BTreeMap<String, Value>, &Vec<Message>)| match &spec.too_long {
                TooLong::Fail => whole.clone(),
                TooLong::Shorten { .. } => match self.fit(stage, name, example, outputs) {
                    Ok(Fitted::Messages { messages, .. }) => messages,
                    Ok(Fitted::TooLong(_)) | Err(_) => whole.clone(),
                },
            };
            let runs: Vec<Vec<Message>> = inputs.iter().zip(&whole).map(sent).collect();
            for &temperature in &spec.temperatures {
                let key = |messages: &Vec<Message>| {
                    let request = self.request(stage, name, messages.clone(), temperature);
                    let there = self.models.there_before(name, &request, purpose);
                    (request.key(connected.model.identity()), there)
                };
                keys.push((index, temperature, runs.iter().map(key).collect()));
            }
        }
        Some(StageKeys { runs: inputs.len() as u32, keys })
    }

    /// A stage's prompt as a model can take it.
    pub(crate) fn fit(
        &self,
        stage: usize,
        model: &str,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Fitted, FitError> {
        let decoding = self.decoding(stage, model, Temperature::GREEDY);
        let compiled = &self.stages[stage];
        let prompt = Prompt { stage: compiled, model, decoding: &decoding, example, outputs };
        self.fits.fit(&self.models, &prompt, &|example, outputs| compiled.render(example, outputs))
    }

    /// Prompts that did not fit as they were, of all that were asked for.
    pub(crate) fn misfits(&self) -> HashMap<RequestKey, Fit> {
        self.fits.noted()
    }

    fn decoding(&self, stage: usize, model: &str, temperature: Temperature) -> Decoding {
        let spec = &self.pipeline.stages[stage];
        Decoding {
            temperature,
            top_p: spec.top_p.or(self.pipeline.model(model).and_then(|m| m.top_p)),
            max_tokens: spec.max_tokens,
            stop: spec.stop.clone(),
            constraint: spec.constraint.clone(),
        }
    }

    fn request(&self, stage: usize, model: &str, messages: Vec<Message>, temperature: Temperature) -> Request {
        Request { messages, decoding: self.decoding(stage, model, temperature) }
    }

    /// An example on which nothing is spent any more: it counts as failed, for this reason.
    pub(crate) fn left_out(&self, example: &Example, reason: &str) -> Execution {
        let scored = |spec: &agenttts_core::StageSpec| StageRun {
            score: spec.metric.as_ref().map(|_| 0.0),
            ..StageRun::default()
        };
        Execution {
            example: example.id.clone(),
            stages: self.pipeline.stages.iter().map(scored).collect(),
            steps: vec![None; self.pipeline.steps.len()],
            failure: Some(Failure::new(QUARANTINE, reason.to_owned(), None)),
            objective: 0.0,
            cost: Cost::ZERO,
            cost_units: 0.0,
            fresh: Usage::default(),
            drawn: Usage::default(),
        }
    }

    /// Runs one example. A failure of the example is part of the result; an error means that all must stop.
    pub(crate) async fn execute(
        &self,
        plan: &Plan,
        example: &Example,
        stream: u64,
        source: &dyn Source,
    ) -> Result<Execution, Halt> {
        self.execute_part(plan, example, stream, source, &BTreeMap::new()).await
    }

    /// As [`Executor::execute`], but runs only the stages that the plan has choices for (the first ones), and takes the
    /// outputs in `given`, by the stage's name, instead of running those stages: they cost nothing and cannot fail.
    pub(crate) async fn execute_part(
        &self,
        plan: &Plan,
        example: &Example,
        stream: u64,
        source: &dyn Source,
        given: &BTreeMap<String, Value>,
    ) -> Result<Execution, Halt> {
        let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
        let mut tally = Tally::default();
        let mut runs: Vec<StageRun> = Vec::with_capacity(self.stages.len());
        let mut steps: Vec<Option<StepRun>> = vec![None; self.pipeline.steps.len()];
        let mut failure = None;
        for &node in &self.pipeline.order {
            let index = match node {
                Node::Stage(index) => index,
                Node::Step(step) if !self.is_read(step, plan.choices.len(), given) => continue,
                Node::Step(step) => {
                    if failure.is_none() {
                        failure = self.step(step, example, &mut outputs, &mut steps[step]).await?;
                    }
                    continue;
                }
            };
            let Some(choice) = plan.choices.get(index) else { break };
            let spec = &self.pipeline.stages[index];
            let mut run = StageRun::default();
            if let Some(value) = given.get(&spec.name) {
                outputs.insert(spec.name.clone(), value.clone());
                run.output = Some(value.clone());
            } else if failure.is_none() {
                // The output of the last stage is the answer.
                let is_last = index + 1 == self.stages.len();
                let listener = self.listener.as_deref().filter(|listener| is_last && listener.hears_text());
                let heard = self.listener.as_deref().and_then(|listener| listener.stage(&spec.name, choice));
                let heard = heard.as_deref();
                let context = StageContext { executor: self, index, choice, example, stream, source, listener, heard };
                let end = context.run_all(&outputs, &mut run, &mut tally).await;
                heard.iter().for_each(|heard| {
                    heard.end(match &end {
                        Ok(StageEnd::Output(_)) if run.skipped => StageEnds::Skipped,
                        Ok(StageEnd::Output(_)) => StageEnds::Output,
                        Ok(_) | Err(_) => StageEnds::Failed,
                    });
                });
                match end? {
                    StageEnd::Output(value) => {
                        outputs.insert(spec.name.clone(), value.clone());
                        run.output = Some(value);
                    }
                    StageEnd::Failed { reason, fault } => {
                        failure = Some(Failure { fault, ..Failure::new(&spec.name, reason, None) });
                    }
                    StageEnd::TooLong { reason } => {
                        run.too_long = true;
                        let hint = Some(
                            "shorten it, lower `max_tokens`, take a model with a longer context, or let the stage \
                             shorten it with `too_long`",
                        );
                        failure = Some(Failure::new(&spec.name, reason, hint));
                    }
                }
            }
            // What is given was scored where it came from.
            if given.contains_key(&spec.name) {
                runs.push(run);
                continue;
            }
            let judging =
                Judging { executor: self, example, stream, source, outputs: &outputs, drawn: Mutex::default() };
            let scored = judging.score_stage(&self.stages[index], choice, &mut run).await;
            tally.drawn += *lock(&judging.drawn);
            match scored {
                Ok(()) => {}
                Err(Unscored::Halt(halt)) => return Err(halt),
                Err(Unscored::Failed { reason, fault }) => {
                    run.score = Some(0.0);
                    failure = failure.or(Some(Failure { fault, ..Failure::new(&spec.name, reason, None) }));
                }
            }
            runs.push(run);
        }
        let objective = runs.get(self.pipeline.objective).and_then(|r| r.score).unwrap_or(0.0);
        Ok(Execution {
            example: example.id.clone(),
            objective: if failure.is_some() { 0.0 } else { objective },
            stages: runs,
            steps,
            failure,
            cost: tally.cost,
            cost_units: self.cost_model.units(tally.cost),
            fresh: tally.fresh,
            drawn: tally.drawn,
        })
    }

    /// Whether any of the first stages reads a step, but for those whose outputs are given.
    fn is_read(&self, step: usize, stages: usize, given: &BTreeMap<String, Value>) -> bool {
        // Every step is read by some stage.
        (given.is_empty() && stages == self.stages.len())
            || (0..stages)
                .filter(|&stage| !given.contains_key(&self.pipeline.stages[stage].name))
                .any(|stage| self.pipeline.upstream(Node::Stage(stage)).contains(&Node::Step(step)))
    }

    /// Runs a step; the failure of the example, if it is one.
    async fn step(
        &self,
        index: usize,
        example: &Example,
        outputs: &mut BTreeMap<String, Value>,
        done: &mut Option<StepRun>,
    ) -> Result<Option<Failure>, Halt> {
        let name = &self.pipeline.steps[index].name;
        match self.steps.run(index, example, outputs, self.code.as_deref()).await {
            Ok(run) => {
                outputs.insert(name.clone(), run.output.clone());
                *done = Some(run);
                Ok(None)
            }
            Err(StepFailure::Failed(reason)) => Ok(Some(Failure::new(name, reason, BY_HAND))),
            Err(StepFailure::Lost(reason)) => {
                Ok(Some(Failure { of_program: true, ..Failure::new(name, reason, BY_HAND) }))
            }
            Err(StepFailure::Halt(halt)) => Err(halt),
        }
    }
}

/// What tells the samples of a stage in the bank, for one example and what it reads.
pub(crate) struct StageKeys {
    /// How often it runs.
    pub(crate) runs: u32,
    /// For each model of the pool and each temperature, the key of every run, and the samples that are there anyway.
    pub(crate) keys: Vec<(usize, Temperature, Vec<RunKey>)>,
}

/// The key of a run's samples, and how many are there anyway.
type RunKey = (RequestKey, u32);
