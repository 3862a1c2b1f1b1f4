//! Running a found plan on inputs: the same prompts, sampling, parsing and aggregation as in the search.

use std::collections::BTreeSet;
use std::sync::Arc;

use agenttts_core::{Choice, CostModel, Example, ModelIdentity, Plan, ProviderSpec, Usage};
use agenttts_models::ModelError;
use agenttts_store::Limits;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::direct::{Direct, Meter};
use crate::error::EngineError;
use crate::execute::{Adaptive, Executor, ItemRun, StageRun};
use crate::expected::mean_support;
use crate::fit::LeftOut;
use crate::listener::Listener;
use crate::plan_file::PlanFile;
use crate::source::Halt;
use crate::steps::{StepRun, changed_programs};
use crate::workshop::{ModelSet, Workshop};

/// The first stream of `run`, others are below it: apart from every study's, so that serving never replays a measurement.
const RUN_STREAM: u64 = u64::MAX;

/// Runs one plan.
pub struct Runner {
    plan: Plan,
    executor: Executor,
    models: ModelSet,
    changed: Vec<String>,
}

/// How an input is answered.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Which draws: the same number gives the same draws, where models are reproducible. Each has streams of its own,
    /// apart from every study's.
    pub draw: u32,
    /// The most that answering may take: a call that could pass a limit is not begun, and the answer fails.
    pub limits: Limits,
    /// Counts what answering takes.
    pub meter: Meter,
    /// Whether votes may be ended early; absent = all samples of the plan are drawn, as was measured.
    pub adaptive: Option<Adaptive>,
    /// Hears what is done, while it is done.
    pub listener: Option<Arc<dyn Listener>>,
}

/// An answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Answer {
    /// The last stage's output.
    pub output: Value,
    /// Whether what the last stage's model wrote for it ended at the stage's `max_tokens`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
    /// What every stage did.
    pub stages: Vec<StageTrace>,
    /// What every step did; left out where the pipeline has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTrace>,
    /// What it cost, in units of the plan's cost model.
    pub cost: f64,
    /// The same for people.
    pub cost_text: String,
    /// Tokens and calls.
    pub usage: Usage,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Answer {
    /// The share of samples that agree, mean over the stages and items that drew several: as
    /// [`Expected::agreement`](crate::Expected::agreement) has it.
    pub fn agreement(&self) -> Option<f64> {
        mean_support(self.stages.iter().flat_map(|stage| match &stage.items {
            Some(items) => items.iter().map(|item| (item.samples.len(), item.support)).collect(),
            None => vec![(stage.samples.len(), stage.support)],
        }))
    }

    /// The share of its samples that could not be read, as [`Expected::unread`](crate::Expected::unread) has it; `None`
    /// where nothing was drawn.
    pub fn unread(&self) -> Option<f64> {
        let of_items = self.stages.iter().flat_map(|s| s.items.iter().flatten()).flat_map(|item| &item.parsed);
        let parsed = self.stages.iter().flat_map(|s| &s.parsed).chain(of_items);
        let count = |(bad, all): (usize, usize), parsed: &Option<Value>| (bad + usize::from(parsed.is_none()), all + 1);
        let (bad, all) = parsed.fold((0, 0), count);
        (all > 0).then(|| bad as f64 / all as f64)
    }

    /// The stages of which a prompt was too long for its model and was shortened.
    pub fn shortened(&self) -> impl Iterator<Item = &StageTrace> {
        let items = |stage: &StageTrace| stage.items.iter().flatten().any(|item| item.left_out.is_some());
        self.stages.iter().filter(move |stage| stage.left_out.is_some() || items(stage))
    }
}

/// What a stage did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StageTrace {
    /// The stage.
    pub stage: String,
    /// What the plan chose for it.
    pub choice: Choice,
    /// Its output.
    pub output: Option<Value>,
    /// The texts of its samples.
    pub samples: Vec<String>,
    /// What each sample was read as; `null` where it could not be.
    pub parsed: Vec<Option<Value>>,
    /// The share of samples that agree with the output.
    pub support: Option<f64>,
    /// The fusion's or judge's text.
    pub combined: Option<String>,
    /// Why the vote stands in for an unusable fusion or judgement.
    pub fallback: Option<String>,
    /// What was left out of its prompt, where that was too long for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Whether its condition kept it from running.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// What a stage that runs for items did for each; the other lists are empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<ItemTrace>>,
}

