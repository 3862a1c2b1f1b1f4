//! The summary of a study, put together from its store at any time.

use agenttts_core::pipeline::{MetricSpec, Snapshot, TooLong};
use agenttts_core::{
    Archive, Confirmation, CostModel, Estimate, KindSpend, LimitUse, Pipeline, PlanSummary, Recommended, Reuse,
    SUMMARY_VERSION, ScalingCurve, Space, Spend, StageRuns, StageSummary, StudyState, StudySummary,
};
use agenttts_search::{Ask, StageText, TaskText, estimates, explain, pareto, recommend, searcher};
use agenttts_store::{ExampleOutcome, SpendTotals, Store, StudyRow};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::load::Loaded;
use crate::plan_file::PlanFile;
use crate::seal;
use crate::settings::StudySettings;
use crate::study::parse;

/// A line of the list of studies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyLine {
    /// Its name.
    pub name: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The method.
    pub method: String,
    /// Where it stands.
    pub state: StudyState,
    /// Trials measured.
    pub trials: u32,
    /// The objective of the leading plan.
    pub best: Option<Estimate>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
}

/// The version of [`StudyResult`]'s JSON.
const RESULT_VERSION: u32 = 1;

/// What a study stores of its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyResult {
    version: u32,
    recommended: Recommended,
    confirmation: Option<Confirmation>,
}

impl StudyResult {
    pub(crate) fn new(recommended: Recommended, confirmation: Option<Confirmation>) -> Self {
        StudyResult { version: RESULT_VERSION, recommended, confirmation }
    }

    pub(crate) fn into_parts(self) -> (Recommended, Option<Confirmation>) {
        (self.recommended, self.confirmation)
    }
}

/// A study as it stands in its store: what everything that is said of it begins with.
pub(crate) struct Standing {
    pub(crate) row: StudyRow,
    pub(crate) loaded: Loaded,
    pub(crate) settings: StudySettings,
    pub(crate) archive: Archive,
    pub(crate) recommended: Option<Recommended>,
    pub(crate) confirmation: Option<Confirmation>,
}

impl Standing {
    pub(crate) fn read(store: &Store, study: &str) -> Result<Self, EngineError> {
        let row = store.study(study)?;
        let loaded = Loaded::new(parse::<Snapshot>(&row.snapshot)?)?;
        let settings: StudySettings = parse(&row.settings)?;
        let archive = store.archive(row.id)?;
        let result: Option<StudyResult> = row.result.as_deref().map(parse).transpose()?;
        // A study that was resumed may have outrun its last result.
        let (recommended, confirmation) = match result {
            Some(result) => (Some(result.recommended), result.confirmation),
            None => (recommended(&loaded, &settings, &archive), None),
        };
        Ok(Standing { row, loaded, settings, archive, recommended, confirmation })
    }
}

/// The summary of a study, finished or not.
pub fn summary(store: &Store, study: &str) -> Result<StudySummary, EngineError> {
    let Standing { row, loaded, settings, archive, recommended, confirmation } = Standing::read(store, study)?;
    let won = recommended.as_ref().map(|r| &r.plan);
    let explanation = explain(&loaded.space, &archive, won, u64::from(loaded.pipeline.search.seed));
    let totals = store.spend(row.id)?;
    let seal = match &confirmation {
        Some(_) => won.map_or(Ok(None), |plan| seal::of(store, row.id, &loaded, plan))?,
        None => None,
    };
    let outline = outline(store, &row, &loaded, &settings, (recommended, confirmation), &totals)?;
    Ok(StudySummary {
        pareto: pareto(&loaded.space, &archive).iter().map(|r| r.trial).collect(),
        plans: plans(&loaded.space, &archive),
        curves: curves(&loaded, &archive),
        reuse: reuse(&archive),
        explanation,
        seal,
        archive,
        ..outline
    })
}

/// The summary without trials, and without what is said of them.
pub(crate) fn outline(
    store: &Store,
    row: &StudyRow,
    loaded: &Loaded,
    settings: &StudySettings,
    (recommended, confirmation): (Option<Recommended>, Option<Confirmation>),
    totals: &SpendTotals,
) -> Result<StudySummary, EngineError> {
    let pipeline = &loaded.pipeline;
    Ok(StudySummary {
        version: SUMMARY_VERSION,
        study: row.name.clone(),
        pipeline: pipeline.name.clone(),
        description: pipeline.description.clone(),
        method: settings.method.clone(),
        agent: settings.agent.clone(),
        history: settings.history.clone(),
        examples_per_trial: settings.search.examples,
        seed: pipeline.search.seed,
        program: settings.program.clone(),
        models: settings.models.clone(),
        sandbox: settings.sandbox.clone(),
        state: row.state,
        stop_reason: row.stop_reason.clone(),
        cost_model: pipeline.cost_model,
        plan_budget: pipeline.cost_model.units(pipeline.plan_budget),
        stages: stages(store, row, loaded, recommended.as_ref())?,
        objective: objective_name(pipeline),
        space: [loaded.space.size() as f64, loaded.space.feasible() as f64],
        search_examples: pipeline.search_split.examples.len() as u32,
        test_examples: pipeline.test_split.examples.len() as u32,
        pareto: Vec::new(),
        plans: Vec::new(),
        curves: Vec::new(),
        spend: spend(loaded, settings, row, totals),
        reuse: Reuse::default(),
        recommended,
        confirmation,
        seal: None,
        quarantined: settings.quarantined.clone(),
        explanation: None,
        archive: Archive::default(),
    })
}

