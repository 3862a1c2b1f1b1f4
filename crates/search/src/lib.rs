//! Search methods behind one stateless ask: (space, archive, settings, prices) in, proposals out.
//!
//! Nothing here does IO, reads a clock, or knows what a language model is. The `agent` method is sans-IO: where it
//! needs an answer it returns the prompt as a [`Question`], and finds the answer in the archive when asked again.

mod agent;
mod ask;
mod draw;
mod grid;
mod initial;
mod method;
mod random;
mod recommend;
mod rules;
mod surrogate;
mod words;

pub use ask::{
    Ask, GridOrder, InitialRule, Insights, Prices, Proposal, Question, Searcher, Settings, StageText, Step, TaskText,
    place,
};
pub use initial::initial_plans;
pub use method::{METHODS, UnknownMethod, searcher};
pub use recommend::{Recommendation, finalists, pareto, recommend};
