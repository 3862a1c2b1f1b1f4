//! Recording: every plan of the grid on both splits, through the ordinary bank, so that nothing is drawn twice and a
//! recording that was killed goes on where it was.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use agenttts_core::pipeline::{Overrides, SearchBudget, Snapshot};
use agenttts_core::{Plan, RequestKey, StudyState};
use agenttts_models::ModelError;
use agenttts_store::{Store, Study};
use async_trait::async_trait;
use futures::StreamExt;

use super::{Recorded, Tape, grid};
use crate::bank::Bank;
use crate::books::books;
use crate::budget::{Budget, lock};
use crate::code::Code;
use crate::error::EngineError;
use crate::event::{Event, Observers};
use crate::execute::Executor;
use crate::fit::Fit;
use crate::load::Loaded;
use crate::source::{DrawError, Got, Halt, Source, Want};
use crate::steps::Steps;
use crate::stop::StopHandle;
use crate::streams::{Purpose, stream};
use crate::study::{StudyContext, width};
use crate::workshop::ModelSet;

/// A recording that can begin.
pub struct Recorder {
    loaded: Loaded,
    plans: Vec<Plan>,
}

impl Recorder {
    /// Checks that the pipeline's grid can be recorded.
    ///
    /// # Errors
    /// Where it has more than [`MOST_RECORDED`](super::MOST_RECORDED) plans.
    pub fn new(loaded: Loaded) -> Result<Self, EngineError> {
        let plans = grid::plans(&loaded.space)?;
        // What a command line changed is of one study, not of the tape.
        let snapshot = Snapshot { overrides: Overrides::default(), ..loaded.snapshot };
        Ok(Recorder { loaded: Loaded::new(snapshot)?, plans })
    }

    /// How many plans are recorded.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// On how many examples of both splits together.
    pub fn examples(&self) -> usize {
        self.loaded.pipeline.search_split.examples.len() + self.loaded.pipeline.test_split.examples.len()
    }
}

/// Records a tape. What is drawn goes into the store as it comes, under a study that only keeps the books; so the same
/// call goes on with a recording that was stopped or killed. `None` where somebody asked it to stop.
///
/// # Errors
/// Models or a store that cannot be used, and draws that failed for reasons that may pass.
pub async fn record(store: &Store, recorder: Recorder, context: StudyContext) -> Result<Option<Tape>, EngineError> {
    let Recorder { loaded, plans } = recorder;
    let models = context.workshop.connect(&loaded.pipeline)?;
    let steps = context.workshop.steps(&loaded)?;
    steps.keep_all();
    let code = context.workshop.code(&loaded.pipeline).await?.map(|(code, _)| code);
    let study = Arc::new(books(store, format!("{}-tape", loaded.pipeline.name), &loaded, &models).await?);
    let StudyContext { observers, stop, .. } = context;
    observers.send(Event::Started {
        study: study.name().into(),
        resumed: store.spend(study.id())?.usage.calls > 0,
        method: METHOD.into(),
        feasible: plans.len() as f64,
        trials: plans.len() as u32,
        examples: loaded.pipeline.search_split.examples.len() as u32,
        examples_per_trial: None,
        history: None,
    });
    let ended = draw_all(&study, &loaded, &plans, (&models, &steps, code), (observers.clone(), stop)).await;
    let (state, reason) = match &ended {
        Ok(Some(_)) => (StudyState::Done, "all plans are recorded".to_owned()),
        Ok(None) => (StudyState::Interrupted, "somebody asked it to stop".to_owned()),
        Err(error) => (StudyState::Failed, error.to_string()),
    };
    observers.send(Event::Stopped { reason: reason.clone() });
    // The error of the recording matters more than a second one from its store.
    let written = study.set_state(state, Some(reason)).await;
    let drawn = ended?;
    written?;
    Ok(drawn.map(|(requests, fits)| Tape {
        // What steps gave is on the tape, so it does not matter where they ran.
        snapshot: Snapshot { workplace: None, ..loaded.snapshot },
        models: models.identities(),
        program: env!("CARGO_PKG_VERSION").into(),
        requests,
        studied: None,
        steps: steps.kept().0,
        fits,
    }))
}

/// What the books call the method.
const METHOD: &str = "record";

/// Keys with their draws.
type Requests = HashMap<RequestKey, Recorded>;

/// Prompts that did not fit as they were.
type Fits = HashMap<RequestKey, Fit>;

