//! Plan files: a found plan with all that running it needs, so that what runs is what was measured.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::{Facts, Overrides, SNAPSHOT_VERSION, Snapshot, Workplace};
use agenttts_core::{Choice, CostModel, Estimate, Plan, Problem, Problems, Split};
use agenttts_search::pareto;
use agenttts_store::Store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::expected::Expected;
use crate::load::{Loaded, fields};
use crate::seal;
use crate::summary::{Standing, objective_name};

/// The version of the plan file's format. Readers refuse newer ones; fields are only added, with defaults.
pub const PLAN_FILE_VERSION: u32 = 1;

/// A plan file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// [`PLAN_FILE_VERSION`] when it was written.
    pub version: u32,
    /// The study that found it.
    pub study: String,
    /// The trial that measured it.
    pub trial: Option<u32>,
    /// The choices, one per stage.
    pub stages: Vec<PlanStage>,
    /// What was measured.
    pub measured: Option<Measured>,
    /// What serving it should look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The measured plans that no other beats in both cost and estimate, cheapest first, for whoever wants another one
    /// than the study recommends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub front: Vec<FrontPlan>,
    /// The pipeline that it is a plan of.
    pub source: Source,
}

/// A plan of the front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontPlan {
    /// The first trial that measured it.
    pub trial: u32,
    /// The choices, one per stage.
    pub stages: Vec<PlanStage>,
    /// The objective's mean as it is believed to be, related plans included: what the front is made by.
    pub estimate: f64,
    /// What was measured on the search split.
    pub measured: Option<Measured>,
    /// What serving it should look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// The choice for one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanStage {
    /// The stage's name.
    pub name: String,
    /// The choice.
    pub choice: Choice,
}

/// Quality and cost of a plan, as measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The split that it was measured on: `test` or `search`.
    pub split: String,
    /// The objective's name.
    pub objective: String,
    /// The objective.
    pub quality: Estimate,
    /// How plans are priced.
    pub cost_model: CostModel,
    /// The cost of one query, in units of the cost model.
    pub cost: Estimate,
    /// That test examples were used by an earlier final test, where they were: the quality is then no fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
}

/// A pipeline's file, templates and facts, without its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The pipeline file's name, for messages.
    pub file: String,
    /// Its text.
    pub toml: String,
    /// Templates, schemas and grammars by the name that the pipeline file uses.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The fields that examples have: what templates may read.
    #[serde(default)]
    pub fields: BTreeSet<String>,
    /// Facts about embedded models.
    #[serde(default)]
    pub facts: BTreeMap<String, Facts>,
    /// Where the programs of steps run, where there are any: they are not part of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workplace: Option<Workplace>,
}

impl PlanFile {
    /// The plan of a study's trial, or the recommended one with the front; `None` if there is no such trial.
    pub(crate) fn of(store: &Store, study: &Standing, trial: Option<u32>) -> Result<Option<Self>, EngineError> {
        let Some(number) = trial.or_else(|| study.recommended.as_ref().map(|r| r.trial)) else { return Ok(None) };
        let Some(found) = study.archive.trials.iter().find(|t| t.number == number) else { return Ok(None) };
        let pooled = study.archive.plans();
        let of_plan = |plan: &Plan| pooled.iter().find(|p| p.plan == plan);
        let expected = |plan: &Plan| match of_plan(plan) {
            Some(p) => {
                let trials: Vec<u32> = p.trials.iter().map(|(t, _)| t.number).collect();
                Expected::of(store, study.row.id, &study.loaded, &trials)
            }
            None => Ok(None),
        };
        let searched = |plan: &Plan| of_plan(plan).map(|p| study.measured("search", p.objective, p.cost));
        let confirmed = study.confirmation.as_ref().and_then(|c| c.plans.iter().find(|p| p.plan == found.plan));
        let tested = match confirmed {
            Some(c) => {
                let won = study.recommended.as_ref().map(|r| &r.plan);
                let seal = won.map_or(Ok(None), |plan| seal::of(store, study.row.id, &study.loaded, plan))?;
                let used = seal.and_then(|seal| seal.warning());
                Some(Measured { used, ..study.measured("test", c.objective, c.cost) })
            }
            None => None,
        };
        let measured = tested.or_else(|| searched(&found.plan));
        let mut file = PlanFile::new(&study.row.name, Some(number), &found.plan, measured, &study.loaded);
        file.expected = expected(&found.plan)?;
        if trial.is_none() {
            for r in pareto(&study.loaded.space, &study.archive) {
                file.front.push(FrontPlan {
                    trial: r.trial,
                    stages: named(&study.loaded, &r.plan),
                    estimate: r.mean,
                    measured: searched(&r.plan),
                    expected: expected(&r.plan)?,
                });
            }
        }
        Ok(Some(file))
    }

