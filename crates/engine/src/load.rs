//! From a folder to a pipeline that is known to be runnable, before anything is spent.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::pipeline::{Facts, Overrides, PipelineFile, SNAPSHOT_VERSION, Snapshot};
use agenttts_core::{Example, Pipeline, Problem, Problems, Space, SpaceError};
use agenttts_stage::{CompiledStage, CompiledStep, Seen};

use crate::steps::workplace;
use profile::Composed;

mod data;
mod profile;

/// Looks up facts about an embedded model by the id that the pipeline gives it.
pub type FactsLookup = dyn Fn(&str) -> Option<Facts>;

/// The file's name within a pipeline's folder.
pub const PIPELINE_FILE: &str = "pipeline.toml";

/// A pipeline that was read and checked whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// All that it was read from.
    pub snapshot: Snapshot,
    /// The valid pipeline.
    pub pipeline: Pipeline,
    /// Its plans within the plan budget.
    pub space: Space,
    /// Its stages, with compiled templates.
    pub stages: Arc<Vec<CompiledStage>>,
    /// Its steps, with compiled expressions where they have any.
    pub steps: Arc<Vec<Option<CompiledStep>>>,
}

/// What a pipeline is loaded from.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions<'a> {
    /// Its folder, or its `pipeline.toml`.
    pub path: &'a Path,
    /// The profile that is laid over the file; otherwise the one that the file names as its default, if any.
    pub profile: Option<&'a str>,
    /// The published file of the data set that the pipeline is for, in place of its own files of examples.
    pub data: Option<&'a Path>,
    /// Where the splits of published files are kept, so that they are made once.
    pub keep: Option<&'a Path>,
}

impl<'a> LoadOptions<'a> {
    /// The pipeline as it is.
    pub fn new(path: &'a Path) -> Self {
        LoadOptions { path, profile: None, data: None, keep: None }
    }
}

/// Reads a pipeline's folder (or its `pipeline.toml`) as it is.
///
/// # Errors
/// Everything that is wrong with the file, its templates and its data, each with its place.
pub fn load_pipeline(path: &Path, facts: &FactsLookup) -> Result<Loaded, Problems> {
    load_pipeline_with(&LoadOptions::new(path), facts)
}

/// Reads a pipeline with a profile and published data.
///
/// # Errors
/// Everything that is wrong with the file, the profile, the templates and the data, each with its place.
pub fn load_pipeline_with(options: &LoadOptions<'_>, facts: &FactsLookup) -> Result<Loaded, Problems> {
    let composed = Composed::read(options.path, options.profile)?;
    assemble(&composed, options, facts).map_err(|problems| composed.trace(problems))
}

fn assemble(composed: &Composed, options: &LoadOptions<'_>, facts: &FactsLookup) -> Result<Loaded, Problems> {
    let parsed = PipelineFile::parse(&composed.file, &composed.toml).map_err(|found| composed.incomplete(found))?;
    let root = &composed.root;
    let mut problems = Vec::new();
    let mut files = BTreeMap::new();
    for name in parsed.needed_files() {
        match read(&root.join(&name)) {
            Ok(text) => {
                files.insert(name, text);
            }
            Err(error) => {
                let hint = "templates, schemas and grammars are looked for beside pipeline.toml";
                problems.push(parsed.problem_at_file(&name, format!("{name:?} cannot be read: {error}")).hint(hint));
            }
        }
    }
    let splits = data::splits(&parsed, root, options).map_err(|found| problems.extend(found.0)).ok();
    let (Some(data::Splits { search, test, left_out }), true) = (splits, problems.is_empty()) else {
        return Err(Problems(problems));
    };
    let facts = parsed.embedded_models().into_iter().filter_map(|id| Some((id.clone(), facts(&id)?))).collect();
    let snapshot = Snapshot {
        version: SNAPSHOT_VERSION,
        file: composed.file.clone(),
        toml: composed.toml.clone(),
        files,
        search,
        test,
        facts,
        left_out,
        workplace: workplace(&parsed, root),
        overrides: Overrides::default(),
    };
    Loaded::new(snapshot)
}

impl Loaded {
    /// Checks a snapshot whole: the pipeline, its templates against the examples, the metrics' gold fields, and that
    /// at least one plan is within the budget.
    pub fn new(snapshot: Snapshot) -> Result<Self, Problems> {
        let fields = fields(&snapshot);
        Loaded::with_fields(snapshot, &fields)
    }

