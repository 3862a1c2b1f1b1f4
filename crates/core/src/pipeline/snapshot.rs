//! A pipeline with all that it needs, as a study stores it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::resolve::{Facts, PipelineFile};
use super::{Pipeline, SearchSettings};
use crate::data::{ExampleDigests, Split};
use crate::problem::{Problem, Problems};

/// The version of [`Snapshot`]'s JSON. Readers refuse newer ones; fields are only added, with defaults.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The pipeline file, its templates, its examples and the facts about its models: enough to resume a study without
/// the folder that it came from, and to know that nothing changed under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`] when it was written.
    pub version: u32,
    /// The pipeline file's name, for messages.
    pub file: String,
    /// Its text.
    pub toml: String,
    /// Templates, schemas and grammars by the name that the pipeline file uses.
    pub files: BTreeMap<String, String>,
    /// The search split.
    pub search: Split,
    /// The test split.
    pub test: Split,
    /// Facts about models that the pipeline file leaves to their files, by the provider's id of the model.
    pub facts: BTreeMap<String, Facts>,
    /// What of a published file could not be used; absent where all of it could, or the examples come from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Where the programs of steps run; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workplace: Option<Workplace>,
    /// What the command line changed.
    #[serde(default)]
    pub overrides: Overrides,
}

/// Examples of a published file that cannot be used, such as those without an answer, where a pipeline leaves such out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many.
    pub examples: u64,
    /// Of how many.
    pub of: u64,
}

/// The folder in which external programs run. They are not carried along: only what tells whether they changed is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workplace {
    /// The pipeline's folder.
    pub folder: String,
    /// The files of the folder that commands name, with the SHA-256 of each in hexadecimal digits.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
}

/// What a command line changes in a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    /// The plan budget, in units of its cost model.
    pub plan_budget: Option<f64>,
    /// The whole search budget.
    pub search_budget: Option<super::SearchBudget>,
    /// The search settings.
    pub search: Option<SearchSettings>,
}

impl Snapshot {
    /// What tells the test examples by their content, in the order of the split.
    pub fn test_digests(&self) -> Result<Vec<ExampleDigests>, Problems> {
        let parsed = PipelineFile::parse(&self.file, &self.toml)?;
        Ok(self.test.examples.iter().map(|e| e.digests(parsed.id_field())).collect())
    }

    /// The valid pipeline of this snapshot.
    pub fn pipeline(&self) -> Result<Pipeline, Problems> {
        if self.version > SNAPSHOT_VERSION {
            return Err(Problem::new(format!(
                "this study was written in format {} and this program knows formats up to {SNAPSHOT_VERSION}",
                self.version
            ))
            .hint("update agenttts")
            .into());
        }
        let parsed = PipelineFile::parse(&self.file, &self.toml)?;
        let mut pipeline =
            parsed.resolve(&self.files, self.search.clone(), self.test.clone(), &|id| self.facts.get(id).copied())?;
        if let Some(limit) = self.overrides.plan_budget {
            pipeline.plan_budget = pipeline
                .cost_model
                .amount(limit)
                .ok_or_else(|| Problem::new(format!("{limit} is not a plan budget")))?;
        }
        if let Some(budget) = self.overrides.search_budget {
            pipeline.search_budget = budget;
        }
        if let Some(search) = &self.overrides.search {
            pipeline.search = search.clone();
        }
        Ok(pipeline)
    }
}
