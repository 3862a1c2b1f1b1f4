//! The plans that are served: their names, their runners, who gets to use them when, and what they did.

mod catalogue;
mod drift;
mod gate;
mod pick;
mod traffic;

pub(crate) use catalogue::{Catalogue, Served};
pub use catalogue::{PlanSource, Unusable};
pub(crate) use drift::{Drift, drift};
pub(crate) use gate::{Gate, Pass, Refused};
pub(crate) use traffic::{AnswerFacts, Ended, Totals};