/// What a stage did for one item, as in [`StageTrace`].
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ItemTrace {
    /// The texts of its samples.
    pub samples: Vec<String>,
    /// What each sample was read as; `null` where it could not be.
    pub parsed: Vec<Option<Value>>,
    /// The share of samples that agree with the output.
    pub support: Option<f64>,
    /// The fusion's or judge's text.
    pub combined: Option<String>,
    /// Why the vote stands in for an unusable fusion or judgement.
    pub fallback: Option<String>,
    /// What was left out of its prompt, where that was too long for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

impl From<ItemRun> for ItemTrace {
    fn from(run: ItemRun) -> Self {
        ItemTrace {
            samples: run.samples.into_iter().map(|s| s.draw.text).collect(),
            parsed: run.parsed.into_iter().map(Result::ok).collect(),
            support: run.support,
            combined: run.combined.map(|s| s.draw.text),
            fallback: run.fallback,
            left_out: run.left_out,
        }
    }
}

impl StageTrace {
    fn new(stage: &str, choice: &Choice, run: StageRun) -> Self {
        let mut runs: Vec<ItemTrace> = run.runs.into_iter().map(ItemTrace::from).collect();
        let once = if run.by_item { None } else { runs.pop() }.unwrap_or_default();
        let ItemTrace { samples, parsed, support, combined, fallback, left_out } = once;
        StageTrace {
            stage: stage.to_owned(),
            choice: choice.clone(),
            output: run.output,
            samples,
            parsed,
            support,
            combined,
            fallback,
            left_out,
            skipped: run.skipped,
            items: run.by_item.then_some(runs),
        }
    }
}

/// What a step did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepTrace {
    /// The step.
    pub step: String,
    /// Its output.
    pub output: Value,
    /// Seconds that it took; 0 where an equal input was answered before.
    pub seconds: f64,
}

impl Runner {
    /// A runner for a plan file.
    ///
    /// # Errors
    /// What is wrong with the plan file, models that are not there, and code that cannot run here.
    pub async fn new(plan: &PlanFile, workshop: &Workshop) -> Result<Self, EngineError> {
        runner(plan, &[plan.plan()], workshop).await
    }