/// Runs every plan on every example; the draws that this took or found, and what did not fit, or `None` after a stop.
async fn draw_all(
    study: &Arc<Study>,
    loaded: &Loaded,
    plans: &[Plan],
    (models, steps, code): (&ModelSet, &Steps, Option<Arc<Code>>),
    (observers, stop): (Observers, StopHandle),
) -> Result<Option<(Requests, Fits)>, EngineError> {
    let usage = study.store().spend(study.id())?.usage;
    let before = study.store().study(study.name())?.elapsed_ms as f64 / 1000.0;
    // A recording has no limits: the pipeline's are those of a search.
    let budget = Arc::new(Budget::new(SearchBudget::default(), before));
    let bank = Bank::new(study.clone(), models.clone(), budget.clone(), observers.clone(), stop, usage);
    let listener = Listener { bank: &bank, models, heard: Mutex::default(), failed: Mutex::default() };
    let executor = Executor::new(loaded, models.clone(), steps.clone()).with_code(code);
    // One stream holds all: search and test examples differ, so their requests do too.
    let draws = stream(loaded.pipeline.search.seed, Purpose::Trial(0));
    let (search, test) = (&loaded.pipeline.search_split.examples, &loaded.pipeline.test_split.examples);
    let total = u32::try_from(plans.len() * (search.len() + test.len())).unwrap_or(u32::MAX);
    let halted = AtomicBool::new(false);
    let splits = [search, test].into_iter();
    let pairs = splits.flat_map(|split| plans.iter().flat_map(move |plan| split.iter().map(move |e| (plan, e))));
    let mut runs = futures::stream::iter(pairs)
        // After a stop or a fault nothing new begins; what is under way is awaited.
        .take_while(|_| std::future::ready(!halted.load(Ordering::Relaxed)))
        .map(|(plan, example)| executor.execute(plan, example, draws, &listener))
        .buffer_unordered(width(loaded));
    let mut halt = None;
    let mut done = 0;
    let mut saved = budget.seconds();
    while let Some(result) = runs.next().await {
        match result {
            Ok(_) => {
                done += 1;
                let spent = budget.spent(study.spent(), bank.usage());
                observers.send(Event::Progress { done, total, spent });
            }
            Err(reason) => {
                halted.store(true, Ordering::Relaxed);
                reason.note(&mut halt);
            }
        }
        if budget.seconds() - saved > SAVED_EVERY {
            saved = budget.seconds();
            study.set_elapsed((saved * 1000.0) as i64).await?;
        }
    }
    drop(runs);
    study.set_elapsed((budget.seconds() * 1000.0) as i64).await?;
    match halt {
        Some(Halt::Fatal(error)) => return Err(error),
        Some(Halt::Stopped | Halt::Limit { .. }) => return Ok(None),
        None => {}
    }
    let failed = lock(&listener.failed).clone();
    if let Some(error) = failed.first() {
        let message = format!("{} requests could not be drawn, the first: {}", failed.len(), error.message);
        let hint = "what was drawn is kept: record again with the same command";
        return Err(ModelError::new(error.kind, message).hint(hint).into());
    }
    let lost = steps.kept().1;
    if let Some(first) = lost.first() {
        return Err(EngineError::input(
            format!("steps failed {} times, the first: {first}", lost.len()),
            "a tape with them would have holes: mend the step and record again with the same command",
        ));
    }
    Ok(Some((std::mem::take(&mut *lock(&listener.heard)), executor.misfits())))
}

/// Seconds after which the clock of the books is written again.
const SAVED_EVERY: f64 = 10.0;

/// The bank, overheard: what it gives is what the tape must hold.
struct Listener<'a> {
    bank: &'a Bank,
    models: &'a ModelSet,
    heard: Mutex<Requests>,
    /// Failures that may pass: with them the tape would have holes.
    failed: Mutex<Vec<ModelError>>,
}

impl Listener<'_> {
    fn hear(&self, key: RequestKey, result: &Result<Got, DrawError>) {
        match result {
            Ok(got) => {
                let mut heard = lock(&self.heard);
                let recorded = heard.entry(key).or_default();
                if recorded.draws.len() < got.samples.len() {
                    recorded.draws = got.samples.iter().map(|s| s.draw.clone()).collect();
                }
            }
            Err(DrawError::Failed(error)) if error.kind.is_transient() => lock(&self.failed).push(error.clone()),
            Err(DrawError::Failed(error)) => {
                lock(&self.heard).entry(key).or_default().failure = Some(error.message.clone());
            }
            Err(DrawError::Halt(_)) => {}
        }
    }
}

#[async_trait]
impl Source for Listener<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let key = want.request.key(self.models.get(want.model)?.model.identity());
        let result = self.bank.samples(want).await;
        self.hear(key, &result);
        result
    }
}
