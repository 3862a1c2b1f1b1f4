//! A pilot study of a pipeline: every stage's score against samples and cost, for every model and several qualities of
//! what comes from upstream, and which insights of AgentTTS (arXiv 2508.00890) hold.
//!
//! The largest number of samples is drawn once for every stage, model, example and setting upstream; all smaller numbers
//! are estimated from subsets of these draws. Nothing is said beyond the number of draws.

mod cell;
mod first;
mod hypothesis;
mod interval;
mod measure;
mod peak;
mod permutation;
mod plan;
mod report;
mod run;
mod second;
mod setting;
mod subset;
mod third;

use std::sync::Arc;

use agenttts_core::{Example, Pilot, StudyState, Usage};
use agenttts_store::Store;

use crate::bank::Bank;
use crate::books::books;
use crate::budget::Budget;
use crate::code::Code;
use crate::error::EngineError;
use crate::event::Event;
use crate::execute::Executor;
use crate::load::Loaded;
use crate::order::ExampleOrder;
use crate::settings::check_limits;
use crate::source::{Halt, Source};
use crate::steps::Steps;
use crate::streams::{Purpose, stream};
use crate::study::{StudyContext, width};
use crate::tape::{Tape, TapeSource, connect};
use report::{Frame, Of};
use run::{Drawing, Measured};

/// How a pilot is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PilotOptions {
    /// How many examples of the search split, in the order of a study of the same seed; all where absent.
    pub examples: Option<u32>,
    /// The most draws of a stage, model, example and setting; the most samples that the stage permits where absent.
    pub draws: Option<u32>,
    /// The smallest difference of scores that is worth knowing, above 0.
    pub margin: f64,
}

/// The margin where nobody says another: what a search would hardly pay for.
pub const PILOT_MARGIN: f64 = 0.05;

impl Default for PilotOptions {
    fn default() -> Self {
        PilotOptions { examples: None, draws: None, margin: PILOT_MARGIN }
    }
}

/// What the books call the method.
const METHOD: &str = "pilot";

/// Makes a pilot with live models. Draws go through the bank, in the stream that searches of the same seed share, under a
/// study named `PIPELINE-pilot` that keeps the books; the pipeline's search budget is the limit over all its calls. The
/// same call goes on after a stop or a crash. `None` where somebody asked it to stop.
///
/// # Errors
/// Models or a store that cannot be used, and a limit that was reached before anything could be measured.
pub async fn pilot(
    store: &Store,
    loaded: Loaded,
    options: PilotOptions,
    context: StudyContext,
) -> Result<Option<Pilot>, EngineError> {
    check_limits(&loaded, &loaded.pipeline.search_budget)?;
    let models = context.workshop.connect(&loaded.pipeline)?;
    let steps = context.workshop.steps(&loaded)?;
    let code = context.workshop.code(&loaded.pipeline).await?.map(|(code, _)| code);
    let study = Arc::new(books(store, format!("{}-pilot", loaded.pipeline.name), &loaded, &models).await?);
    let StudyContext { observers, stop, .. } = context;
    let before = store.spend(study.id())?.usage;
    let examples = examples(&loaded, options);
    observers.send(Event::Started {
        study: study.name().into(),
        resumed: before.calls > 0,
        method: METHOD.into(),
        feasible: loaded.space.feasible() as f64,
        trials: 0,
        examples: examples.len() as u32,
        examples_per_trial: None,
        history: None,
    });
    let elapsed = store.study(study.name())?.elapsed_ms as f64 / 1000.0;
    let budget = Arc::new(Budget::new(loaded.pipeline.search_budget, elapsed));
    let bank = Bank::new(study.clone(), models.clone(), budget.clone(), observers.clone(), stop, before);
    let progress = |done, total| {
        let spent = budget.spent(study.spent(), bank.usage());
        observers.send(Event::Progress { done, total, spent });
    };
    let executor = Executor::new(&loaded, models.clone(), steps).with_code(code);
    let ended = drawing(&loaded, &executor, &bank, &examples, options, &progress).run().await;
    study.set_elapsed((budget.seconds() * 1000.0) as i64).await?;
    let (state, reason) = match &ended {
        Ok(Measured { halt: None, .. }) => (StudyState::Done, "the pilot is drawn".to_owned()),
        Ok(Measured { halt: Some(Halt::Limit { limit, detail }), .. }) => {
            (StudyState::Limit, format!("the limit of {} is reached: {detail}", limit.name()))
        }
        Ok(_) => (StudyState::Interrupted, "somebody asked it to stop".to_owned()),
        Err(error) => (StudyState::Failed, error.to_string()),
    };
    observers.send(Event::Stopped { reason: reason.clone() });
    // The error of the pilot matters more than a second one from its store.
    let written = study.set_state(state, Some(reason.clone())).await;
    let measured = ended?;
    written?;
    let stopped = match &measured.halt {
        Some(Halt::Limit { .. }) => Some(reason),
        Some(_) => return Ok(None),
        None => None,
    };
    if let Some(reason) = stopped.as_ref().filter(|_| measured.stages.iter().all(|s| s.settings.is_empty())) {
        return Err(EngineError::Budget(format!("no example could be drawn whole: {reason}")));
    }
    let after = bank.usage();
    let drawn = Usage {
        prompt: after.prompt - before.prompt,
        cached_prompt: after.cached_prompt - before.cached_prompt,
        decode: after.decode - before.decode,
        calls: after.calls - before.calls,
    };
    let frame = Frame { models: &models, examples: examples.len() as u32, drawn, stopped };
    Ok(Some(report::pilot(&of(&loaded, options), frame, &measured.stages)))
}

