//! What held the code that models wrote.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What held generated code while it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enforced {
    /// The kernel's release.
    pub kernel: String,
    /// For each thing that must be held (`files`, `network`, `memory`, ...) the parts of the system that held it, the
    /// strongest first. Empty: nothing did.
    pub guards: BTreeMap<String, Vec<String>>,
    /// Parts that the system did not give, and why.
    pub missing: BTreeMap<String, String>,
}

impl Enforced {
    /// In words: what was held and by what, and what was not.
    pub fn words(&self) -> String {
        let (held, open): (Vec<_>, Vec<_>) = self.guards.iter().partition(|(_, layers)| !layers.is_empty());
        let names = |guards: Vec<(&String, &Vec<String>)>| {
            guards.iter().map(|(guard, _)| guard.as_str()).collect::<Vec<_>>().join(", ")
        };
        let layers: BTreeSet<&str> = held.iter().flat_map(|(_, layers)| layers.iter().map(String::as_str)).collect();
        let by = layers.into_iter().collect::<Vec<_>>().join(", ");
        let missing: Vec<String> =
            self.missing.iter().map(|(layer, reason)| format!("; no {layer}: {reason}")).collect();
        let open = if open.is_empty() { String::new() } else { format!("; not held: {}", names(open)) };
        format!("generated code ran with these held: {} (by {by}){open}{}", names(held), missing.concat())
    }
}
