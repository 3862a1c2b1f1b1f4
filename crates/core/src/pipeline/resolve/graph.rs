//! The graph of stages and steps: names, what each reads, and the order in which they run.

use toml::Spanned;

use super::order::topological;
use super::{Source, check_name, did_you_mean};
use crate::pipeline::raw::RawPipeline;
use crate::pipeline::{Inputs, Node};
use crate::problem::Problem;

/// Stages and steps in running order. Empty where the graph has problems.
#[derive(Default)]
pub(super) struct Graph {
    /// Every stage's place in the file, and what it reads.
    pub(super) stages: Vec<(usize, Inputs)>,
    /// The same of every step.
    pub(super) steps: Vec<(usize, Inputs)>,
    /// Both together.
    pub(super) order: Vec<Node>,
}

/// A stage or step as the file names it.
struct Named<'a> {
    name: &'a Spanned<String>,
    kind: &'static str,
    /// What it reads; absent for a stage that reads the one before it.
    from: Option<&'a [Spanned<String>]>,
}

/// Finds every name, and an order to run in. What is wrong goes into `problems`; the result is then to be thrown away.
pub(super) fn resolve_graph(raw: &RawPipeline, place: &Source, problems: &mut Vec<Problem>) -> Graph {
    if raw.stages.is_empty() {
        problems.push(Problem::new("the pipeline has no stages").hint("add a [[stages]] table"));
        return Graph::default();
    }
    let stages = raw.stages.iter().map(|s| s.get_ref());
    let stages = stages.map(|s| Named { name: &s.name, kind: "stage", from: s.from.as_deref() });
    let steps = raw.steps.iter().map(|s| s.get_ref());
    let steps = steps.map(|s| Named { name: &s.name, kind: "step", from: Some(&s.from) });
    let all: Vec<Named<'_>> = stages.chain(steps).collect();
    check_names(&all, place, problems);
    let from = inputs(&all, place, problems);
    let order = match topological(&from) {
        Ok(order) => order,
        Err(cycle) => {
            problems.push(cycle_problem(&all, &cycle, place));
            return Graph::default();
        }
    };
    let count = raw.stages.len();
    check_read(&all, &from, count, place, problems);
    // A node's number among its kind, in running order.
    let number = |node: usize| {
        let mine = |other: usize| (other < count) == (node < count);
        let number = order.iter().filter(|&&o| mine(o)).position(|&o| o == node).unwrap_or_default();
        if node < count { Node::Stage(number) } else { Node::Step(number) }
    };
    let mut graph = Graph::default();
    for &node in &order {
        let mut inputs = Inputs::default();
        for &input in &from[node] {
            match number(input) {
                Node::Stage(i) => inputs.stages.push(i),
                Node::Step(i) => inputs.steps.push(i),
            }
        }
        inputs.stages.sort_unstable();
        inputs.steps.sort_unstable();
        graph.order.push(number(node));
        if node < count { &mut graph.stages } else { &mut graph.steps }
            .push((node - if node < count { 0 } else { count }, inputs));
    }
    graph
}

fn check_names(all: &[Named<'_>], place: &Source, problems: &mut Vec<Problem>) {
    for (i, Named { name, kind, .. }) in all.iter().enumerate() {
        if let Err(message) = check_name(name.get_ref()) {
            problems.push(place.problem(name.span(), message));
        }
        let Some(before) = all[..i].iter().find(|other| other.name.get_ref() == name.get_ref()) else { continue };
        let message = if before.kind == *kind {
            format!("there are two {kind}s {:?}", name.get_ref())
        } else {
            format!("there is a {} and a {kind} {:?}", before.kind, name.get_ref())
        };
        problems.push(place.problem(name.span(), message));
    }
}

/// What each reads: what it names, or the stage before it in the file.
fn inputs(all: &[Named<'_>], place: &Source, problems: &mut Vec<Problem>) -> Vec<Vec<usize>> {
    let names: Vec<&str> = all.iter().map(|n| n.name.get_ref().as_str()).collect();
    let what = if all.iter().any(|n| n.kind == "step") { "stage or step" } else { "stage" };
    let mut inputs = Vec::new();
    for (i, node) in all.iter().enumerate() {
        let Some(from) = node.from else {
            inputs.push(i.checked_sub(1).into_iter().collect());
            continue;
        };
        let mut found = Vec::new();
        for name in from {
            match names.iter().position(|n| n == name.get_ref()) {
                Some(f) => found.push(f),
                None => problems.push(
                    place
                        .problem(name.span(), format!("there is no {what} {:?}", name.get_ref()))
                        .hint(did_you_mean(name.get_ref(), &names)),
                ),
            }
        }
        found.sort_unstable();
        found.dedup();
        inputs.push(found);
    }
    inputs
}

fn cycle_problem(all: &[Named<'_>], cycle: &[usize], place: &Source) -> Problem {
    let path: Vec<&str> = cycle.iter().chain(cycle.first()).map(|&i| all[i].name.get_ref().as_str()).collect();
    let (what, one) = match cycle.iter().any(|&i| all[i].kind == "step") {
        true => ("stages and steps", "one of them"),
        false => ("stages", "one of these stages"),
    };
    place
        .problem(all[cycle[0]].name.span(), format!("the {what} form a cycle: {}", path.join(" reads ")))
        .hint(format!("remove {one} from another's `from`"))
}

/// A step that nobody reads would take time and make no difference.
fn check_read(all: &[Named<'_>], from: &[Vec<usize>], stages: usize, place: &Source, problems: &mut Vec<Problem>) {
    for (i, node) in all.iter().enumerate().skip(stages) {
        if !from.iter().any(|read| read.contains(&i)) {
            problems.push(
                place
                    .problem(node.name.span(), format!("no stage reads the step {:?}", node.name.get_ref()))
                    .hint("name it in the `from` of the stage that uses its output, or remove it"),
            );
        }
    }
}