/// Makes a pilot from a tape, of [`Tape::load`]'s pipeline, perhaps under other overrides: nothing is called or stored.
/// Gold outputs upstream are there only as far as some plan of the pipeline gave them.
///
/// # Errors
/// Draws that the tape lacks.
pub async fn pilot_tape(tape: &Arc<Tape>, loaded: Loaded, options: PilotOptions) -> Result<Pilot, EngineError> {
    tape.check_grid()?;
    let models = connect(tape, &loaded.pipeline)?;
    let steps = Steps::taped(&loaded.pipeline, tape.steps.clone())?;
    let executor = Executor::new(&loaded, models.clone(), steps).with_code(Code::of_tape(&loaded.pipeline)?);
    let examples = examples(&loaded, options);
    let source = TapeSource { tape: tape.as_ref() };
    let drawing = Drawing { recorded: true, ..drawing(&loaded, &executor, &source, &examples, options, &|_, _| {}) };
    let measured = drawing.run().await?;
    if measured.stages.iter().all(|s| s.settings.is_empty()) {
        return Err(EngineError::input(
            "the tape holds no draws of this pipeline's stages",
            "make the pilot of the pipeline that was recorded, or record it again with `agenttts bench record`",
        ));
    }
    let frame = Frame { models: &models, examples: examples.len() as u32, drawn: Usage::default(), stopped: None };
    Ok(report::pilot(&of(&loaded, options), frame, &measured.stages))
}

fn drawing<'a>(
    loaded: &'a Loaded,
    executor: &'a Executor,
    source: &'a dyn Source,
    examples: &'a [Example],
    options: PilotOptions,
    progress: &'a (dyn Fn(u32, u32) + Send + Sync),
) -> Drawing<'a> {
    let seed = loaded.pipeline.search.seed;
    Drawing {
        loaded,
        executor,
        source,
        // The stream of all trials: what a search has drawn is there already, and the other way round.
        stream: stream(seed, Purpose::Trial(0)),
        examples,
        draws: options.draws,
        width: width(loaded),
        seed: u64::from(seed),
        recorded: false,
        progress,
    }
}

fn of(loaded: &Loaded, options: PilotOptions) -> Of<'_> {
    Of {
        loaded,
        cost_model: loaded.pipeline.cost_model,
        margin: options.margin,
        seed: u64::from(loaded.pipeline.search.seed),
    }
}

/// The examples of a pilot: the first of a study's order, so that both share draws.
fn examples(loaded: &Loaded, options: PilotOptions) -> Vec<Example> {
    let all = &loaded.pipeline.search_split.examples;
    let order = ExampleOrder::Seeded.of(all.len(), loaded.pipeline.search.seed);
    let wanted = options.examples.map_or(all.len(), |n| n as usize);
    order.into_iter().take(wanted).map(|i| all[i].clone()).collect()
}