/// All studies of a store, oldest first.
pub fn list_studies(store: &Store) -> Result<Vec<StudyLine>, EngineError> {
    let mut lines = Vec::new();
    for head in store.heads()? {
        let archive = Archive { trials: store.trials(head.id)?, ..Archive::default() };
        let settings: StudySettings = parse(&head.settings)?;
        lines.push(StudyLine {
            trials: archive.measured().count() as u32,
            best: archive.best().map(|p| p.objective),
            name: head.name,
            pipeline: head.pipeline,
            method: settings.method,
            state: head.state,
            started_ms: head.started_ms,
        });
    }
    Ok(lines)
}

/// The plan file of a study's trial, or of its recommended plan.
pub fn plan_file(store: &Store, study: &str, trial: Option<u32>) -> Result<PlanFile, EngineError> {
    let standing = Standing::read(store, study)?;
    PlanFile::of(store, &standing, trial)?.ok_or_else(|| match trial {
        Some(number) => EngineError::input(
            format!("the study {} has no trial {number}", standing.row.name),
            "`agenttts show STUDY --trials` lists them",
        ),
        None => EngineError::input(
            format!("the study {} has not measured a plan yet", standing.row.name),
            "go on with `agenttts search --resume`",
        ),
    })
}

/// What the search recommends so far.
pub(crate) fn recommended(loaded: &Loaded, settings: &StudySettings, archive: &Archive) -> Option<Recommended> {
    let task = task_text(&loaded.pipeline);
    let pool = loaded.pipeline.search_split.examples.len() as u32;
    let ask = Ask::new(&loaded.space, archive, &settings.search, &task).with_pool(pool);
    let found = match searcher(&settings.method) {
        Ok(method) => method.recommend(&ask),
        // A method that another version has.
        Err(_) => recommend(&loaded.space, archive),
    };
    found.map(|r| Recommended { trial: r.trial, plan: r.plan, why: r.why })
}

/// The task in words, for a method's agent.
pub(crate) fn task_text(pipeline: &Pipeline) -> TaskText {
    let metric = |s: &agenttts_core::StageSpec| s.metric.as_ref().map(MetricSpec::name);
    let description = |s: &agenttts_core::StageSpec| match (&s.flow.condition, &s.flow.each) {
        (None, None) => s.name.clone(),
        (Some(_), None) => format!("{}, which runs for about {} of the examples", s.name, s.flow.runs),
        (_, Some(_)) => {
            format!("{}, which runs about {} times for an example, once for each item", s.name, s.flow.runs)
        }
    };
    TaskText {
        description: pipeline.search.task.clone(),
        objective: objective_name(pipeline),
        stages: pipeline.stages.iter().map(|s| StageText { description: description(s), metric: metric(s) }).collect(),
    }
}

pub(crate) fn objective_name(pipeline: &Pipeline) -> String {
    let stage = &pipeline.stages[pipeline.objective];
    let metric = stage.metric.as_ref().map_or_else(|| "score".into(), MetricSpec::name);
    format!("{} of {}", metric, stage.name)
}

fn stages(
    store: &Store,
    row: &StudyRow,
    loaded: &Loaded,
    recommended: Option<&Recommended>,
) -> Result<Vec<StageSummary>, EngineError> {
    let varies = loaded.pipeline.stages.iter().any(|s| s.flow.varies());
    let outcomes = match recommended.filter(|_| varies) {
        Some(recommended) => store.outcomes(row.id, recommended.trial)?,
        None => Vec::new(),
    };
    let priced = loaded.space.stages().iter().zip(&loaded.pipeline.stages).enumerate();
    let stages = priced.map(|(i, (p, spec))| StageSummary {
        name: spec.name.clone(),
        models: p.by_size.iter().map(|&m| p.model_name(m).to_owned()).collect(),
        samples: spec.samples.clone(),
        metric: spec.metric.as_ref().map(MetricSpec::name),
        shortens: match &spec.too_long {
            TooLong::Shorten { variable } => Some(variable.clone()),
            TooLong::Fail => None,
        },
        runs: spec.flow.varies().then(|| StageRuns { expected: spec.flow.runs.as_f64(), counted: runs(&outcomes, i) }),
    });
    Ok(stages.collect())
}

