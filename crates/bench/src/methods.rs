//! Contestants by the names that are typed.

use agenttts_core::text::nearest;
use agenttts_search::{AgentStyle, METHODS, Settings, needs_agent, searcher};

use crate::agents::Agents;
use crate::contestant::{Contestant, Method, Sizes};
use crate::oracle;
use crate::peers::PEERS;

/// The style of `agent` that is the paper's loop alone, and the one that does as its released code.
const FAITHFUL: &str = "agent-faithful";
const RELEASED: &str = "agent-released";

/// Plans that a method asks its language model for at once: as in the paper, five rounds of ten.
const ASKED_FOR: u32 = 10;

/// The contestant of a name, without a language model; see [`contestant_with`].
///
/// # Errors
/// As [`contestant_with`].
pub fn contestant(name: &str) -> Result<Box<dyn Contestant>, UnknownContestant> {
    contestant_with(name, &Agents::default())
}

/// The contestant of a name: a search method or a variant of one.
///
/// `agent-faithful` and `agent-released` are styles of `agent`; `-without-N` after a name leaves insight N out; `@N` at
/// its end runs all trials on N examples. `oracle` is no method but a yardstick: the planner, told how much plans tell of
/// each other.
///
/// # Errors
/// No method has that name, N is no number from 1 on, or the method sizes its trials itself.
pub fn contestant_with(name: &str, agents: &Agents) -> Result<Box<dyn Contestant>, UnknownContestant> {
    if name == oracle::NAME {
        return Ok(Box::new(oracle::Yardstick));
    }
    let (variant, fixed) = match name.split_once('@') {
        None => (name, None),
        Some((method, n)) => {
            let n = n.parse::<u32>().ok().filter(|n| *n >= 1);
            (method, Some(n.ok_or_else(|| UnknownContestant::Examples(name.to_owned()))?))
        }
    };
    let mut settings = Settings::default();
    let mut style = variant;
    while let Some((rest, number)) = style.rsplit_once("-without-") {
        let number = number.parse().ok().filter(|n| (1..=3).contains(n));
        let number = number.ok_or_else(|| UnknownContestant::Insight(name.to_owned()))?;
        settings.insights = settings.insights.without(number);
        style = rest;
    }
    let method = base(style);
    settings.agent = match style {
        FAITHFUL => AgentStyle::Faithful,
        RELEASED => AgentStyle::Released,
        _ => settings.agent,
    };
    // Methods that are nothing but their model run on what a usual trial has: four sizes would take four times the calls.
    let unaided = needs_agent(method) && style != "agent";
    settings.batch = match method {
        _ if unaided => ASKED_FOR,
        // Nothing runs side by side here, so a method learns from every trial before it proposes the next; those that
        // think in rounds keep theirs.
        "planner" | "rules" | "agent" => settings.batch,
        _ => 1,
    };
    let searcher = searcher(method).map_err(|_| UnknownContestant::of(name))?;
    let mut contestant = Method::new(searcher, settings).named(name).with_agents(agents.clone());
    if unaided {
        contestant = contestant.sized(Sizes::Usual);
    }
    if let Some(n) = fixed {
        if contestant.sizes() == Sizes::Own {
            return Err(UnknownContestant::Sized(variant.to_owned()));
        }
        contestant = contestant.sized(Sizes::Fixed(n));
    }
    Ok(Box::new(contestant))
}

/// Whether the contestant of that name, a variant or not, asks a language model.
pub fn asks_a_model(name: &str) -> bool {
    let style = name.split('@').next().unwrap_or(name);
    needs_agent(base(style.split("-without-").next().unwrap_or(style)))
}

/// The search method of which a name without `@N` and `-without-N` is a style.
fn base(style: &str) -> &str {
    if [FAITHFUL, RELEASED].contains(&style) { "agent" } else { style }
}

/// The methods that a comparison runs where none are named: all that need no model.
pub fn default_methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().copied().filter(|m| !needs_agent(m))
}

/// No contestant has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownContestant {
    /// There is no such method.
    #[error("there is no search method {name:?}; {hint}")]
    Method {
        /// What was asked for.
        name: String,
        /// Which was probably meant, or which there are.
        hint: String,
    },
    /// The part after `@`.
    #[error("{0:?} does not name a number of examples after the @, as random@25 does")]
    Examples(String),
    /// The part after `@`, where the method itself says on how many examples a trial runs.
    #[error("{0} chooses the examples of each trial itself: leave the @ and the number out")]
    Sized(String),
    /// The part after `-without-`.
    #[error("{0:?} does not name one of the insights 1, 2 and 3, as agent-faithful-without-2 does")]
    Insight(String),
}

impl UnknownContestant {
    fn of(name: &str) -> Self {
        let styles = [FAITHFUL, RELEASED, oracle::NAME];
        let all: Vec<&str> = METHODS.iter().copied().chain(styles).chain(PEERS).collect();
        let hint = match nearest(name, &all) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("methods: {}", all.join(", ")),
        };
        UnknownContestant::Method { name: name.to_owned(), hint }
    }
}
