//! Plan files: a found plan with all that running it needs, so that what runs is what was measured.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::{Facts, Overrides, SNAPSHOT_VERSION, Snapshot, Workplace};
use agenttts_core::{Choice, CostModel, Estimate, Plan, Problem, Problems, Split};
use serde::{Deserialize, Serialize};

use crate::load::{Loaded, fields};
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
    /// The pipeline that it is a plan of.
    pub source: Source,
}

/// The choice for one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStage {
    /// The stage's name.
    pub name: String,
    /// The choice.
    pub choice: Choice,
}

/// Quality and cost of a plan, as measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The plan of a study's trial, or the recommended one; `None` if there is no such trial.
    pub(crate) fn of(study: &Standing, trial: Option<u32>) -> Option<Self> {
        let number = trial.or_else(|| study.recommended.as_ref().map(|r| r.trial))?;
        let trial = study.archive.trials.iter().find(|t| t.number == number)?;
        let confirmed = study.confirmation.as_ref().and_then(|c| c.plans.iter().find(|p| p.plan == trial.plan));
        let pooled = || study.archive.plans().into_iter().find(|p| p.plan == &trial.plan);
        let found = confirmed
            .map(|c| ("test", c.objective, c.cost))
            .or_else(|| pooled().map(|p| ("search", p.objective, p.cost)));
        let pipeline = &study.loaded.pipeline;
        let measured = found.map(|(split, quality, cost)| Measured {
            split: split.into(),
            objective: objective_name(pipeline),
            quality,
            cost_model: pipeline.cost_model,
            cost,
        });
        Some(PlanFile::new(&study.row.name, Some(number), &trial.plan, measured, &study.loaded))
    }

    /// The file of a plan of a loaded pipeline.
    pub(crate) fn new(
        study: &str,
        trial: Option<u32>,
        plan: &Plan,
        measured: Option<Measured>,
        Loaded { snapshot, pipeline, .. }: &Loaded,
    ) -> Self {
        let stages = pipeline.stages.iter().zip(&plan.choices);
        PlanFile {
            version: PLAN_FILE_VERSION,
            study: study.to_owned(),
            trial,
            stages: stages.map(|(s, choice)| PlanStage { name: s.name.clone(), choice: choice.clone() }).collect(),
            measured,
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