    /// The file of its plan alone, without the front.
    #[must_use]
    pub fn of_this(&self) -> Self {
        PlanFile { front: Vec::new(), ..self.clone() }
    }

    /// The file of a plan of the front alone.
    #[must_use]
    pub fn of_front(&self, plan: &FrontPlan) -> Self {
        PlanFile {
            trial: Some(plan.trial),
            stages: plan.stages.clone(),
            measured: plan.measured.clone(),
            expected: plan.expected.clone(),
            front: Vec::new(),
            ..self.clone()
        }
    }

    /// The file of a plan of a loaded pipeline.
    pub(crate) fn new(
        study: &str,
        trial: Option<u32>,
        plan: &Plan,
        measured: Option<Measured>,
        loaded: &Loaded,
    ) -> Self {
        let snapshot = &loaded.snapshot;
        PlanFile {
            version: PLAN_FILE_VERSION,
            study: study.to_owned(),
            trial,
            stages: named(loaded, plan),
            measured,
            expected: None,
            front: Vec::new(),
            source: Source {
                file: snapshot.file.clone(),
                toml: snapshot.toml.clone(),
                files: snapshot.files.clone(),
                fields: fields(snapshot),
                facts: snapshot.facts.clone(),
                workplace: snapshot.workplace.clone(),
            },
        }
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string_pretty(self).unwrap_or_default();
        format!("# A plan found by agenttts. Run it: agenttts run THIS_FILE --input '{{...}}'\n{body}")
    }

    /// Reads a plan file. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let plan: PlanFile = toml::from_str(text).map_err(|error| {
            Problem::new(error.message().trim().to_owned())
                .at(file, &text.into(), error.span().unwrap_or(0..0))
                .hint("a plan file is written by `agenttts search` or `agenttts plan`")
        })?;
        if plan.version > PLAN_FILE_VERSION {
            return Err(Problem::new(format!(
                "{file}: plan file format {} is newer than this program's {PLAN_FILE_VERSION}",
                plan.version
            ))
            .hint("update agenttts")
            .into());
        }
        Ok(plan)
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        Plan { choices: self.stages.iter().map(|s| s.choice.clone()).collect() }
    }

    /// The pipeline of this plan, checked, with the plan known to be one of its plans.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let empty = |file: &str| Split { file: file.into(), examples: Vec::new() };
        let snapshot = Snapshot {
            version: SNAPSHOT_VERSION,
            file: self.source.file.clone(),
            toml: self.source.toml.clone(),
            files: self.source.files.clone(),
            search: empty("(no search split)"),
            test: empty("(no test split)"),
            facts: self.source.facts.clone(),
            left_out: None,
            workplace: self.source.workplace.clone(),
            // The plan is run as it is: whether it fits a budget was decided when it was searched.
            overrides: Overrides { plan_budget: Some(f64::from(u32::MAX) * 1e9), ..Overrides::default() },
        };
        let loaded = Loaded::with_fields(snapshot, &self.source.fields)?;
        let names: Vec<&str> = self.stages.iter().map(|s| s.name.as_str()).collect();
        let wanted: Vec<&str> = loaded.pipeline.stages.iter().map(|s| s.name.as_str()).collect();
        if names != wanted {
            let message = format!("the plan has the stages {names:?}, its pipeline {wanted:?}");
            return Err(Problem::new(message).hint("write the plan file again with `agenttts plan`").into());
        }
        if loaded.space.cost_of(&self.plan()).is_none() {
            return Err(Problem::new(format!("{} is not a plan of its pipeline", self.plan()))
                .hint("models, samples, aggregators and temperatures must be among those that the stages offer")
                .into());
        }
        Ok(loaded)
    }
}

/// The choices of a plan with the names of their stages.
fn named(loaded: &Loaded, plan: &Plan) -> Vec<PlanStage> {
    let stages = loaded.pipeline.stages.iter().zip(&plan.choices);
    stages.map(|(s, choice)| PlanStage { name: s.name.clone(), choice: choice.clone() }).collect()
}

impl Standing {
    fn measured(&self, split: &str, quality: Estimate, cost: Estimate) -> Measured {
        let pipeline = &self.loaded.pipeline;
        let objective = objective_name(pipeline);
        Measured { split: split.into(), objective, quality, cost_model: pipeline.cost_model, cost, used: None }
    }
}
