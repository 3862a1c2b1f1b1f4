//! `agenttts search`: begins a study, or goes on with one.

use std::path::{Path, PathBuf};

use agenttts_core::pipeline::{Overrides, SearchBudget, SearchSettings};
use agenttts_core::text::nearest;
use agenttts_core::{CostModel, LimitUse, Pipeline, StudyState, StudySummary};
use agenttts_engine::{
    EngineError, Loaded, ResumeOptions, SearchOptions, StopHandle, StudyContext, load_pipeline, plan_file,
    resume_study, start_study,
};
use agenttts_store::Store;

use super::plan;
use crate::args::SearchArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::progress::Progress;
use crate::output::study;

pub(super) async fn search(context: &Context, args: &SearchArgs) -> Result<Exit, Failure> {
    let mut inputs = None;
    let (store, summary) = match (&args.resume, &args.pipeline) {
        (Some(study), _) => resume(context, args, study).await?,
        (None, Some(path)) => {
            let (store, summary, test) = start(context, args, path).await?;
            inputs = test;
            (store, summary)
        }
        (None, None) => {
            return Err(Failure::Usage {
                message: "no pipeline is named".into(),
                hint: "agenttts search PIPELINE, or agenttts search --resume STUDY".into(),
            });
        }
    };
    end(context, args, &store, &summary, inputs.as_deref()).await
}

async fn start(
    context: &Context,
    args: &SearchArgs,
    path: &Path,
) -> Result<(Store, StudySummary, Option<PathBuf>), Failure> {
    let workshop = context.workshop()?;
    let loaded = load_pipeline(path, &*workshop.facts())?;
    let loaded = overridden(loaded, args)?;
    let root = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let test = Some(root.join(&loaded.pipeline.test_split.file)).filter(|file| file.is_file());
    let test = test.or_else(|| Some(PathBuf::from(&loaded.pipeline.test_split.file)).filter(|file| file.is_file()));
    let store = context.store()?;
    let options = SearchOptions {
        study: args.name.clone(),
        method: args.method.clone(),
        without_insights: args.without_insight.clone(),
    };
    let progress = Progress::new(&context.screen, &loaded.pipeline.search_budget, loaded.pipeline.cost_model, None);
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), progress.speaker(&context.screen));
    let study = StudyContext { workshop, observers: progress.observers(), stop };
    let result = start_study(&store, loaded, options, study).await;
    let summary = result.map_err(|error| stopped(progress.finish(), error))?;
    progress.finish();
    Ok((store, summary, test))
}

async fn resume(context: &Context, args: &SearchArgs, study: &str) -> Result<(Store, StudySummary), Failure> {
    let workshop = context.workshop()?;
    let (store, before) = context.summary(Some(study))?;
    let budget = limits(&before.spend.limits);
    let larger = args.search_budget.as_ref().map(|typed| typed.apply(budget));
    let progress = Progress::new(&context.screen, &larger.unwrap_or(budget), before.cost_model, Some(&before));
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), progress.speaker(&context.screen));
    let running = StudyContext { workshop, observers: progress.observers(), stop };
    let options = ResumeOptions { search_budget: larger, trials: args.trials };
    let result = resume_study(&store, study, options, running).await;
    let summary = result.map_err(|error| stopped(progress.finish(), error))?;
    progress.finish();
    Ok((store, summary))
}

/// The error that stopped a study, with the way to go on where the study had begun.
fn stopped(study: Option<String>, error: EngineError) -> Failure {
    match study {
        Some(study) => Failure::Stopped { study, error: Box::new(error.into()) },
        None => error.into(),
    }
}

/// What the command line changes in the pipeline.
fn overridden(loaded: Loaded, args: &SearchArgs) -> Result<Loaded, Failure> {
    let search = SearchSettings {
        method: args.method.clone().or_else(|| loaded.pipeline.search.method.clone()),
        trials: args.trials.unwrap_or(loaded.pipeline.search.trials),
        batch: args.batch.unwrap_or(loaded.pipeline.search.batch),
        seed: args.seed.unwrap_or(loaded.pipeline.search.seed),
        agent: match &args.agent_model {
            Some(name) => Some(agent(name, &loaded.pipeline)?),
            None => loaded.pipeline.search.agent.clone(),
        },
        task: loaded.pipeline.search.task.clone(),
    };
    let search_budget = args.search_budget.as_ref().map(|typed| typed.apply(loaded.pipeline.search_budget));
    let changed = search != loaded.pipeline.search || search_budget.is_some() || args.budget.is_some();
    if !changed {
        return Ok(loaded);
    }
    Ok(loaded.with_overrides(Overrides { plan_budget: args.budget, search_budget, search: Some(search) })?)
}

/// The agent's model, known to be one of the pipeline's.
fn agent(name: &str, pipeline: &Pipeline) -> Result<String, Failure> {
    if pipeline.model(name).is_some() {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = pipeline.models.iter().map(|m| m.name.as_str()).collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the pipeline has: {}", known.join(", ")),
    };
    Err(Failure::input(format!("--agent-model: the pipeline has no model {name:?}"), hint))
}

/// The search budget that a study has.
fn limits(used: &[LimitUse]) -> SearchBudget {
    let limit = |what: &str| used.iter().find(|l| l.what == what).map(|l| l.limit);
    SearchBudget {
        tokens: limit("tokens").map(|v| v as u64),
        usd: limit("usd").and_then(|v| CostModel::Usd.amount(v)),
        flops: limit("flops").and_then(|v| CostModel::Flops.amount(v)),
        calls: limit("calls").map(|v| v as u64),
        minutes: limit("minutes"),
    }
}

/// Writes the plan file, shows the result and says what to do next.
async fn end(
    context: &Context,
    args: &SearchArgs,
    store: &Store,
    summary: &StudySummary,
    inputs: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut written = None;
    if summary.recommended.is_some() {
        let plan = plan_file(store, &summary.study, None)?;
        written = plan::write(context, &plan, args.output.as_deref())?;
    }
    if args.json {
        context.screen.print_json(summary)?;
        context.screen.say(&format!("stopped: {}", summary.stop_reason.as_deref().unwrap_or("-")));
    } else {
        context.screen.print(&study::study(&context.screen, summary))?;
    }
    if let Some(file) = &written {
        context.screen.say(&format!("\nplan file: {}", file.display()));
    }
    let plan = written.map(|file| file.display().to_string());
    let inputs = inputs.map(|file| file.display().to_string());
    context.screen.say("next:");
    for step in study::next_steps(summary, plan.as_deref(), inputs.as_deref()) {
        context.screen.say(&format!("  {step}"));
    }
    Ok(if summary.state == StudyState::Interrupted { Exit::Interrupted } else { Exit::Ok })
}
