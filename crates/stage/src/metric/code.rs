//! Generated code without placeholders.

mod placeholder;
mod source;

use serde_json::Value;

/// Whether the output holds Python code and no placeholder in it.
///
/// Code is a text (of its fenced blocks those that are Python, or the whole text if it has none), an object of texts
/// under file names, or a list of objects with a name and a `content`. Files of other languages are not looked at.
pub(super) fn is_complete(output: &Value) -> bool {
    let found: Vec<_> = source::sources(output).iter().map(|code| placeholder::inspect(code)).collect();
    found.iter().any(|f| f.has_code) && !found.iter().any(|f| f.has_placeholder)
}
