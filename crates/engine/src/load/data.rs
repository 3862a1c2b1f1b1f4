//! The two splits of a pipeline: files of its own, or made of a published data set.

use std::path::Path;

use agenttts_core::pipeline::{DataSource, LeftOut, PipelineFile};
use agenttts_core::text::nearest;
use agenttts_core::{Problem, Problems, Split, parse_examples};
use agenttts_tasks::{CANDIDATES, Dataset, PrepareOptions, ReadOptions, keep, prepare};

use super::{LoadOptions, read};

/// The search and the test split, and what of a published file is in neither because it cannot be used.
pub(super) struct Splits {
    pub(super) search: Split,
    pub(super) test: Split,
    pub(super) left_out: Option<LeftOut>,
}

/// The examples that a pipeline is searched and tested with.
///
/// # Errors
/// All that is wrong with both, or there is nothing to make them of.
pub(super) fn splits(parsed: &PipelineFile, root: &Path, options: &LoadOptions<'_>) -> Result<Splits, Problems> {
    let source = parsed.data();
    let counts = [
        ("search_examples", source.search_examples, "a split cannot be empty"),
        ("test_examples", source.test_examples, "a split cannot be empty"),
        ("candidates", source.candidates, "there must be something to choose from"),
    ];
    if let Some((key, _, why)) = counts.iter().find(|(_, count, _)| *count == Some(0)) {
        return Err(Problem::new(format!("{key} must be at least 1: {why}")).into());
    }
    match (options.data, source.search, source.test) {
        (Some(path), _, _) => published(parsed, source, path, options.keep),
        (None, Some(search), Some(test)) => {
            let (search, test) = files(parsed, source, root, [search, test])?;
            Ok(Splits { search, test, left_out: None })
        }
        (None, None, None) if source.task.is_some() => {
            let dataset = dataset(parsed, source)?;
            let message = format!("the examples of {} are not at hand", dataset.title());
            let hint = format!("bring its published file and name it with --data PATH: {}", dataset.origin());
            Err(parsed.problem_at_data(message).hint(hint).into())
        }
        _ => Err(parsed
            .problem_at_data("[data] needs both `search` and `test`, or `task`")
            .hint("name two files of JSON lines, or the published data set that --data brings")
            .into()),
    }
}

/// Two files of JSON lines.
fn files(
    parsed: &PipelineFile,
    source: DataSource<'_>,
    root: &Path,
    names: [&str; 2],
) -> Result<(Split, Split), Problems> {
    let mut problems = Vec::new();
    let mut split = |name: &str, limit: Option<u32>| {
        let text = read(&root.join(name)).map_err(|error| {
            let hint = "the files of [data] are looked for beside pipeline.toml";
            Problems::from(parsed.problem_at_file(name, format!("{name:?} cannot be read: {error}")).hint(hint))
        });
        let shown = root.join(name).display().to_string();
        text.and_then(|text| parse_examples(&shown, &text, parsed.id_field(), limit))
            .map_err(|found| problems.extend(found.0))
            .ok()
    };
    match (split(names[0], source.search_examples), split(names[1], source.test_examples)) {
        (Some(search), Some(test)) => Ok((search, test)),
        _ => Err(Problems(problems)),
    }
}

/// A published data set, split as the pipeline says; kept below a folder if there is one.
fn published(
    parsed: &PipelineFile,
    source: DataSource<'_>,
    path: &Path,
    folder: Option<&Path>,
) -> Result<Splits, Problems> {
    let count = |n: Option<u32>| n.map(|n| n as usize);
    let options = PrepareOptions {
        read: ReadOptions {
            expected: Some(dataset(parsed, source)?),
            complete_graph: source.complete_graph,
            ..ReadOptions::default()
        },
        search: count(source.search_examples),
        test: count(source.test_examples),
        test_from: None,
        seed: source.seed.into(),
        candidates: count(source.candidates).unwrap_or(CANDIDATES),
        skip_bad: source.skip_bad,
        fewer: true,
    };
    let Some(folder) = folder else {
        let made = prepare(path, &options)?;
        let left_out = told(made.report.left_out());
        return Ok(Splits { search: made.search, test: made.test, left_out });
    };
    let kept = keep(path, &options, folder)?;
    let left_out = told(kept.left_out);
    let [search, test] = kept.files.map(|file| {
        let shown = file.display().to_string();
        let text = read(&file).map_err(|error| {
            Problem::new(format!("{shown} cannot be read: {error}")).hint("remove its folder: it is made again")
        })?;
        parse_examples(&shown, &text, "id", None)
    });
    Ok(Splits { search: search?, test: test?, left_out })
}

/// Of nothing, nothing is told.
fn told(left_out: LeftOut) -> Option<LeftOut> {
    Some(left_out).filter(|left_out| left_out.examples > 0)
}

fn dataset(parsed: &PipelineFile, source: DataSource<'_>) -> Result<Dataset, Problems> {
    let known = Dataset::ALL.map(Dataset::name);
    let Some(name) = source.task else {
        let message = "the pipeline does not say which published data set it is for, so --data cannot be used";
        let hint = format!("add `task` to [data], one of {}; or name files as `search` and `test`", known.join(", "));
        return Err(parsed.problem_at_data(message).hint(hint).into());
    };
    Dataset::from_name(name).ok_or_else(|| {
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are: {}", known.join(", ")),
        };
        parsed.problem_at_data(format!("there is no data set {name:?}")).hint(hint).into()
    })
}
