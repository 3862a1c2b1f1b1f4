//! Generated code: the files in an output, and whether anything in them was left to be written.

mod files;
mod placeholder;
mod remarks;
mod source;

use serde_json::Value;

pub use files::{CodeFiles, NoCode, code_files};
pub(crate) use remarks::without_remarks;

/// Whether the output holds Python code and no placeholder in it. Of its sources, see [`code_files`], all Python ones
/// count; files of other languages are not looked at.
pub(crate) fn is_complete(output: &Value) -> bool {
    let found: Vec<_> = python_sources(output).iter().map(|code| placeholder::inspect(code)).collect();
    found.iter().any(|f| f.has_code) && !found.iter().any(|f| f.has_placeholder)
}

/// All Python sources of an output.
fn python_sources(output: &Value) -> Vec<String> {
    let sources = source::sources(output).into_iter();
    sources.filter(source::Source::is_python).map(|source| source.text).collect()
}
