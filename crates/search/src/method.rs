//! The search methods by name.

use agenttts_core::text::nearest;

use crate::agent::{self, Agent, Unaided};
use crate::ask::Searcher;
use crate::bo::{self, Bo};
use crate::coordinate::{self, Coordinate};
use crate::evolution::{self, Evolution};
use crate::grid::{self, Grid};
use crate::halving::{self, Halving};
use crate::planner::{self, Planner};
use crate::random::{self, Random};
use crate::rules::{self, Rules};
use crate::tpe::{self, Tpe};

/// The names of all methods, in the order of the documentation.
pub const METHODS: &[&str] = &[
    planner::NAME,
    agent::NAME,
    rules::NAME,
    random::NAME,
    grid::NAME,
    tpe::NAME,
    bo::NAME,
    evolution::NAME,
    coordinate::NAME,
    halving::NAME,
    agent::ZERO_SHOT,
    agent::AGENT_HPO,
    agent::ML_COPILOT,
];

/// The method of that name.
pub fn searcher(name: &str) -> Result<Box<dyn Searcher>, UnknownMethod> {
    match name {
        planner::NAME => Ok(Box::new(Planner)),
        agent::NAME => Ok(Box::new(Agent)),
        rules::NAME => Ok(Box::new(Rules)),
        random::NAME => Ok(Box::new(Random)),
        grid::NAME => Ok(Box::new(Grid)),
        tpe::NAME => Ok(Box::new(Tpe)),
        bo::NAME => Ok(Box::new(Bo)),
        evolution::NAME => Ok(Box::new(Evolution)),
        coordinate::NAME => Ok(Box::new(Coordinate)),
        halving::NAME => Ok(Box::new(Halving)),
        agent::ZERO_SHOT => Ok(Box::new(Unaided::ZeroShot)),
        agent::AGENT_HPO => Ok(Box::new(Unaided::AgentHpo)),
        agent::ML_COPILOT => Ok(Box::new(Unaided::MlCopilot)),
        _ => Err(UnknownMethod { name: name.to_owned(), nearest: nearest(name, METHODS).map(str::to_owned) }),
    }
}

/// Whether the method of that name asks a language model.
pub fn needs_agent(name: &str) -> bool {
    [agent::NAME, agent::ZERO_SHOT, agent::AGENT_HPO, agent::ML_COPILOT].contains(&name)
}

/// Whether the method of that name learns from an earlier study (see [`History`](crate::History)).
pub fn needs_history(name: &str) -> bool {
    name == agent::ML_COPILOT
}

/// No method has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no search method {name:?}{}", hint(.nearest.as_deref()))]
pub struct UnknownMethod {
    /// What was asked for.
    pub name: String,
    /// The method that was probably meant.
    pub nearest: Option<String>,
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(n) => format!("; did you mean `{n}`?"),
        None => format!("; methods: {}", METHODS.join(", ")),
    }
}
