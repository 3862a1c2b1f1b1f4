//! `agenttts search`: begins a study, or goes on with one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agenttts_core::pipeline::{Overrides, SearchBudget, SearchSettings};
use agenttts_core::text::nearest;
use agenttts_core::{CostModel, LimitUse, Pipeline, StudyState, StudySummary};
use agenttts_engine::{
    AgentStyle, EngineError, Loaded, ResumeOptions, SearchOptions, StopHandle, StudyContext, Tape, Workshop, plan_file,
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
    let tape = args.tape.as_deref().map(Tape::open).transpose()?.map(Arc::new);
    let (store, summary) = match (&args.resume, &args.pipeline, &tape) {
        (Some(study), _, _) => resume(context, args, study, tape).await?,
        (None, Some(path), _) => {
            let workshop = workshop(context, tape)?;
            let loaded = context.pipeline(path, &args.with, &workshop)?;
            inputs = test_file(path, &loaded);
            let store = context.store()?;
            let summary = start(context, args, &store, workshop, loaded).await?;
            (store, summary)
        }
        (None, None, Some(tape)) => {
            let loaded = tape.load()?;
            let store = context.store()?;
            let workshop = workshop(context, Some(tape.clone()))?;
            let summary = start_with(context, args, &store, workshop, loaded, tape.search_options()).await?;
            (store, summary)
        }
        (None, None, None) => {
            return Err(Failure::Usage {
                message: "no pipeline is named".into(),
                hint: "agenttts search PIPELINE, or agenttts search --resume STUDY".into(),
            });
        }
    };
    end(context, args, &store, &summary, inputs.as_deref()).await
}

/// Where models come from: a tape, or the folder of models.
pub(super) fn workshop(context: &Context, tape: Option<Arc<Tape>>) -> Result<Workshop, Failure> {
    match tape {
        // A tape needs no folder of models, so a machine without one may have none.
        Some(tape) => Ok(context.workshop_of(context.models_dir().unwrap_or_default()).with_tape(tape)),
        None => context.workshop(),
    }
}

/// The file of the test split, where it can be found from here.
fn test_file(path: &Path, loaded: &Loaded) -> Option<PathBuf> {
    let root = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let file = &loaded.pipeline.test_split.file;
    [root.join(file), PathBuf::from(file)].into_iter().find(|file| file.is_file())
}

/// Begins a study of the pipeline, with what the command line changes in it, and runs it to its end.
pub(super) async fn start(
    context: &Context,
    args: &SearchArgs,
    store: &Store,
    workshop: Workshop,
    loaded: Loaded,
) -> Result<StudySummary, Failure> {
    start_with(context, args, store, workshop, loaded, None).await
}

/// The same, but as the study of a tape searched where the command line says nothing else.
async fn start_with(
    context: &Context,
    args: &SearchArgs,
    store: &Store,
    workshop: Workshop,
    loaded: Loaded,
    as_before: Option<SearchOptions>,
) -> Result<StudySummary, Failure> {
    let loaded = overridden(loaded, args)?;
    let as_typed = SearchOptions {
        study: args.name.clone(),
        method: args.method.clone(),
        without_insights: args.without_insight.clone(),
        history: args.history.clone(),
        agent_style: match (args.faithful, args.released) {
            (true, _) => AgentStyle::Faithful,
            (_, true) => AgentStyle::Released,
            _ => AgentStyle::Portfolio,
        },
        racing: (args.racing || args.no_racing).then_some(args.racing),
    };
    let options = match as_before {
        // Another method is another search, whatever else is typed.
        Some(before) if as_typed.method.is_none() => {
            let styled = as_typed.agent_style != AgentStyle::Portfolio;
            let typed = as_typed.without_insights;
            SearchOptions {
                study: as_typed.study,
                without_insights: if typed.is_empty() { before.without_insights } else { typed },
                agent_style: if styled { as_typed.agent_style } else { before.agent_style },
                history: as_typed.history,
                racing: as_typed.racing.or(before.racing),
                method: before.method,
            }
        }
        _ => as_typed,
    };
    let progress = Progress::new(&context.screen, &loaded.pipeline.search_budget, loaded.pipeline.cost_model, None);
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), progress.speaker(&context.screen));
    let study = StudyContext { workshop, observers: progress.observers(), stop };
    let result = start_study(store, loaded, options, study).await;
    let summary = result.map_err(|error| stopped(progress.finish(), error))?;
    progress.finish();
    Ok(summary)
}

async fn resume(
    context: &Context,
    args: &SearchArgs,
    study: &str,
    tape: Option<Arc<Tape>>,
) -> Result<(Store, StudySummary), Failure> {
    let workshop = workshop(context, tape)?;
    let (store, before) = context.summary(Some(study))?;
    let budget = limits(&before.spend.limits);
    let larger = args.search_budget.as_ref().map(|typed| typed.apply(budget));
    let progress = Progress::new(&context.screen, &larger.unwrap_or(budget), before.cost_model, Some(&before));
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), progress.speaker(&context.screen));
    let running = StudyContext { workshop, observers: progress.observers(), stop };
    let options = ResumeOptions { search_budget: larger, trials: args.trials, release: args.release };
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
        examples_per_trial: args.examples_per_trial.or(loaded.pipeline.search.examples_per_trial),
        racing: loaded.pipeline.search.racing,
        on_outage: loaded.pipeline.search.on_outage,
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
        context.screen.print(&study::study(&context.screen, summary, true))?;
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
