//! A comparison as files.

use std::fs;
use std::path::Path;

use agenttts_bench::{Results, html, svg, svg_name};

use crate::failure::Failure;

/// Writes `results.json`, `index.html` and a regret curve for every landscape.
pub(super) fn write(folder: &Path, results: &Results) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|e| Failure::write(folder, e))?;
    let json = serde_json::to_string_pretty(results).map_err(|e| Failure::Internal(e.to_string()))?;
    let files = [("results.json".to_owned(), json), ("index.html".to_owned(), html(results))];
    let curves = results.summary.iter().map(|l| (svg_name(l), svg(l)));
    for (name, text) in files.into_iter().chain(curves) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|e| Failure::write(&path, e))?;
    }
    Ok(())
}
