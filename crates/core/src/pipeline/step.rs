//! Steps: computations between stages that call no model, and the graph that stages and steps form together.

use super::{Pipeline, Template};

/// A step. It has no choices, so plans and their costs know nothing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSpec {
    /// Its name; stages and steps share one set of names.
    pub name: String,
    /// What it reads directly.
    pub from: Inputs,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// Asks an external program.
    Command(CommandSpec),
    /// Runs the Python program that this expression gives, in the sandbox.
    Python(Template),
}

/// An external program that answers a line of JSON to every line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program and its arguments; never empty. It runs in the pipeline's folder.
    pub command: Vec<String>,
    /// Until an answer counts as lost.
    pub timeout_seconds: u32,
}

/// Indices of what a stage or step reads directly, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Stages.
    pub stages: Vec<usize>,
    /// Steps.
    pub steps: Vec<usize>,
}

impl Inputs {
    /// Whether it reads nothing but the example.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.steps.is_empty()
    }

    /// All of them, stages first.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        self.stages.iter().map(|&i| Node::Stage(i)).chain(self.steps.iter().map(|&i| Node::Step(i)))
    }
}

/// A stage or a step, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A stage.
    Stage(usize),
    /// A step.
    Step(usize),
}

impl Pipeline {
    /// The name of a stage or step of this pipeline.
    pub fn node_name(&self, node: Node) -> &str {
        match node {
            Node::Stage(i) => &self.stages[i].name,
            Node::Step(i) => &self.steps[i].name,
        }
    }

    /// What a stage or step reads directly.
    pub fn inputs(&self, node: Node) -> &Inputs {
        match node {
            Node::Stage(i) => &self.stages[i].from,
            Node::Step(i) => &self.steps[i].from,
        }
    }

    /// All stages and steps that a stage or step depends on, directly or not, in running order.
    pub fn upstream(&self, node: Node) -> Vec<Node> {
        let mut wanted: Vec<Node> = self.inputs(node).nodes().collect();
        let mut next = 0;
        while let Some(&at) = wanted.get(next) {
            next += 1;
            let further: Vec<Node> = self.inputs(at).nodes().filter(|n| !wanted.contains(n)).collect();
            wanted.extend(further);
        }
        self.order.iter().copied().filter(|n| wanted.contains(n)).collect()
    }

    /// All stages that stage `index` depends on, directly, through steps, or through other stages, in order.
    pub fn ancestors(&self, index: usize) -> Vec<usize> {
        let stage = |node| match node {
            Node::Stage(i) => Some(i),
            Node::Step(_) => None,
        };
        self.upstream(Node::Stage(index)).into_iter().filter_map(stage).collect()
    }
}
