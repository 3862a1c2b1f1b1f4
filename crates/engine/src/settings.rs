//! How a study searches: what a person asks for, checked, and what is stored of it.

use std::collections::BTreeMap;

use agenttts_core::ModelIdentity;
use agenttts_core::pipeline::SearchBudget;
use agenttts_search::{Settings, searcher};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::load::Loaded;

/// How a study is begun.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions {
    /// The study's name; chosen from the pipeline's where absent.
    pub study: Option<String>,
    /// The method; the pipeline's where absent.
    pub method: Option<String>,
    /// Insights of the paper to do without: 1, 2, 3.
    pub without_insights: Vec<u8>,
}

/// What changes when a study goes on.
#[derive(Clone, Debug, Default)]
pub struct ResumeOptions {
    /// Another search budget, whole.
    pub search_budget: Option<SearchBudget>,
    /// Another limit of trials.
    pub trials: Option<u32>,
}

/// The version of [`StudySettings`]' JSON.
pub(crate) const SETTINGS_VERSION: u32 = 1;

/// What a study stores of how it searches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudySettings {
    pub(crate) version: u32,
    pub(crate) method: String,
    pub(crate) agent: Option<String>,
    pub(crate) search: Settings,
    pub(crate) search_budget: SearchBudget,
    /// The version of the program that began the study.
    #[serde(default)]
    pub(crate) program: String,
    /// Which weights every model had when the study began.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, ModelIdentity>,
}

pub(crate) fn settings(loaded: &Loaded, options: &SearchOptions) -> Result<StudySettings, EngineError> {
    let search = &loaded.pipeline.search;
    let usual = if search.agent.is_some() { "agent" } else { "rules" };
    let method = options.method.clone().or(search.method.clone()).unwrap_or_else(|| usual.into());
    searcher(&method).map_err(|e| EngineError::input(e.to_string(), "see `agenttts search --help`"))?;
    if method == "agent" && search.agent.is_none() {
        return Err(EngineError::input(
            "the method `agent` needs a model to ask",
            "name one of the pipeline's models: --agent-model NAME, or agent = \"NAME\" in [search]",
        ));
    }
    let insights =
        options.without_insights.iter().fold(Settings::default().insights, |insights, &n| insights.without(n));
    Ok(StudySettings {
        version: SETTINGS_VERSION,
        agent: search.agent.clone().filter(|_| method == "agent"),
        method,
        search: Settings {
            seed: u64::from(search.seed),
            batch: search.batch,
            trials: Some(search.trials),
            insights,
            ..Settings::default()
        },
        search_budget: loaded.pipeline.search_budget,
        program: env!("CARGO_PKG_VERSION").into(),
        models: BTreeMap::new(),
    })
}

/// Trials of different weights are not comparable: a study goes on with those that it began with.
pub(crate) fn check_same_weights(
    before: &BTreeMap<String, ModelIdentity>,
    now: &BTreeMap<String, ModelIdentity>,
) -> Result<(), EngineError> {
    match before.iter().find(|(name, identity)| now.get(*name).is_some_and(|n| n != *identity)) {
        Some((name, identity)) => Err(EngineError::input(
            format!(
                "model {name:?} has changed since the study began: it was {} ({}), and is {} ({}) now",
                identity.model, identity.revision, now[name].model, now[name].revision
            ),
            "bring the earlier model back, or begin a new study: draws of unchanged models are reused",
        )),
        None => Ok(()),
    }
}

/// A limit in dollars or FLOPs is only kept if every model can be counted in it.
pub(crate) fn check_limits(loaded: &Loaded, budget: &SearchBudget) -> Result<(), EngineError> {
    let lacking = |missing: &dyn Fn(&agenttts_core::ModelSpec) -> bool, limit: &str, fact: &str| match loaded
        .pipeline
        .models
        .iter()
        .find(|m| missing(m))
    {
        Some(model) => Err(EngineError::input(
            format!("the search budget limits {limit}, and model {:?} has no `{fact}`", model.name),
            format!("add {fact} to [models.{}], or limit tokens, calls or minutes instead", model.name),
        )),
        None => Ok(()),
    };
    if budget.usd.is_some() {
        lacking(&|m| m.price.is_none(), "usd", "price")?;
    }
    if budget.flops.is_some() {
        lacking(&|m| m.params.is_none(), "flops", "params_b")?;
    }
    Ok(())
}
