//! Whether a stage runs for an example, and how often.

use super::Template;
use crate::runs::Runs;

/// The most items that a stage with `each` runs for.
pub const MAX_ITEMS: u32 = 100;

/// When a stage runs. As a rule once for every example.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowSpec {
    /// The condition under which it runs.
    pub condition: Option<Condition>,
    /// The list for whose items it runs, once for each; its output is the list of their outputs.
    pub each: Option<Template>,
    /// How often it is expected to run per example.
    pub runs: Runs,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The expression that must be true.
    pub when: Template,
    /// The expression for the stage's output where it does not run; null where absent.
    pub otherwise: Option<Template>,
}

impl FlowSpec {
    /// Once for every example.
    pub const ALWAYS: FlowSpec = FlowSpec { condition: None, each: None, runs: Runs::ONCE };

    /// Whether it may run other than once for an example.
    pub fn varies(&self) -> bool {
        self.condition.is_some() || self.each.is_some()
    }
}
