//! How a study searches: what a person asks for, checked, and what is stored of it.

use std::collections::BTreeMap;

use agenttts_core::pipeline::SearchBudget;
use agenttts_core::{Enforced, ModelIdentity, Quarantined};
use agenttts_search::{AgentStyle, METHODS, Settings, needs_agent, needs_history, searcher};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::load::Loaded;
use crate::order::ExampleOrder;
use crate::tape::TAPE;

/// How a study is begun.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions {
    /// The study's name; chosen from the pipeline's where absent.
    pub study: Option<String>,
    /// The method; the pipeline's where absent.
    pub method: Option<String>,
    /// Insights of the paper to do without: 1, 2, 3.
    pub without_insights: Vec<u8>,
    /// The earlier study to learn from, for methods that do; chosen where absent.
    pub history: Option<String>,
    /// How much the method `agent` is left to its language model.
    pub agent_style: AgentStyle,
    /// Whether trials end early once their plan has fallen behind the leading one beyond doubt; where absent, as the
    /// pipeline says.
    pub racing: Option<bool>,
}

/// What changes when a study goes on.
#[derive(Clone, Debug, Default)]
pub struct ResumeOptions {
    /// Another search budget, whole.
    pub search_budget: Option<SearchBudget>,
    /// Another limit of trials.
    pub trials: Option<u32>,
    /// Whether examples that were quarantined are tried again. Trials that counted them as failed are measured again; all
    /// but these examples is in the bank.
    pub release: bool,
}

/// The version of [`StudySettings`]' JSON. 2: examples have an order of their own, and trials may run on part of them.
pub(crate) const SETTINGS_VERSION: u32 = 2;

/// What a study stores of how it searches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudySettings {
    pub(crate) version: u32,
    pub(crate) method: String,
    pub(crate) agent: Option<String>,
    pub(crate) search: Settings,
    pub(crate) search_budget: SearchBudget,
    /// The order of the examples.
    #[serde(default)]
    pub(crate) order: ExampleOrder,
    /// Whether trials are raced; not in studies from before they could be.
    #[serde(default)]
    pub(crate) racing: bool,
    /// The earlier study that the method learns from.
    #[serde(default)]
    pub(crate) history: Option<String>,
    /// The version of the program that began the study.
    #[serde(default)]
    pub(crate) program: String,
    /// Which weights every model had when the study began.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, ModelIdentity>,
    /// Trials up to this one do not count for the quarantine: what they put there was released.
    #[serde(default)]
    pub(crate) released_after: u32,
    /// What is quarantined.
    #[serde(default)]
    pub(crate) quarantined: Vec<Quarantined>,
    /// What held generated code, on each kind of machine that the study ran on.
    #[serde(default)]
    pub(crate) sandbox: Vec<Enforced>,
}

pub(crate) fn settings(loaded: &Loaded, options: &SearchOptions) -> Result<StudySettings, EngineError> {
    let search = &loaded.pipeline.search;
    let method: String =
        options.method.clone().or(search.method.clone()).unwrap_or_else(|| usual_method(search.agent.is_some()));
    let races =
        searcher(&method).map_err(|e| EngineError::input(e.to_string(), "see `agenttts search --help`"))?.races();
    if needs_agent(&method) && search.agent.is_none() {
        return Err(EngineError::input(
            format!("the method `{method}` needs a model to ask"),
            "name one of the pipeline's models: --agent-model NAME, or agent = \"NAME\" in [search]",
        ));
    }
    if let Some(named) = options.history.as_ref().filter(|_| !needs_history(&method)) {
        return Err(EngineError::input(
            format!("the method `{method}` does not learn from an earlier study, such as {named}"),
            "`--history` is for the method `mlcopilot`",
        ));
    }
    if options.agent_style != AgentStyle::Portfolio && method != "agent" {
        return Err(EngineError::input(
            format!("the method `{method}` has no faithful or released style"),
            "`--faithful` and `--released` are for the method `agent`: --method agent",
        ));
    }
    let insights =
        options.without_insights.iter().fold(Settings::default().insights, |insights, &n| insights.without(n));
    let racing = options.racing.or(search.racing);
    Ok(StudySettings {
        version: SETTINGS_VERSION,
        agent: search.agent.clone().filter(|_| needs_agent(&method)),
        method,
        search: Settings {
            seed: u64::from(search.seed),
            batch: search.batch,
            trials: Some(search.trials),
            examples: search.examples_per_trial,
            insights,
            agent: options.agent_style,
            ..Settings::default()
        },
        search_budget: loaded.pipeline.search_budget,
        order: ExampleOrder::Seeded,
        racing: races && racing.unwrap_or(false),
        history: None,
        program: env!("CARGO_PKG_VERSION").into(),
        models: BTreeMap::new(),
        released_after: 0,
        quarantined: Vec::new(),
        sandbox: Vec::new(),
    })
}

/// The method where nobody names one.
fn usual_method(agent: bool) -> String {
    let wanted = if agent { "agent" } else { "planner" };
    if METHODS.contains(&wanted) { wanted.into() } else { "rules".into() }
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
            if identity.revision.starts_with(TAPE) {
                "the study replays a tape: name that tape with --tape"
            } else {
                "bring the earlier model back, or begin a new study: draws of unchanged models are reused"
            },
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
