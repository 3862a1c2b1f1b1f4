//! The vocabulary of agenttts: pipelines, plans, spaces, costs and estimates.
//!
//! Everything here is pure: no IO, no clock, no async, no randomness without a passed seed.

mod cost;
mod model;
mod request;

pub use cost::{CallTokens, Cost, CostModel, MissingFact};
pub use model::{ModelSpec, OpenaiSpec, Price, ProviderKind, ProviderSpec, Shape, Speed};
pub use request::{
    Constraint, Decoding, Draw, Finish, Message, ModelIdentity, Request, RequestKey, Role, Temperature, Usage,
};
