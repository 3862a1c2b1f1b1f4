//! Tool graphs and steps, read from the forms in which TaskBench publishes them and models write them.

use agenttts_core::pipeline::MetricKind;
use serde_json::Value;

use crate::field::plain_text;
use crate::parse::documents;

/// A tool graph. Names are [`name_key`]s, and empty where there was nothing readable.
#[derive(Debug)]
pub(super) struct Graph {
    /// Its tools in the order of the list, which references count; absent if it has no such list.
    pub(super) nodes: Option<Vec<Node>>,
    /// Pairs of source and target; absent if it has no such list.
    pub(super) links: Option<Vec<(String, String)>>,
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) tool: String,
    pub(super) arguments: Vec<Argument>,
}

/// An argument of a call.
#[derive(Debug)]
pub(super) struct Argument {
    /// Absent in the domains in which arguments are mere values.
    pub(super) name: Option<String>,
    /// With single blanks.
    pub(super) value: String,
}

impl Graph {
    /// The graph in a value: an object with `nodes` or `links`, a list of either, or a text that holds such JSON.
    pub(super) fn read(value: &Value) -> Option<Graph> {
        match value {
            Value::String(text) => of_text(text).find_map(|document| Graph::read(&document)),
            Value::Array(items) => {
                let is_link = |item: &Value| item.get("source").is_some() && item.get("target").is_some();
                let (nodes, links) = match items.first() {
                    None => (Some(items), Some(items)),
                    Some(first) if is_link(first) => (None, Some(items)),
                    Some(Value::String(_) | Value::Object(_)) => (Some(items), None),
                    Some(_) => return None,
                };
                Some(Graph::of(nodes.cloned(), links.cloned()))
            }
            Value::Object(_) => {
                let nodes = part(value, ["nodes", "task_nodes", "tool_nodes"]);
                let links = part(value, ["links", "task_links", "tool_links"]);
                (nodes.is_some() || links.is_some()).then(|| Graph::of(nodes, links))
            }
            _ => None,
        }
    }

    /// Whether it has the part that the metric compares.
    pub(super) fn has(&self, kind: MetricKind) -> bool {
        self.nodes.is_some() || (kind == MetricKind::EdgeF1 && self.links.is_some())
    }

    /// Whether everything in it could be read.
    pub(super) fn is_whole(&self) -> bool {
        let nodes = self.nodes.iter().flatten().all(|n| !n.tool.is_empty());
        nodes && self.links.iter().flatten().all(|(source, target)| !source.is_empty() && !target.is_empty())
    }

    /// Whether any argument has a name, as in the daily-life domain.
    pub(super) fn has_named_arguments(&self) -> bool {
        self.nodes.iter().flatten().flat_map(|n| &n.arguments).any(|a| a.name.is_some())
    }

    /// The tools, repeats included.
    pub(super) fn tools(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().flatten().map(|n| n.tool.as_str())
    }

    fn of(nodes: Option<Vec<Value>>, links: Option<Vec<Value>>) -> Graph {
        let nodes: Option<Vec<Node>> = nodes.map(|items| items.iter().map(node).collect());
        let links = links.map(|items| items.iter().map(|i| link(i, nodes.as_deref().unwrap_or_default())).collect());
        Graph { nodes, links }
    }
}

/// The documents of JSON in a text that may be what is meant: objects first, and lists only where they are all that is said, for
/// prose has brackets too.
fn of_text(text: &str) -> impl Iterator<Item = Value> {
    let said = text.trim();
    let fenced = said.contains("```");
    let whole = said.starts_with('[') && said.ends_with(']');
    let (objects, others): (Vec<Value>, Vec<Value>) =
        documents(text).into_iter().filter(|d| !d.is_string()).partition(Value::is_object);
    objects.into_iter().chain(others.into_iter().filter(move |_| fenced || whole))
}

/// The steps of a plan, joined by line ends: of an object with `steps`, of a list, or of a text that holds such JSON.
pub(super) fn steps(value: &Value) -> Option<String> {
    let items = match value {
        Value::String(text) => return of_text(text).find_map(|document| steps(&document)),
        Value::Object(_) => part(value, ["steps", "task_steps", "tool_steps"])?,
        Value::Array(items) if items.iter().all(|i| i.is_string() || i.is_object()) => items.clone(),
        _ => return None,
    };
    let keys = ["task", "step", "id", "step_name", "description"];
    let text = |item: &Value| keys.iter().find_map(|k| item.get(k)?.as_str()).map(str::to_owned);
    Some(items.iter().map(|i| text(i).unwrap_or_else(|| plain_text(i))).collect::<Vec<_>>().join("\n"))
}

/// The positions that a text refers to by `<node-k>`.
pub(super) fn references(text: &str) -> Vec<usize> {
    let ends = text.split("<node-").skip(1).filter_map(|rest| rest.split_once('>'));
    ends.filter_map(|(k, _)| k.trim().parse().ok()).collect()
}

/// What a name is compared by: letters and digits in lower case, whatever separates its words one blank.
pub(super) fn name_key(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The list under the first of the names that holds one, perhaps as JSON in a string, perhaps inside `result`.
fn part(value: &Value, names: [&str; 3]) -> Option<Vec<Value>> {
    let list = |v: &Value| match v {
        Value::Array(items) => Some(items.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let within = |object: &Value| names.iter().find_map(|name| list(object.get(name)?));
    within(value).or_else(|| within(value.get("result")?))
}

fn node(item: &Value) -> Node {
    let name = item.as_str().or_else(|| ["task", "tool", "name"].iter().find_map(|k| item.get(k)?.as_str()));
    let given = ["arguments", "parameters"].iter().find_map(|k| item.get(k));
    Node { tool: name.map(name_key).unwrap_or_default(), arguments: given.map(arguments).unwrap_or_default() }
}

fn arguments(given: &Value) -> Vec<Argument> {
    match given {
        Value::Array(items) => items.iter().flat_map(argument).collect(),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(decoded @ (Value::Array(_) | Value::Object(_))) => arguments(&decoded),
            _ => argument(given),
        },
        other => argument(other),
    }
}

/// One argument, or several of an object that has one under each key.
fn argument(item: &Value) -> Vec<Argument> {
    let Value::Object(object) = item else {
        return if item.is_null() { vec![] } else { vec![Argument { name: None, value: value_text(item) }] };
    };
    // TaskBench has a gold argument with `from`, the tool that its value comes from, in the place of `value`. Without either it
    // is an argument that is called "name".
    let value = object.get("value").or_else(|| object.get("from"));
    match object.get("name").and_then(Value::as_str).zip(value) {
        Some((name, value)) => vec![Argument { name: Some(name_key(name)), value: value_text(value) }],
        None => object.iter().map(|(k, v)| Argument { name: Some(name_key(k)), value: value_text(v) }).collect(),
    }
}

fn value_text(value: &Value) -> String {
    plain_text(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn link(item: &Value, nodes: &[Node]) -> (String, String) {
    let tool = |k: usize| nodes.get(k).map(|n| n.tool.clone()).unwrap_or_default();
    let end = |v: Option<&Value>| match v {
        Some(Value::String(text)) => references(text).first().map_or_else(|| name_key(text), |k| tool(*k)),
        Some(Value::Number(n)) => n.as_u64().and_then(|k| usize::try_from(k).ok()).map(tool).unwrap_or_default(),
        _ => String::new(),
    };
    match item {
        Value::Array(pair) if pair.len() == 2 => (end(pair.first()), end(pair.last())),
        other => (end(other.get("source")), end(other.get("target"))),
    }
}
