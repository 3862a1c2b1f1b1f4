//! The tape of a study: all that it drew, taken from its store, so that anyone can search again what it searched.
//!
//! Every trial is made again from the store alone; whatever is looked up for that is what the tape must hold. A trial that
//! does not come out as it was stored ends the export, so a tape never claims more than it holds.

use std::collections::HashMap;
use std::sync::Arc;

use agenttts_core::{ModelIdentity, ProviderKind, ProviderSpec, Request, StudySummary, Trial, TrialState, Usage};
use agenttts_models::{Call, Model, ModelError, ModelErrorKind, PromptTokens, Reply};
use agenttts_store::Store;
use async_trait::async_trait;
use serde_json::Value;

use super::Tape;
use super::brief::Brief;
use super::heard::Ear;
use super::remake::Remake;
use crate::error::EngineError;
use crate::execute::Executor;
use crate::load::Loaded;
use crate::summary::Standing;
use crate::workshop::{Connected, ModelSet, Workshop};

/// How a study is exported.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Whether what models wrote is left out, but for what their stages read in it.
    pub without_texts: bool,
}

/// Makes the tape of a study. Nothing is called and nothing is written to the store.
///
/// # Errors
/// A study that is not there or of an earlier program, steps or generated code that cannot run here, trials that cannot be
/// made again from the store, texts that cannot be left out, a key that stands in what would be exported.
pub async fn export(
    store: &Store,
    study: &str,
    workshop: &Workshop,
    options: ExportOptions,
) -> Result<Tape, EngineError> {
    let standing = Standing::read(store, study)?;
    check(&standing, options)?;
    let models = stored_models(&standing, workshop)?;
    let steps = workshop.steps(&standing.loaded)?;
    steps.keep_all();
    let code = workshop.code(&standing.loaded.pipeline).await?.map(|(code, _)| code);
    let trials = &standing.archive.trials;
    let streams = trials.iter().map(|t| t.stream + 1).max().unwrap_or(1);
    let remake = Remake {
        store,
        standing: &standing,
        executor: Executor::new(&standing.loaded, models.clone(), steps.clone()).with_code(code),
        steps: steps.clone(),
        ear: Ear::new(store, &models, standing.loaded.pipeline.search.seed, streams),
    };
    let mut brief = options.without_texts.then(Brief::default);
    for trial in trials {
        remake.trial(trial, &mut brief).await?;
    }
    remake.confirmation(&mut brief).await?;
    let silent = remake.questions()?;
    let tape = remake.tape(silent, brief.as_ref())?;
    check_secrets(&tape, &standing.loaded, workshop)?;
    Ok(tape)
}

/// Whether a replay made the trials, the recommendation and the confirmation of a study again, but for the time that they
/// took; if not, where they first differ. A study that did not end has only its measured trials compared.
pub fn replayed(study: &StudySummary, replay: &StudySummary) -> Result<(), String> {
    let timeless = |trial: &Trial| {
        let mut trial = trial.clone();
        if let TrialState::Measured(measured) = &mut trial.state {
            measured.seconds = 0.0;
        }
        trial
    };
    for (trial, _) in study.archive.measured() {
        let again = replay.archive.trials.iter().find(|t| t.number == trial.number).map(timeless);
        if again != Some(timeless(trial)) {
            return Err(format!("trial {} is another one", trial.number));
        }
    }
    let ended = study.confirmation.is_some();
    if ended && study.archive.trials.len() != replay.archive.trials.len() {
        return Err(format!("{} trials instead of {}", replay.archive.trials.len(), study.archive.trials.len()));
    }
    if ended && study.recommended != replay.recommended {
        return Err("another plan is recommended".into());
    }
    // A tape knows nothing of the limit that left plans out: there they are missing.
    let tested = |summary: &StudySummary| {
        let mut confirmation = summary.confirmation.clone();
        confirmation.iter_mut().for_each(|c| c.untested = None);
        confirmation
    };
    if ended && tested(study) != tested(replay) {
        return Err("the confirmation differs".into());
    }
    Ok(())
}

/// Refuses studies that no tape can hold as wanted.
fn check(standing: &Standing, options: ExportOptions) -> Result<(), EngineError> {
    if standing.settings.models.is_empty() {
        return Err(EngineError::input(
            format!("the study {} does not tell which weights drew its samples", standing.row.name),
            "it was made by an earlier program: search again, which reuses the samples of the store",
        ));
    }
    if options.without_texts && !standing.archive.exchanges.is_empty() {
        return Err(EngineError::input(
            format!(
                "the method `{}` reads the texts of its agent, so they cannot be left out",
                standing.settings.method
            ),
            "export the tape with its texts",
        ));
    }
    Ok(())
}

/// A key that somebody put into a prompt, an example or an address must not leave this machine.
fn check_secrets(tape: &Tape, loaded: &Loaded, workshop: &Workshop) -> Result<(), EngineError> {
    let text = tape.document().map_err(|e| EngineError::Internal(e.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    let variable = |provider: &ProviderSpec| match &provider.kind {
        ProviderKind::Openai(spec) => spec.api_key_env.clone(),
        ProviderKind::Embedded | ProviderKind::Fake => None,
    };
    for variable in loaded.pipeline.providers.iter().filter_map(variable) {
        let Some(key) = (workshop.options.env)(&variable).map(|key| key.trim().to_owned()) else { continue };
        let quoted = Value::from(key.as_str()).to_string();
        if !key.is_empty() && text.contains(quoted.trim_matches('"')) {
            return Err(EngineError::input(
                format!("the key in {variable} stands in what the study stored, so no tape is written"),
                "take it out of the pipeline's files and examples, replace the key at its provider, and search again",
            ));
        }
    }
    Ok(())
}

/// A study's models, of which only the identity is known; and their tokenizers, where the same models are at hand.
fn stored_models(standing: &Standing, workshop: &Workshop) -> Result<ModelSet, EngineError> {
    let at_hand = workshop.connect(&standing.loaded.pipeline).ok();
    let mut models = HashMap::new();
    for spec in &standing.loaded.pipeline.models {
        let Some(identity) = standing.settings.models.get(&spec.name) else {
            return Err(EngineError::input(
                format!("the study does not tell which weights model {:?} had", spec.name),
                "it was made by an earlier program: search again, which reuses the samples of the store",
            ));
        };
        let same = at_hand.as_ref().and_then(|all| all.get(&spec.name).ok()).map(|connected| connected.model.clone());
        let counter = same.filter(|model| model.identity() == identity);
        let model = Arc::new(Stored { identity: identity.clone(), counter });
        models.insert(spec.name.clone(), Connected { spec: spec.clone(), model });
    }
    Ok(ModelSet::stored(models))
}

/// A model that is never called.
struct Stored {
    identity: ModelIdentity,
    /// Counts the tokens of prompts that may have been too long for it.
    counter: Option<Arc<dyn Model>>,
}

#[async_trait]
impl Model for Stored {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        let counted = self.counter.as_ref().and_then(|model| model.prompt_tokens(request).ok());
        Ok(counted.unwrap_or(PromptTokens::AtMost(0)))
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        let error = ModelError::new(ModelErrorKind::NotOnTape, "the samples of a store are only looked up");
        Reply::failed(call.n, error, Usage::default())
    }
}
