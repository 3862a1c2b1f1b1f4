//! The Python sources in an output.

use serde_json::Value;

/// Keys of the text of a file, in a list of files.
const CONTENT: [&str; 4] = ["content", "code", "source", "text"];

/// Keys of its name.
const NAME: [&str; 4] = ["path", "name", "file", "filename"];

pub(super) fn sources(output: &Value) -> Vec<String> {
    match output {
        Value::String(text) => blocks(text),
        Value::Array(items) => items.iter().flat_map(sources).collect(),
        Value::Object(object) => {
            let content = CONTENT.iter().find_map(|k| object.get(*k)?.as_str());
            let name = NAME.iter().find_map(|k| object.get(*k)?.as_str());
            match (content, name) {
                (Some(text), name) if name.is_none_or(is_python) => blocks(text),
                (Some(_), _) => vec![],
                (None, _) => object.iter().filter(|(k, _)| is_python(k)).flat_map(|(_, v)| sources(v)).collect(),
            }
        }
        _ => vec![],
    }
}

/// Whether a file's name says that it is Python, or nothing.
fn is_python(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').is_none_or(|(_, ending)| matches!(ending, "py" | "pyw" | "pyi"))
}

/// The fenced blocks that are Python or do not say what they are; the whole text if it has no fence. A block that is
/// never closed, for want of tokens, goes to the end.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut has_fence = false;
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                has_fence = true;
                let language = info.split_whitespace().next().unwrap_or("").to_lowercase();
                open = Some((matches!(language.as_str(), "" | "python" | "py" | "python3"), String::new()));
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, code))) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    found.extend(open);
    match has_fence {
        true => found.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, code)| code).collect(),
        false => vec![text.to_owned()],
    }
}