    /// Runners for a plan file's plan and then for every plan of its front, which share connections and models.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub async fn with_front(plan: &PlanFile, workshop: &Workshop) -> Result<Vec<Self>, EngineError> {
        let mut plans = vec![plan.plan()];
        for front in &plan.front {
            let alone = plan.of_front(front);
            alone.load()?;
            plans.push(alone.plan());
        }
        let first = runner(plan, &plans, workshop).await?;
        let with_plan = |plan| {
            let Runner { executor, models, changed, .. } = &first;
            Runner { plan, executor: executor.clone(), models: models.clone(), changed: changed.clone() }
        };
        Ok(plans.into_iter().map(with_plan).collect())
    }

    /// The programs of steps that are not what they were when the plan was measured.
    pub fn changed_programs(&self) -> &[String] {
        &self.changed
    }

    /// The plan's cost model.
    pub fn cost_model(&self) -> CostModel {
        self.executor.pipeline().cost_model
    }

    /// The fields of an input that the pipeline reads: gold answers, which only metrics read, are not among them.
    pub fn inputs(&self) -> BTreeSet<String> {
        self.executor.inputs()
    }

    /// Whether a [`Listener`] hears the answer while it is decoded: where the last stage runs once, its output is the whole
    /// text, and that is of its one sample or of the fusion of its samples. All other answers, of votes and of parsers that
    /// pick something from the text, are there only at the end.
    pub fn tells(&self) -> bool {
        self.executor.tells(&self.plan)
    }

    /// Where its models are.
    pub fn providers(&self) -> &[ProviderSpec] {
        &self.executor.pipeline().providers
    }

    /// Which weights answer, by the model's name.
    pub fn models(&self) -> impl Iterator<Item = (String, ModelIdentity)> {
        self.models.identities().into_iter()
    }

    /// Answers one input: the fields that the pipeline's templates read.
    ///
    /// # Errors
    /// Where a stage fails: a field is missing, a model cannot be reached, or no sample can be read.
    pub async fn run(&self, fields: Map<String, Value>) -> Result<Answer, EngineError> {
        self.run_with(fields, &RunOptions::default()).await
    }

    /// Answers one input within limits. What that takes is in the options' meter, also where it fails or is dropped.
    ///
    /// # Errors
    /// As [`Runner::run`], and [`EngineError::Limit`] where the next call could pass a limit.
    pub async fn run_with(&self, fields: Map<String, Value>, options: &RunOptions) -> Result<Answer, EngineError> {
        let start = std::time::Instant::now();
        let example = Example { id: "input".into(), line: 0, fields };
        let source = Direct { models: &self.models, meter: &options.meter, limits: options.limits };
        let stream = RUN_STREAM - u64::from(options.draw);
        let executor = self.executor.clone().with_adaptive(options.adaptive).with_listener(options.listener.clone());
        let execution = match executor.execute(&self.plan, &example, stream, &source).await {
            Ok(execution) => execution,
            Err(Halt::Fatal(error)) => return Err(error),
            Err(Halt::Limit { limit, detail }) => {
                return Err(EngineError::Limit(format!("the limit of {} for this input: {detail}", limit.name())));
            }
            Err(Halt::Stopped) => return Err(EngineError::Internal("stopped".into())),
        };
        if let Some(failure) = execution.failure {
            let usual = "the input must have the fields that the templates read";
            let hint = failure.hint.unwrap_or(usual);
            return Err(match failure.fault.clone() {
                Some(error) => EngineError::Model(ModelError { message: failure.to_string(), ..error }),
                None if failure.of_program => EngineError::program(failure.to_string(), hint),
                None => EngineError::input(failure.to_string(), hint),
            });
        }
        let cost_model = self.cost_model();
        let names = self.executor.pipeline().steps.iter().map(|s| s.name.clone());
        let steps = names
            .zip(execution.steps)
            .filter_map(|(step, run)| run.map(|StepRun { output, seconds }| StepTrace { step, output, seconds }));
        let steps = steps.collect();
        let last = execution.stages.last();
        let output = last.and_then(|s| s.output.clone()).unwrap_or(Value::Null);
        let cut_off = last.is_some_and(|stage| stage.runs.iter().any(|run| run.is_cut_off(&output)));
        let stages = execution.stages.into_iter().zip(&self.plan.choices).enumerate();
        Ok(Answer {
            output,
            cut_off,
            stages: stages
                .map(|(i, (run, choice))| StageTrace::new(&self.executor.pipeline().stages[i].name, choice, run))
                .collect(),
            steps,
            cost: execution.cost_units,
            cost_text: cost_model.display(execution.cost),
            usage: execution.drawn,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// A runner of the plan file's plan, with all models that these plans need.
async fn runner(plan: &PlanFile, plans: &[Plan], workshop: &Workshop) -> Result<Runner, EngineError> {
    let loaded = plan.load()?;
    let mut used = loaded.pipeline.clone();
    // Only the plans' models are needed, and their judges.
    let judges: Vec<usize> = used.stages.iter().filter_map(|s| s.judge.as_ref().map(|j| j.model)).collect();
    let names: BTreeSet<&str> = plans.iter().flat_map(|p| &p.choices).map(|c| c.model.as_str()).collect();
    let mut index = 0..;
    used.models.retain(|m| index.next().is_some_and(|i| judges.contains(&i)) || names.contains(m.name.as_str()));
    let models = workshop.connect(&used)?;
    let code = workshop.code(&loaded.pipeline).await?.map(|(code, _)| code);
    let steps = workshop.steps(&loaded)?;
    steps.forgive();
    let executor = Executor::new(&loaded, models.clone(), steps).with_code(code);
    let changed = loaded.snapshot.workplace.iter().flat_map(changed_programs).collect();
    Ok(Runner { plan: plan.plan(), executor, models, changed })
}
