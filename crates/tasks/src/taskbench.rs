//! TaskBench: requests to be turned into tool calls.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::draft::{Draft, Fault, Pool, folded};
use crate::tools::Toolbox;
use crate::values::{Encoded, Text};

/// A row of either release, in either family of names.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskBench {
    id: Text,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    user_request: Option<String>,
    #[serde(default)]
    instruction: Option<String>,
    #[serde(default)]
    task_steps: Option<Encoded<Text>>,
    #[serde(default)]
    task_nodes: Option<Encoded<Node>>,
    #[serde(default)]
    task_links: Option<Encoded<Link>>,
    #[serde(default)]
    tool_steps: Option<Encoded<Text>>,
    #[serde(default)]
    tool_nodes: Option<Encoded<Node>>,
    #[serde(default)]
    tool_links: Option<Encoded<Link>>,
}

#[derive(Debug, Deserialize)]
struct Node {
    task: String,
    #[serde(default)]
    arguments: Arguments,
}

/// The arguments of a call, in any of the forms in which files have them.
#[derive(Debug, Default)]
struct Arguments(Vec<Argument>);

#[derive(Debug, Deserialize)]
struct Link {
    source: String,
    target: String,
}

/// A value alone, or a name with a value, or a name with the tool whose output is the value.
#[derive(Clone, Debug, PartialEq)]
enum Argument {
    Value(Value),
    Named { name: String, value: Option<Value>, from: Option<String> },
}

pub(crate) const NOTE_NO_VALUE: &str = "a gold argument has no value but comes from another tool";
pub(crate) const NOTE_ARGUMENT: &str = "a gold argument has a name that its tool does not have";
pub(crate) const NOTE_LINK: &str = "a gold link joins tools that are not both among the gold nodes";
pub(crate) const NOTE_SPELLING: &str = "an argument names a tool where a reference such as <node-0> belongs";
pub(crate) const NOTE_CYCLE: &str = "its links form a circle";
pub(crate) const NOTE_TWO_TEXTS: &str = "it has a user_request and an instruction that differ";

impl TaskBench {
    /// The example of a row, with the tools where they are known.
    pub(crate) fn draft(self, toolbox: Option<&Toolbox>) -> Result<Draft, Fault> {
        let mut notes = Vec::new();
        if self.user_request.is_some() && self.instruction.is_some() && self.user_request != self.instruction {
            notes.push(NOTE_TWO_TEXTS);
        }
        // Each family's gold was written for its own text.
        let (request, steps, nodes, links) = if self.task_nodes.is_some() {
            (self.user_request.or(self.instruction), self.task_steps, self.task_nodes, self.task_links)
        } else {
            (self.instruction.or(self.user_request), self.tool_steps, self.tool_nodes, self.tool_links)
        };
        let request = request.filter(|r| !r.trim().is_empty()).ok_or_else(|| Fault::leave_out("it has no request"))?;
        let mut nodes = nodes.map(|n| n.0).unwrap_or_default();
        if nodes.is_empty() {
            return Err(Fault::leave_out("it has no gold nodes"));
        }
        let mut links = links.map(|l| l.0).unwrap_or_default();
        if let Some(toolbox) = toolbox {
            let names = nodes.iter_mut().map(|n| &mut n.task);
            for name in names.chain(links.iter_mut().flat_map(|l| [&mut l.source, &mut l.target])) {
                let known = toolbox.spelling(name).ok_or_else(|| {
                    let domain = &toolbox.domain;
                    Fault::leave_out(format!("the gold tool {name:?} is not among the tools of {domain}"))
                })?;
                *name = known.to_owned();
            }
        }
        let tasks: Vec<String> = nodes.iter().map(|n| n.task.clone()).collect();
        if links.iter().any(|l| !tasks.contains(&l.source) || !tasks.contains(&l.target)) {
            notes.push(NOTE_LINK);
        }
        check_arguments(&nodes, toolbox, &mut notes);
        let order = order(&tasks, &links).unwrap_or_else(|| {
            notes.push(NOTE_CYCLE);
            (0..tasks.len()).collect()
        });
        let kind = self.kind.unwrap_or_else(|| shape_of(&tasks, &links).to_owned());
        let steps: Vec<String> = steps.into_iter().flat_map(|s| s.0).map(|Text(step)| step).collect();
        let nodes: Vec<Value> = nodes
            .iter()
            .map(|n| {
                let arguments = n.arguments.0.iter().map(|a| a.to_json(&tasks, toolbox));
                json!({"task": n.task, "arguments": arguments.collect::<Vec<_>>()})
            })
            .collect();
        let links: Vec<Value> = links.iter().map(|l| json!({"source": l.source, "target": l.target})).collect();
        let mut fields = Map::new();
        fields.insert("request".into(), request.as_str().into());
        if let Some(toolbox) = toolbox {
            fields.insert("domain".into(), toolbox.domain.as_str().into());
            fields.insert("tools".into(), toolbox.tools.clone());
            fields.insert("tool_names".into(), json!(toolbox.names()));
        }
        fields.insert("type".into(), kind.as_str().into());
        fields.insert("gold".into(), json!({"steps": steps, "nodes": nodes, "links": links, "order": order}));
        let distinct: BTreeSet<&String> = tasks.iter().collect();
        fields.insert("gold_tools".into(), json!(distinct));
        Ok(Draft {
            id: self.id.0,
            group: folded(&request),
            query: request,
            fields,
            pool: Pool::None,
            stratum: kind,
            notes,
        })
    }
}

