//! A comparison as files.

use std::fs;
use std::path::Path;

use agenttts_bench::{Results, html, svg, svg_name};
use serde::Serialize;

use crate::failure::Failure;

/// Writes `results.json`, `index.html` and a regret curve for every landscape.
pub(super) fn write(folder: &Path, results: &Results) -> Result<(), Failure> {
    write_all(folder, results, html(results), results.summary.iter().map(|l| (svg_name(l), svg(l))))
}

/// Writes `results.json`, `index.html` and charts by their names.
pub(super) fn write_all(
    folder: &Path,
    results: &impl Serialize,
    page: String,
    charts: impl IntoIterator<Item = (String, String)>,
) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|e| Failure::write(folder, e))?;
    let json = serde_json::to_string_pretty(results).map_err(|e| Failure::Internal(e.to_string()))?;
    let files = [("results.json".to_owned(), json), ("index.html".to_owned(), page)];
    for (name, text) in files.into_iter().chain(charts) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|e| Failure::write(&path, e))?;
    }
    Ok(())
}
