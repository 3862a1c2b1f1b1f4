//! What a data file holds, for a person to look at.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::draft::{Draft, Pool};
use crate::error::DataError;
use crate::example::{PoolRule, finish};
use crate::format::{Dataset, Format};
use crate::source::{ReadOptions, Source};
use crate::survey::{Note, Survey, index_failed};

/// What a data file holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file, as it was named.
    pub file: String,
    /// The data set's name on the command line.
    pub dataset: &'static str,
    /// The format, in words.
    pub format: String,
    /// Examples in the file.
    pub examples: usize,
    /// Those that cannot be used.
    pub bad: usize,
    /// What the first ten of them lack.
    pub faults: Vec<String>,
    /// What the file lacks as a whole.
    pub missing: Vec<String>,
    /// What is peculiar about examples that can be used.
    pub notes: Vec<Note>,
    /// Candidates of an example as published.
    pub candidates: Option<Range>,
    /// Gold candidates of an example.
    pub gold: Option<Range>,
    /// Distinct paragraphs or triples, where pools are filled from the whole file.
    pub corpus: Option<usize>,
    /// Tools to choose among.
    pub tools: Option<usize>,
    /// The first three examples, with the candidates as published.
    pub shown: Vec<Map<String, Value>>,
}

/// Counts of something over examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The smallest.
    pub least: usize,
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub most: usize,
}

/// Recognises a file and reads it whole.
///
/// # Errors
/// The file is in none of the formats, or damaged. Bad examples are part of what is said.
pub fn inspect(path: &Path, options: &ReadOptions) -> Result<Inspection, DataError> {
    const SHOWN: usize = 3;
    let source = Source::open(path, options)?;
    let mut shown: Vec<Draft> = Vec::new();
    let (mut candidates, mut gold) = (Counts::default(), Counts::default());
    let mut has_category = false;
    let survey = Survey::of(&source, false, &mut |draft| {
        if let Some(own) = draft.pool.own() {
            candidates.add(own.list.len());
            gold.add(own.gold.len());
        }
        has_category |= draft.fields.contains_key("category");
        if shown.len() < SHOWN {
            shown.push(draft.clone());
        }
    })?;
    let open = shown.iter().any(|d| matches!(d.pool, Pool::Open { .. }));
    let rule = PoolRule { size: usize::MAX, seed: 1 };
    let shown = shown
        .into_iter()
        .map(|draft| finish(draft, rule, None))
        .collect::<rusqlite::Result<Vec<_>>>()
        .map_err(|error| index_failed(&source, &error))?;
    Ok(Inspection {
        file: source.name().to_owned(),
        dataset: source.format().dataset().name(),
        format: source.format().to_string(),
        examples: survey.rows,
        bad: survey.bad,
        faults: survey.faults.iter().map(DataError::statement).collect(),
        missing: missing(&source, has_category, open),
        notes: survey.notes(),
        candidates: candidates.range(),
        gold: gold.range(),
        corpus: Some(survey.distinct.len()).filter(|n| *n > 0),
        tools: source.toolbox.as_ref().map(crate::tools::Toolbox::count),
        shown,
    })
}

fn missing(source: &Source, has_category: bool, open: bool) -> Vec<String> {
    let texts: &[&str] = match source.format() {
        Format::TwoWiki { ids: false } => {
            &["aliases of answers: the other original release has the ids that they need"]
        }
        Format::TwoWiki { ids: true } if source.aliases.is_none() => {
            &["aliases of answers: put id_aliases.json beside the file, or name it with --aliases"]
        }
        Format::TwoWikiAgentTts => &["ids (the numbers of rows stand in)", "titles"],
        Format::CwqOriginal | Format::CwqFlat | Format::WebQsp => {
            &["candidate and gold triples: nothing can be retrieved, only answers can be scored"]
        }
        Format::CwqTriples | Format::WebQspTriples if open => {
            &["candidates that are not gold: `data prepare` takes them from the triples of the whole file"]
        }
        Format::TaskBenchTask | Format::TaskBenchTool if source.toolbox.is_none() => {
            &["the tools: put tool_desc.json beside the file, or name it with --tools"]
        }
        Format::Srdd if !has_category => {
            &["categories: splits cannot be balanced by them", "gold: the data set has none"]
        }
        _ if source.format().dataset() == Dataset::Srdd => &["gold: the data set has none"],
        _ => &[],
    };
    texts.iter().map(|t| (*t).to_owned()).collect()
}

#[derive(Default)]
struct Counts {
    examples: usize,
    sum: usize,
    least: Option<usize>,
    most: usize,
}

impl Counts {
    fn add(&mut self, count: usize) {
        self.examples += 1;
        self.sum += count;
        self.least = Some(self.least.map_or(count, |l| l.min(count)));
        self.most = self.most.max(count);
    }

    fn range(&self) -> Option<Range> {
        Some(Range { least: self.least?, mean: self.sum as f64 / self.examples as f64, most: self.most })
    }
}