fn check_arguments(nodes: &[Node], toolbox: Option<&Toolbox>, notes: &mut Vec<&'static str>) {
    let mut note = |text| {
        if !notes.contains(&text) {
            notes.push(text);
        }
    };
    for node in nodes {
        for argument in &node.arguments.0 {
            match argument {
                Argument::Value(value) => {
                    if toolbox.zip(value.as_str()).is_some_and(|(t, value)| t.spelling(value).is_some()) {
                        note(NOTE_SPELLING);
                    }
                }
                Argument::Named { name, value, .. } => {
                    if value.is_none() {
                        note(NOTE_NO_VALUE);
                    }
                    if toolbox.is_some_and(|t| !t.has_parameter(&node.task, name)) {
                        note(NOTE_ARGUMENT);
                    }
                }
            }
        }
    }
}

/// Positions of nodes so that sources of links come before targets, else as listed; nothing if that cannot be.
fn order(tasks: &[String], links: &[Link]) -> Option<Vec<usize>> {
    let mut rest: Vec<usize> = (0..tasks.len()).collect();
    let mut order = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let waits = |node: usize| {
            links.iter().any(|l| {
                l.target == tasks[node] && l.source != l.target && rest.iter().any(|other| tasks[*other] == l.source)
            })
        };
        let free = rest.iter().position(|node| !waits(*node))?;
        order.push(rest.remove(free));
    }
    Some(order)
}

/// The type of a graph that names none.
fn shape_of(tasks: &[String], links: &[Link]) -> &'static str {
    if tasks.len() == 1 {
        return "single";
    }
    let mut degrees: HashMap<&str, (usize, usize)> = HashMap::new();
    for link in links {
        degrees.entry(&link.source).or_default().0 += 1;
        degrees.entry(&link.target).or_default().1 += 1;
    }
    let is_path = links.len() + 1 == tasks.len() && degrees.values().all(|(out, into)| *out <= 1 && *into <= 1);
    if is_path { "chain" } else { "dag" }
}

impl Argument {
    /// A value, or a name with one. A value that comes from a tool is written as the data set writes it elsewhere: a reference
    /// to the node.
    fn to_json(&self, tasks: &[String], toolbox: Option<&Toolbox>) -> Value {
        match self {
            Argument::Value(value) => value.clone(),
            Argument::Named { name, value: Some(value), .. } => json!({"name": name, "value": value}),
            Argument::Named { name, value: None, from } => {
                let from = from.as_deref().map(|from| toolbox.and_then(|t| t.spelling(from)).unwrap_or(from));
                let node = from.and_then(|from| tasks.iter().position(|t| t == from));
                json!({"name": name, "value": node.map(|n| format!("<node-{n}>")).unwrap_or_default()})
            }
        }
    }

    /// What one item of a list of arguments says: a value, a name with a value or with the tool that it comes from, or several
    /// names with theirs.
    fn read(item: Value) -> Vec<Argument> {
        match item {
            Value::Null => Vec::new(),
            Value::Object(mut object) => {
                let is_pair = object.contains_key("value") || object.contains_key("from");
                match object.get("name") {
                    Some(Value::String(name)) if is_pair => {
                        let name = name.clone();
                        let from = object.remove("from").and_then(|from| from.as_str().map(str::to_owned));
                        let value = object.remove("value").filter(|value| !value.is_null());
                        vec![Argument::Named { name, value, from }]
                    }
                    // {"location": "Paris"} says the same.
                    _ => object.into_iter().map(|(name, value)| Argument::named(name, value)).collect(),
                }
            }
            value => vec![Argument::Value(value)],
        }
    }

    fn named(name: String, value: Value) -> Self {
        Argument::Named { name, value: Some(value).filter(|value| !value.is_null()), from: None }
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Arguments(match Value::deserialize(deserializer)? {
            Value::Array(items) => items.into_iter().flat_map(Argument::read).collect(),
            one => Argument::read(one),
        }))
    }
}
