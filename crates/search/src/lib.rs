//! Search methods behind one stateless ask: (space, archive, settings, prices) in, proposals out.
//!
//! Nothing here does IO, reads a clock, or knows what a language model is. The `agent` method is sans-IO: where it
//! needs an answer it returns the prompt as a [`Question`], and finds the answer in the archive when asked again.

mod agent;
mod ask;
mod bo;
mod coordinate;
mod draw;
mod encoding;
mod evolution;
mod explain;
#[doc(hidden)]
pub mod fuzzing;
mod grid;
mod halving;
mod initial;
mod method;
mod observed;
mod opening;
mod planner;
mod portfolio;
mod prices;
mod race;
mod random;
mod recommend;
mod rules;
mod surrogate;
mod tpe;
mod tried;
mod words;

pub use ask::{
    AgentStyle, Ask, GridOrder, History, InitialRule, Insights, Prices, Proposal, Question, Searcher, Settings,
    StageText, Step, TaskText, place,
};
pub use explain::explain;
pub use initial::initial_plans;
pub use method::{METHODS, UnknownMethod, needs_agent, needs_history, searcher};
pub use planner::Oracle;
pub use prices::{DrawLog, DrawPrices, Lengths, Missing, Shown};
pub use race::Race;
pub use recommend::{Beliefs, Recommendation, estimates, finalists, pareto, recommend};
