//! A data file made into the two splits of a pipeline.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use agenttts_core::pipeline::LeftOut;
use agenttts_core::{Example, Problem, Problems, Split, check_disjoint};
use serde::Serialize;

use crate::error::DataError;
use crate::example::{PoolRule, finish};
use crate::format::Dataset;
use crate::scan::Flow;
use crate::source::{ReadOptions, Source};
use crate::split::{Member, Shortage, ordered, take};
use crate::survey::{Note, Survey, index_failed};

/// The examples of the search split where nothing else is asked for, as in the paper.
pub const SEARCH_EXAMPLES: usize = 50;
/// The most examples of the test split where nothing else is asked for, as in the paper.
pub const TEST_EXAMPLES: usize = 500;
/// Candidates of a pool, as in the paper.
pub const CANDIDATES: usize = 100;

/// How to make splits.
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// How to read the file.
    pub read: ReadOptions,
    /// Examples for the search; otherwise [`SEARCH_EXAMPLES`], or half of what there is if that is less.
    pub search: Option<usize>,
    /// Examples for the final test; otherwise [`TEST_EXAMPLES`], or what is left if that is less.
    pub test: Option<usize>,
    /// Another file for the test examples.
    pub test_from: Option<PathBuf>,
    /// Of the splits and of the order of candidates.
    pub seed: u64,
    /// Candidates of a pool that is filled from the file, gold included.
    pub candidates: usize,
    /// Whether to leave out examples that cannot be used; otherwise they are refused.
    pub skip_bad: bool,
    /// Whether fewer examples than asked for will do: then the search takes at most half of what there is.
    pub fewer: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        PrepareOptions {
            read: ReadOptions::default(),
            search: None,
            test: None,
            test_from: None,
            seed: 1,
            candidates: CANDIDATES,
            skip_bad: false,
            fewer: false,
        }
    }
}

impl PrepareOptions {
    /// How many examples to take of those that are there.
    fn wanted(&self, asked: Option<usize>, usual: usize, there: usize) -> usize {
        match asked {
            Some(asked) if self.fewer => asked.min(there),
            Some(asked) => asked,
            None => usual.min(there),
        }
    }
}

/// Splits as a pipeline's `[data]` reads them.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// For the search.
    pub search: Split,
    /// For the final test.
    pub test: Split,
    /// What was done.
    pub report: PrepareReport,
}

/// What preparing did.
#[derive(Clone, Debug, Serialize)]
pub struct PrepareReport {
    /// The format, in words.
    pub format: String,
    /// Examples in the file, or in both files.
    pub examples: usize,
    /// Examples that were left out, as they cannot be used.
    pub left_out: usize,
    /// Examples that are in neither split, as they share their source with one that is.
    pub unused_relatives: usize,
    /// Distinct paragraphs or triples that pools were filled from, of both files.
    pub corpus: Option<usize>,
    /// What is peculiar.
    pub notes: Vec<Note>,
}

impl PrepareReport {
    /// What of the examples could not be used.
    pub fn left_out(&self) -> LeftOut {
        LeftOut { examples: self.left_out as u64, of: self.examples as u64 }
    }
}

/// Reads a file in any of the formats and splits it. Equal arguments give equal splits.
///
/// Examples are held in memory only where they were chosen.
///
/// # Errors
/// The file is in none of the formats, damaged, has bad examples that are not to be skipped, or too few examples.
pub fn prepare(path: &Path, options: &PrepareOptions) -> Result<Prepared, Problems> {
    let (source, survey) = open(path, options)?;
    let other = match &options.test_from {
        None => None,
        Some(path) => {
            let expected = Some(source.format().dataset());
            let read = ReadOptions { expected, ..options.read.clone() };
            Some(open(path, &PrepareOptions { read, ..options.clone() })?)
        }
    };
    let mut groups = ordered(&survey.members, options.seed);
    let there = survey.members.len();
    let room = if other.is_some() { there } else { there / 2 };
    let wanted = options.wanted(options.search, SEARCH_EXAMPLES, room);
    let search = take(&mut groups, wanted.max(1)).map_err(|s| too_few(&source, "search", s))?;
    let used: HashSet<u64> = search.iter().map(|m| m.group).collect();
    let (test_source, test_survey) = match &other {
        Some((other, survey)) => {
            groups = ordered(&survey.members, options.seed);
            groups.retain(|g| g.first().is_none_or(|m| !used.contains(&m.group)));
            (other, survey)
        }
        None => (&source, &survey),
    };
    let left: usize = groups.iter().map(Vec::len).sum();
    let wanted = options.wanted(options.test, TEST_EXAMPLES, left);
    let test = take(&mut groups, wanted.max(1)).map_err(|s| too_few(test_source, "test", s))?;
    let remaining: usize = groups.iter().map(Vec::len).sum();
    let all = survey.members.len() + other.as_ref().map_or(0, |(_, s)| s.members.len());
    let unused_relatives = match &other {
        Some((_, survey)) => survey.members.len() - remaining - test.len(),
        None => all - remaining - search.len() - test.len(),
    };
    let report = PrepareReport {
        format: source.format().to_string(),
        examples: survey.rows + other.as_ref().map_or(0, |(_, s)| s.rows),
        left_out: survey.bad + other.as_ref().map_or(0, |(_, s)| s.bad),
        unused_relatives,
        corpus: [Some(&survey), other.as_ref().map(|(_, s)| s)]
            .into_iter()
            .flatten()
            .filter_map(|s| Some(s.corpus.as_ref()?.count()))
            .reduce(|a, b| a + b),
        notes: survey.notes(),
    };
    let rule = PoolRule { size: options.candidates, seed: options.seed };
    let search = Split { file: SEARCH_FILE.into(), examples: collect(&source, &survey, &search, rule)? };
    let test = Split { file: TEST_FILE.into(), examples: collect(test_source, test_survey, &test, rule)? };
    check_disjoint(&search, &test, "id")?;
    Ok(Prepared { search, test, report })
}

