//! The pack of published rows, and files made by hand.

use std::path::{Path, PathBuf};

use agenttts_tasks::{Inspection, PrepareOptions, Prepared, ReadOptions, inspect, prepare};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A file of the pack beside the repository, if the pack is there.
pub(crate) fn pack(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTTTS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = folder.join("data").join(file);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A folder for files made by hand.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn rows(&self, name: &str, rows: &[Value]) -> PathBuf {
        self.write(name, json!(rows).to_string())
    }
}

pub(crate) fn look(path: &Path) -> Inspection {
    inspect(path, &ReadOptions::default()).unwrap()
}

/// The only example of a file with one row.
pub(crate) fn only(path: &Path) -> Map<String, Value> {
    let found = look(path);
    assert_eq!((found.examples, found.bad), (1, 0), "{:?}", found.faults);
    found.shown[0].clone()
}

/// The message and hint for a file that cannot be read, without the folder.
pub(crate) fn refusal(path: &Path) -> String {
    let error = inspect(path, &ReadOptions::default()).unwrap_err().to_string();
    error.replace(&format!("{}/", path.parent().unwrap().display()), "")
}

/// What is wrong with the rows of a file, without the folder.
pub(crate) fn faults(path: &Path) -> Vec<String> {
    let folder = format!("{}/", path.parent().unwrap().display());
    look(path).faults.iter().map(|f| f.replace(&folder, "")).collect()
}

pub(crate) fn notes(found: &Inspection) -> Vec<(&str, usize)> {
    found.notes.iter().map(|n| (n.what, n.examples)).collect()
}

pub(crate) fn split(path: &Path, search: usize, test: usize) -> Prepared {
    let options = PrepareOptions { search: Some(search), test: Some(test), ..PrepareOptions::default() };
    prepare(path, &options).unwrap()
}

/// The texts of the gold candidates of an example.
pub(crate) fn gold_texts(example: &Map<String, Value>) -> Vec<String> {
    let ids = example["gold_ids"].as_array().unwrap();
    let candidates = example["candidates"].as_array().unwrap();
    let text = |id: &Value| candidates.iter().find(|c| c["id"] == *id).unwrap()["text"].as_str().unwrap().to_owned();
    ids.iter().map(text).collect()
}

pub(crate) fn hotpot(id: &str, question: &str) -> Value {
    json!({
        "_id": id, "question": question, "answer": "Ada", "type": "bridge", "level": "easy",
        "supporting_facts": [["Engine", 1], ["Ada", 0]],
        "context": [
            ["Engine", ["An engine was planned.", " Ada wrote its programs."]],
            ["Ada", ["Ada was a countess."]],
            ["Rope", ["Rope is made of hemp.", " It is strong."]]
        ]
    })
}

pub(crate) fn cwq(id: &str, base: &str) -> Value {
    json!({
        "ID": id, "question": format!("Which team, {id}?"), "webqsp_ID": base, "compositionality_type": "conjunction",
        "answer": ["Giants"], "topic_entity": {"m.03": "Seal"},
        "gt_triples": [["Seal", "mascot.team", "Giants"], ["Giants", "team.mascot", "Seal"]],
        "crucial_triples": [["Giants", "team.mascot", "Seal"]],
        "2hop_triples": [["Giants", "team.roster", "m.0jb"], ["Giants", "team.city", "San Francisco"]]
    })
}

pub(crate) fn webqsp(id: &str) -> Value {
    json!({
        "QuestionId": id, "RawQuestion": format!("who wrote {id}?"), "Parses": [{
            "TopicEntityName": id, "InferentialChain": ["book.author"],
            "Answers": [{"AnswerType": "Entity", "AnswerArgument": "m.01", "EntityName": "Woolf"}]
        }]
    })
}

pub(crate) const TOOLS: &str = r#"{"nodes": [
    {"id": "get_weather", "desc": "Weather", "parameters": [{"name": "city", "type": "string", "desc": "Where"}]},
    {"id": "send_sms", "desc": "A message", "parameters": [{"name": "content", "type": "string", "desc": "What"}]}
]}"#;

pub(crate) fn taskbench(id: &str) -> Value {
    json!({
        "id": id, "type": "chain", "user_request": format!("Text me the weather of Rome, {id}"),
        "task_steps": ["Step 1: ask", "Step 2: send"],
        "task_nodes": [
            {"task": "send_sms", "arguments": [{"name": "content", "value": "<node-1>"}]},
            {"task": "get_weather", "arguments": [{"name": "city", "value": "Rome"}]}
        ],
        "task_links": [{"source": "get_weather", "target": "send_sms"}]
    })
}
