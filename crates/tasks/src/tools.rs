//! The tools of a TaskBench domain: `tool_desc.json`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::DataError;
use crate::values::or_default;

/// The tools that a request's stages choose among.
#[derive(Clone, Debug)]
pub(crate) struct Toolbox {
    /// `dailylifeapis`, `huggingface`, `multimedia`, or the name of the folder.
    pub(crate) domain: String,
    /// `[{name, description, parameters: [{name, type, description}]}]`, or with `input_types` and `output_types` in place
    /// of parameters.
    pub(crate) tools: Value,
    /// Names as written, by their folded form.
    spellings: HashMap<String, String>,
    /// Names of parameters, by tool; tools that take resources have none.
    parameters: HashMap<String, HashSet<String>>,
}

#[derive(Debug, Deserialize)]
struct File {
    nodes: Vec<Tool>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    desc: String,
    #[serde(default)]
    parameters: Option<Vec<Parameter>>,
    #[serde(default, rename = "input-type", deserialize_with = "or_default")]
    input: Vec<String>,
    #[serde(default, rename = "output-type", deserialize_with = "or_default")]
    output: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    desc: String,
}

impl Toolbox {
    /// Reads `tool_desc.json` (or `graph_desc.json`, which has the same tools).
    pub(crate) fn read(path: &Path) -> Result<Toolbox, DataError> {
        let name = path.display().to_string();
        let hint = "it must be tool_desc.json as published beside data.json: {\"nodes\": [{\"id\", \"desc\", ...}]}";
        let text = std::fs::read_to_string(path)
            .map_err(|error| DataError::of(&name, format!("cannot be read: {error}"), hint))?;
        let file: File = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            let reason = crate::scan::reason(&error);
            DataError::of(&name, format!("is no description of tools: {reason}"), hint)
                .at(error.line().max(1), error.column().max(1))
        })?;
        if file.nodes.is_empty() {
            return Err(DataError::of(&name, "describes no tool", hint));
        }
        Ok(Toolbox::new(&file.nodes, path))
    }

    fn new(tools: &[Tool], path: &Path) -> Toolbox {
        let has = |name: &str| tools.iter().any(|t| t.id == name);
        let domain = if has("get_weather") {
            "dailylifeapis".to_owned()
        } else if has("Token Classification") {
            "huggingface".to_owned()
        } else if has("Image Downloader") {
            "multimedia".to_owned()
        } else {
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            folder.trim_start_matches("data_").to_owned()
        };
        let parameters = tools
            .iter()
            .filter_map(|t| Some((t.id.clone(), t.parameters.as_ref()?.iter().map(|p| p.name.clone()).collect())))
            .collect();
        Toolbox {
            domain,
            tools: tools.iter().map(Tool::to_json).collect(),
            spellings: tools.iter().map(|t| (fold(&t.id), t.id.clone())).collect(),
            parameters,
        }
    }

    /// The names of the tools, in the order of the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.tools.as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect()
    }

    /// How many tools there are.
    pub(crate) fn count(&self) -> usize {
        self.spellings.len()
    }

    /// A tool's name as the tools write it: `_` and blanks are the same, as are cases.
    pub(crate) fn spelling(&self, name: &str) -> Option<&str> {
        self.spellings.get(&fold(name)).map(String::as_str)
    }

    /// Whether a tool has a parameter of that name; true where its parameters are not known.
    pub(crate) fn has_parameter(&self, tool: &str, name: &str) -> bool {
        self.parameters.get(tool).is_none_or(|names| names.contains(name))
    }
}

impl Tool {
    fn to_json(&self) -> Value {
        match &self.parameters {
            Some(parameters) => {
                let parameters: Vec<Value> =
                    parameters.iter().map(|p| json!({"name": p.name, "type": p.kind, "description": p.desc})).collect();
                json!({"name": self.id, "description": self.desc, "parameters": parameters})
            }
            None => json!({
                "name": self.id,
                "description": self.desc,
                "input_types": self.input,
                "output_types": self.output,
            }),
        }
    }
}

fn fold(name: &str) -> String {
    name.trim().replace('_', " ").to_lowercase()
}