/// How often a stage ran, over the examples that reached it; `None` where none did.
fn runs(outcomes: &[ExampleOutcome], stage: usize) -> Option<f64> {
    let reached = outcomes.iter().filter_map(|o| o.stages.get(stage));
    let reached = reached.filter(|s| s.skipped || s.output.is_some() || !s.runs().is_empty());
    let counts: Vec<f64> = reached.map(|s| s.runs().len() as f64).collect();
    (!counts.is_empty()).then(|| counts.iter().sum::<f64>() / counts.len() as f64)
}

/// The measured plans, pooled.
pub(crate) fn plans(space: &Space, archive: &Archive) -> Vec<PlanSummary> {
    let believed = estimates(space, archive);
    let pooled = archive.plans().into_iter();
    pooled
        .map(|p| PlanSummary {
            trial: p.first_trial(),
            trials: p.trials.iter().map(|(t, _)| t.number).collect(),
            plan: p.plan.clone(),
            objective: p.objective,
            cost: p.cost,
            estimate: believed.iter().find(|r| &r.plan == p.plan).map(|r| [r.mean, r.sd]),
        })
        .collect()
}

/// For every stage and model the curve of the trial with most samples there; among these, with the best objective.
fn curves(loaded: &Loaded, archive: &Archive) -> Vec<ScalingCurve> {
    let mut curves = Vec::new();
    for (stage, priced) in loaded.space.stages().iter().enumerate() {
        for &model in &priced.by_size {
            let name = priced.model_name(model);
            let drawn = archive.measured().filter_map(|(trial, m)| {
                let points = m.curves.get(stage).filter(|c| !c.is_empty())?;
                (trial.plan.choices.get(stage)?.model == name).then_some((trial, m, points))
            });
            let longest = drawn.max_by(|(a, x, p), (b, y, q)| {
                let length = |c: &[agenttts_core::CurvePoint]| c.last().map_or(0, |p| p.samples);
                let by_length = length(p).cmp(&length(q));
                by_length.then(x.objective.mean.total_cmp(&y.objective.mean)).then(b.number.cmp(&a.number))
            });
            if let Some((trial, _, points)) = longest {
                curves.push(ScalingCurve {
                    stage: priced.stage.name.clone(),
                    model: name.to_owned(),
                    trial: trial.number,
                    points: points.clone(),
                });
            }
        }
    }
    curves
}

fn spend(loaded: &Loaded, settings: &StudySettings, row: &StudyRow, totals: &SpendTotals) -> Spend {
    let models = &loaded.pipeline.models;
    let seconds = row.elapsed_ms as f64 / 1000.0;
    let budget = &settings.search_budget;
    let amounts = &totals.amounts;
    let usd = CostModel::Usd.units(amounts.usd);
    let gflop = CostModel::Flops.units(amounts.flops);
    let limits = [
        ("tokens", budget.tokens.map(|l| l as f64), amounts.tokens as f64),
        ("usd", budget.usd.map(|l| CostModel::Usd.units(l)), usd),
        ("flops", budget.flops.map(|l| CostModel::Flops.units(l)), gflop),
        ("calls", budget.calls.map(|l| l as f64), amounts.calls as f64),
        ("minutes", budget.minutes, seconds / 60.0),
    ];
    Spend {
        total: totals.usage,
        by_kind: totals
            .by_kind
            .iter()
            .map(|(kind, (usage, samples))| (kind.clone(), KindSpend { usage: *usage, samples: *samples }))
            .collect(),
        usd: models.iter().all(|m| m.price.is_some()).then_some(usd),
        gflop: models.iter().all(|m| m.params.is_some()).then_some(gflop),
        lost_tokens: totals.lost_tokens,
        seconds,
        limits: limits
            .into_iter()
            .filter_map(|(what, limit, used)| Some(LimitUse { what: what.into(), limit: limit?, used }))
            .collect(),
    }
}

/// Tokens that the trials drew, against what each distinct (plan, stream, span) would have drawn from nothing.
fn reuse(archive: &Archive) -> Reuse {
    let mut reuse = Reuse::default();
    let mut seen = std::collections::HashSet::new();
    for (trial, measured) in archive.measured() {
        reuse.drawn += measured.drawn.tokens();
        if seen.insert((&trial.plan, trial.stream, trial.span)) {
            reuse.fresh += measured.fresh.tokens();
        }
    }
    reuse
}
