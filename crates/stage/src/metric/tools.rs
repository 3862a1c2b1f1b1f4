//! Tool graphs compared.

use std::collections::BTreeSet;

use agenttts_core::pipeline::MetricKind;
use serde_json::Value;

use super::f1;
use super::graph::{Graph, Node, name_key, references};

/// File endings by which TaskBench tells what an unnamed argument is; all else is text.
const ENDINGS: [(&str, &[&str]); 3] = [
    ("image", &["jpg", "png", "jpeg", "gif", "bmp", "tiff", "svg", "ico"]),
    ("audio", &["mp3", "wav", "wma", "ogg", "aac", "flac", "aiff", "au"]),
    ("video", &["mp4", "avi", "mov", "flv", "wmv", "mkv", "webm", "m4v", "mpg", "mpeg"]),
];

/// The F1 of the part of the graphs that `kind` names; 0 if the output is no such graph.
pub(super) fn graph_score(kind: MetricKind, output: &Value, gold: &Graph) -> f64 {
    let Some(found) = Graph::read(output).filter(|g| g.has(kind)) else {
        return 0.0;
    };
    match kind {
        MetricKind::NodeF1 => set_f1(found.tools().collect(), gold.tools().collect()),
        MetricKind::EdgeF1 => set_f1(edges(&found), edges(gold)),
        _ => {
            let names: BTreeSet<&str> = found.tools().chain(gold.tools()).filter(|t| !t.is_empty()).collect();
            let is_named = gold.has_named_arguments();
            let (found, wanted) = (parameters(&found, &names, is_named), parameters(gold, &names, is_named));
            if kind == MetricKind::ParameterValueF1 {
                return set_f1(found, wanted);
            }
            let names = |of: Vec<Parameter>| of.into_iter().map(|p| (p.tool, p.name)).collect::<Vec<_>>();
            set_f1(names(found), names(wanted))
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parameter {
    tool: String,
    name: String,
    value: Meaning,
}

/// What a value stands for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// The outputs of these tools, however they were referred to.
    Outputs(Vec<String>),
    Text(String),
}

/// Repeats count once, as in TaskBench's script.
fn set_f1<T: Ord>(found: Vec<T>, wanted: Vec<T>) -> f64 {
    let (found, wanted) = (BTreeSet::from_iter(found), BTreeSet::from_iter(wanted));
    f1(found.intersection(&wanted).count(), found.len(), wanted.len())
}

/// The links as given, or else those that references between the nodes imply.
fn edges(graph: &Graph) -> Vec<(String, String)> {
    if let Some(links) = graph.links.as_ref().filter(|l| !l.is_empty()) {
        return links.clone();
    }
    let nodes = graph.nodes.as_deref().unwrap_or_default();
    let into = |(at, node): (usize, &Node)| {
        let values = node.arguments.iter().map(|a| &a.value);
        let sources: BTreeSet<usize> = values.flat_map(|v| sources(v, nodes)).filter(|k| *k != at).collect();
        sources.into_iter().map(|k| (nodes[k].tool.clone(), node.tool.clone())).collect::<Vec<_>>()
    };
    nodes.iter().enumerate().flat_map(into).collect()
}

/// The nodes whose outputs a value stands for: those that it refers to by position, or the first with its name.
fn sources(value: &str, nodes: &[Node]) -> Vec<usize> {
    let referred = references(value);
    if referred.is_empty() {
        let name = name_key(value);
        return nodes.iter().position(|n| !name.is_empty() && n.tool == name).into_iter().collect();
    }
    referred.into_iter().filter(|k| *k < nodes.len()).collect()
}

/// All arguments of all nodes, but for references of a node to itself, which mean nothing. Their names count where gold has
/// names: in the other domains tools take values, and a model that names them says no less.
fn parameters(graph: &Graph, names: &BTreeSet<&str>, is_named: bool) -> Vec<Parameter> {
    let nodes = graph.nodes.as_deref().unwrap_or_default();
    let mut all = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        for argument in &node.arguments {
            let Some(value) = meaning(&argument.value, at, nodes, names) else {
                continue;
            };
            let name = argument.name.clone().filter(|_| is_named);
            let name = name.unwrap_or_else(|| kind_of_value(&value).to_owned());
            all.push(Parameter { tool: node.tool.clone(), name, value });
        }
    }
    all
}

/// A reference stands for the tool it leads to, not for its number, which depends on the order of the list. The bare
/// name of a tool of either graph is a reference too: models and gold write both.
fn meaning(text: &str, at: usize, nodes: &[Node], names: &BTreeSet<&str>) -> Option<Meaning> {
    let referred = references(text);
    if referred.is_empty() {
        let name = name_key(text);
        let is_name = names.contains(name.as_str());
        return Some(if is_name { Meaning::Outputs(vec![name]) } else { Meaning::Text(text.to_owned()) });
    }
    let mut tools: Vec<String> =
        referred.iter().filter(|k| **k != at).filter_map(|k| Some(nodes.get(*k)?.tool.clone())).collect();
    tools.sort();
    match tools.is_empty() {
        true if referred.contains(&at) => None,
        true => Some(Meaning::Text(text.to_owned())),
        false => Some(Meaning::Outputs(tools)),
    }
}

/// The name of an argument that has none.
fn kind_of_value(value: &Meaning) -> &'static str {
    let Meaning::Text(text) = value else {
        return "reference";
    };
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '.');
    let endings: Vec<&str> = words.filter_map(|w| Some(w.trim_matches('.').rsplit_once('.')?.1)).collect();
    let is_of = |known: &[&str]| endings.iter().any(|e| known.contains(e));
    ENDINGS.iter().find(|(_, known)| is_of(known)).map_or("text", |(kind, _)| kind)
}
