//! Why a rule proposes a plan, in words for the archive.

use agenttts_core::Space;

use super::candidates::{Candidate, Rule};
use crate::surrogate::Belief;
use crate::words;

/// The reason of a candidate: the rule, the change, and what is believed.
pub(crate) fn reason(space: &Space, candidate: &Candidate, belief: Belief) -> String {
    let expected = format!("expected {:.2} ± {:.2}", belief.mean, belief.sd);
    let name = |s: usize| space.stages()[s].stage.name.as_str();
    let change = |s: usize| -> String {
        let stage = &space.stages()[s];
        let options = &stage.options;
        let new = &options[candidate.options[s]].choice;
        match &candidate.parent {
            Some(parent) => {
                let old = &options[parent[s]].choice;
                format!("{}: {} -> {}", name(s), words::choice(old, stage), words::choice(new, stage))
            }
            None => format!("{}: {}", name(s), words::choice(new, stage)),
        }
    };
    let why = match candidate.rule {
        Rule::Model(s) => format!("insight 1, another model for {}", change(s)),
        Rule::Samples(s) => format!("insight 2, samples of {}", change(s)),
        Rule::Retune { upstream, downstream } => {
            format!("insight 3, {} re-tuned after {}", change(downstream), change(upstream))
        }
        Rule::Reallocate { from, to } => format!("insight 3, budget moved from {} to {}", change(from), change(to)),
        Rule::Setting(s) => format!("another setting for {}", change(s)),
        Rule::Crossover => "crossover of two good plans".to_owned(),
        Rule::Mutation => "mutation of a good plan".to_owned(),
        Rule::Random => "exploration".to_owned(),
        Rule::Replicate => "one of the best so far, tried again".to_owned(),
    };
    format!("{why}; {expected}")
}
