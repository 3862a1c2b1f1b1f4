//! Examples and splits, read from JSON lines.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::problem::{Problem, Problems};

/// One example: a JSON object with an id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Unique within its split.
    pub id: String,
    /// 1-based line of the file that it came from.
    pub line: u32,
    /// All its fields.
    pub fields: Map<String, Value>,
}

/// What tells an example by its content: the digests of its fields without its id, and of all its fields. Two examples are
/// the same where they share one of them: the first holds whatever the numbering, the second whichever field is the id.
pub type ExampleDigests = [[u8; 32]; 2];

impl Example {
    /// The digests by which it is told across studies.
    pub fn digests(&self, id_field: &str) -> ExampleDigests {
        [self.content_hash(id_field), self.content_hash("")]
    }

    /// SHA-256 of the example's fields other than its id, independent of key order: what makes two examples the same.
    pub fn content_hash(&self, id_field: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let content: Map<String, Value> =
            self.fields.iter().filter(|(k, _)| *k != id_field).map(|(k, v)| (k.clone(), v.clone())).collect();
        hash_value(&Value::Object(content), &mut hasher);
        hasher.finalize().into()
    }
}

/// A set of examples from one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The file, as the pipeline names it.
    pub file: String,
    /// Its examples, in the order of the file.
    pub examples: Vec<Example>,
}

impl Split {
    /// For every example a number that it shares with those that have the same value in this field; one without the field
    /// shares it with none.
    pub fn clusters(&self, field: &str) -> Vec<u64> {
        let mut known: HashMap<String, u64> = HashMap::new();
        let mut number = |(i, e): (usize, &Example)| match e.fields.get(field) {
            Some(value) => *known.entry(value.to_string()).or_insert(i as u64),
            None => i as u64,
        };
        self.examples.iter().enumerate().map(&mut number).collect()
    }
}

/// Reads examples from JSON lines. Blank lines are skipped; all bad lines are reported together.
///
/// An example's id is its `id_field` (a string or a number), or its line number where no line has that field. At most
/// `limit` examples are kept, but every line is checked.
pub fn parse_examples(file: &str, text: &str, id_field: &str, limit: Option<u32>) -> Result<Split, Problems> {
    const SHOWN: usize = 10;
    let source: Arc<str> = Arc::from(text);
    let mut examples: Vec<Example> = Vec::new();
    let mut problems = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut offset = 0;
    for (index, line) in text.split('\n').enumerate() {
        let start = offset;
        offset += line.len() + 1;
        let trimmed = line.trim_start_matches('\u{feff}').trim();
        if trimmed.is_empty() {
            continue;
        }
        let line_number = index as u32 + 1;
        let at = |p: Problem| p.at(file, &source, start..start + line.trim_end().len());
        let fields = match serde_json::from_str::<Value>(trimmed) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => {
                problems.push(
                    at(Problem::new(format!("an example must be a JSON object, this is {}", kind_of(&other))))
                        .hint("write one object per line, such as {\"question\": \"...\", \"answer\": \"...\"}"),
                );
                continue;
            }
            Err(error) => {
                let column = line.len() - line.trim_start_matches('\u{feff}').trim_start().len()
                    + error.column().saturating_sub(1);
                let from = start + column.min(line.len());
                problems.push(
                    Problem::new(format!("not valid JSON: {}", reason(&error)))
                        .at(file, &source, from..from + 1)
                        .hint("every line must hold one complete JSON object"),
                );
                continue;
            }
        };
        let id = match fields.get(id_field) {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Number(n)) => n.to_string(),
            Some(other) => {
                problems.push(at(Problem::new(format!(
                    "the id field {id_field:?} must be a string or a number, this is {}",
                    kind_of(other)
                ))));
                continue;
            }
            None => line_number.to_string(),
        };
        if let Some(first) = seen.insert(id.clone(), line_number) {
            problems.push(at(Problem::new(format!("the id {id:?} was already used in line {first}"))));
            continue;
        }
        examples.push(Example { id, line: line_number, fields });
    }
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        problems.truncate(SHOWN);
        problems.push(Problem::new(format!("{file}: {more} more bad lines")));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    if examples.is_empty() {
        return Err(Problem::new(format!("{file}: the split is empty"))
            .hint("a split needs at least one example, one JSON object per line")
            .into());
    }
    if let Some(limit) = limit {
        examples.truncate(limit as usize);
    }
    Ok(Split { file: file.to_owned(), examples })
}

/// Examples that occur in both splits (by content), as problems.
pub fn check_disjoint(search: &Split, test: &Split, id_field: &str) -> Result<(), Problems> {
    let known: HashMap<[u8; 32], &Example> = search.examples.iter().map(|e| (e.content_hash(id_field), e)).collect();
    let shared: Vec<(&Example, &Example)> =
        test.examples.iter().filter_map(|t| Some((*known.get(&t.content_hash(id_field))?, t))).collect();
    let Some((s, t)) = shared.first() else {
        return Ok(());
    };
    Err(Problem::new(format!(
        "the search and test splits overlap: {} of {} test examples are also search examples, first {}:{} = {}:{}",
        shared.len(),
        test.examples.len(),
        test.file,
        t.line,
        search.file,
        s.line
    ))
    .hint("a plan chosen on examples cannot be judged by them: remove the shared lines from one of the files")
    .into())
}

fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn hash_value(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            hasher.update(b"{");
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for key in keys {
                hasher.update((key.len() as u64).to_le_bytes());
                hasher.update(key.as_bytes());
                hash_value(&map[key], hasher);
            }
            hasher.update(b"}");
        }
        Value::Array(list) => {
            hasher.update(b"[");
            list.iter().for_each(|v| hash_value(v, hasher));
            hasher.update(b"]");
        }
        other => {
            let text = other.to_string();
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_examples_with_ids_or_line_numbers() {
        let split = parse_examples("d.jsonl", "{\"id\": \"a\", \"x\": 1}\n\n{\"x\": 2}\r\n", "id", None).unwrap();
        let ids: Vec<(&str, u32)> = split.examples.iter().map(|e| (e.id.as_str(), e.line)).collect();
        assert_eq!(ids, [("a", 1), ("3", 3)]);
    }

    #[test]
    fn examples_with_the_same_value_share_a_cluster() {
        let lines = "{\"doc\": \"a\"}\n{\"doc\": \"b\"}\n{\"doc\": \"a\"}\n{}\n{}\n";
        let split = parse_examples("d.jsonl", lines, "id", None).unwrap();
        assert_eq!(split.clusters("doc"), [0, 1, 0, 3, 4]);
    }

    #[test]
    fn bad_lines_are_placed() {
        let error = parse_examples("d.jsonl", "{\"x\": 1}\n  {\"x\": }\n[1]\n", "id", None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("d.jsonl:2:9: not valid JSON: expected value"), "{text}");
        assert!(text.contains("d.jsonl:3:1: an example must be a JSON object, this is a list"), "{text}");
    }

    #[test]
    fn overlap_is_by_content() {
        let a = parse_examples("a", "{\"id\": 1, \"x\": 1, \"y\": 2}", "id", None).unwrap();
        let b = parse_examples("b", "{\"id\": 9, \"y\": 2, \"x\": 1}", "id", None).unwrap();
        let text = check_disjoint(&a, &b, "id").unwrap_err().to_string();
        assert!(text.contains("1 of 1 test examples are also search examples, first b:1 = a:1"), "{text}");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_a_problem(text in "\\PC{0,60}(\n\\PC{0,60}){0,3}") {
            let _ = parse_examples("x", &text, "id", None);
        }
    }
}