    /// As [`Loaded::new`], for a snapshot whose examples are not at hand but whose fields are known.
    pub(crate) fn with_fields(snapshot: Snapshot, known: &BTreeSet<String>) -> Result<Self, Problems> {
        let pipeline = snapshot.pipeline()?;
        let mut problems = Vec::new();
        let mut stages = Vec::new();
        for index in 0..pipeline.stages.len() {
            match CompiledStage::compile(&pipeline, index, known) {
                Ok(stage) => stages.push(stage),
                Err(found) => problems.extend(found.0),
            }
        }
        let mut steps = Vec::new();
        for index in 0..pipeline.steps.len() {
            match CompiledStep::compile(&pipeline, index, known) {
                Ok(step) => steps.push(step),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() {
            problems.extend(unusable_examples(&pipeline, &stages));
        }
        let space = match pipeline.space() {
            Ok(space) => space,
            Err(error) => {
                problems.push(at_budget(&snapshot, &error));
                return Err(Problems(problems));
            }
        };
        if problems.is_empty() {
            Ok(Loaded { snapshot, pipeline, space, stages: Arc::new(stages), steps: Arc::new(steps) })
        } else {
            Err(Problems(problems))
        }
    }

    /// The same pipeline with what a command line changes.
    pub fn with_overrides(mut self, overrides: Overrides) -> Result<Self, Problems> {
        self.snapshot.overrides = overrides;
        Loaded::new(self.snapshot)
    }
}

/// The fields that any example of a snapshot has.
pub(crate) fn fields(snapshot: &Snapshot) -> BTreeSet<String> {
    let examples = snapshot.search.examples.iter().chain(&snapshot.test.examples);
    examples.flat_map(|e| e.fields.keys().cloned()).collect()
}

/// A problem at the plan budget's place, where the file gave the budget.
fn at_budget(snapshot: &Snapshot, error: &SpaceError) -> Problem {
    let message = error.to_string();
    let hint = match error {
        SpaceError::MissingFact(missing) => {
            format!("add `{}` to [models.{}], or choose another cost model", missing.fact, missing.model)
        }
        _ => "raise the plan budget, or offer a smaller model or fewer samples".into(),
    };
    match PipelineFile::parse(&snapshot.file, &snapshot.toml) {
        Ok(file) if snapshot.overrides.plan_budget.is_none() => file.problem_at_budget(message).hint(hint),
        _ => Problem::new(message).hint(hint),
    }
}

/// Examples that a metric or the first prompts cannot use, the first few of each stage: found now rather than when
/// upstream stages were paid for.
fn unusable_examples(pipeline: &Pipeline, stages: &[CompiledStage]) -> Vec<Problem> {
    const SHOWN: usize = 5;
    let mut problems = Vec::new();
    for split in [&pipeline.search_split, &pipeline.test_split] {
        for stage in stages {
            let found: Vec<(&Example, String)> =
                split.examples.iter().filter_map(|e| Some((e, unusable(stage, e)?))).collect();
            problems.extend(found.iter().take(SHOWN).map(|(example, reason)| {
                Problem::new(format!("{}:{}: stage {:?}: {reason}", split.file, example.line, stage.name()))
                    .hint("mend the line, or change the stage's template or metric")
            }));
            if found.len() > SHOWN {
                let more = found.len() - SHOWN;
                problems.push(Problem::new(format!("{}: {more} more examples like that", split.file)));
            }
        }
    }
    problems
}

fn unusable(stage: &CompiledStage, example: &Example) -> Option<String> {
    if let Some(field) = stage.missing_field(example) {
        return Some(format!("example {:?} has no field {field:?}", example.id));
    }
    if let Some(Err(error)) = stage.score(&serde_json::Value::Null, example, &Seen::default()) {
        return Some(error.to_string());
    }
    // Stages that read others cannot be rendered before those have run.
    let reads_none = stage.reads().next().is_none();
    reads_none.then(|| stage.render_all(example, &BTreeMap::new()).err()).flatten().map(|e| e.to_string())
}

/// Reads a text file; says so when it is not text.
fn read(path: &Path) -> Result<String, io::Error> {
    let bytes = std::fs::read(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("not UTF-8 text (first bad byte at {at})"))
    })
}