const SEARCH_FILE: &str = "search.jsonl";
const TEST_FILE: &str = "test.jsonl";

impl Prepared {
    /// Writes `search.jsonl` and `test.jsonl` into a folder, which is made if need be, and returns their paths.
    ///
    /// # Errors
    /// They cannot be written, or are there already and are not to be replaced.
    pub fn write(&self, folder: &Path, replace: bool) -> Result<[PathBuf; 2], DataError> {
        let paths = [folder.join(SEARCH_FILE), folder.join(TEST_FILE)];
        if let Some(old) = paths.iter().find(|p| p.exists() && !replace) {
            let hint = "name another folder with --output, or replace it with --force";
            return Err(DataError::of(&old.display().to_string(), "is there already", hint));
        }
        fs::create_dir_all(folder).map_err(|e| not_written(folder, &e))?;
        for (path, split) in paths.iter().zip([&self.search, &self.test]) {
            write_whole(path, split.examples.iter().map(|example| &example.fields))?;
        }
        Ok(paths)
    }
}

/// Writes JSON lines, whole or not at all.
pub(crate) fn write_whole(path: &Path, lines: impl Iterator<Item = impl Serialize>) -> Result<(), DataError> {
    // Under another name first, so that a disk that fills up leaves no half of a file.
    // Another process may write the same: each has a name of its own.
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let write = || {
        let mut file = BufWriter::new(fs::File::create(&part)?);
        for line in lines {
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|e| not_written(path, &e))
}

fn not_written(path: &Path, error: &std::io::Error) -> DataError {
    let hint = "name a folder that you may write to, on a disk with room";
    DataError::of(&path.display().to_string(), format!("cannot be written: {error}"), hint)
}

fn open(path: &Path, options: &PrepareOptions) -> Result<(Source, Survey), Problems> {
    let source = Source::open(path, &options.read)?;
    if source.format().dataset() == Dataset::TaskBench && source.toolbox.is_none() {
        let hint = "put the tool_desc.json of its domain beside it, or name that file with --tools";
        return Err(DataError::of(source.name(), "the tools of TaskBench are not at hand", hint).into());
    }
    let mut survey = Survey::of(&source, true, &mut |_| {})?;
    if survey.bad > 0 && !options.skip_bad {
        let more = survey.bad - survey.faults.len();
        let mut problems: Vec<Problem> = survey.faults.drain(..).map(Problem::from).collect();
        if more > 0 {
            problems.push(Problem::new(format!("{}: {more} more bad examples", source.name())));
        }
        return Err(Problems(problems));
    }
    Ok((source, survey))
}

fn too_few(source: &Source, split: &str, shortage: Shortage) -> Problems {
    let Shortage { wanted, there } = shortage;
    let message = format!(
        "the {split} split needs {wanted} examples, but only {there} are left that share no source with others in use"
    );
    DataError::of(source.name(), message, "ask for fewer with --search and --test, or take another file").into()
}

/// The chosen examples, in the order in which they were chosen.
fn collect(source: &Source, survey: &Survey, chosen: &[Member], rule: PoolRule) -> Result<Vec<Example>, Problems> {
    let ranks: HashMap<usize, usize> = chosen.iter().enumerate().map(|(rank, m)| (m.number, rank)).collect();
    let last = chosen.iter().map(|m| m.number).max().unwrap_or(0);
    let mut found: Vec<(usize, Example)> = Vec::with_capacity(chosen.len());
    source.each(&mut |number, outcome| {
        if let (Some(rank), Ok(draft)) = (ranks.get(&number), outcome) {
            let id = draft.id.clone();
            let fields = finish(draft, rule, survey.corpus.as_ref()).map_err(|error| index_failed(source, &error))?;
            found.push((*rank, Example { id, line: *rank as u32 + 1, fields }));
        }
        Ok(if number < last { Flow::On } else { Flow::Stop })
    })?;
    found.sort_by_key(|(rank, _)| *rank);
    Ok(found.into_iter().map(|(_, example)| example).collect())
}
