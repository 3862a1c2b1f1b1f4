//! The vocabulary of agenttts: pipelines, plans, spaces, costs and estimates.
//!
//! Everything here is pure: no IO, no clock, no async, no randomness without a passed seed.

mod archive;
mod calibration;
mod clustered;
mod compare;
mod cost;
mod data;
mod enforced;
mod estimate;
mod explanation;
mod fitting;
mod judged;
mod model;
mod pilot;
pub mod pipeline;
mod plan;
mod pooled;
mod problem;
mod repair;
mod request;
mod runs;
mod seal;
mod space;
mod summary;
pub mod text;

pub use archive::{
    Archive, CurvePoint, Exchange, Guideline, Measurement, Origin, Purpose, RacedOut, Span, Trial, TrialState,
};
pub use calibration::Calibration;
pub use compare::{Comparison, Finding, NotWorse, holm};
pub use cost::{CallTokens, Cost, CostModel, MissingFact};
pub use data::{Example, ExampleDigests, Split, check_disjoint, parse_examples};
pub use enforced::Enforced;
pub use estimate::Estimate;
pub use explanation::{
    Credible, Explanation, Factor, FittedCurve, FittedPoint, Importance, Interplay, PairImportance, Part, Peak, Rival,
    Shift, Verdict,
};
pub use fitting::Fitting;
pub use judged::{Heard, Judged, Opinion};
pub use model::{ModelSpec, OpenaiSpec, Price, ProviderKind, ProviderSpec, Shape, Speed};
pub use pilot::{
    Answer, CurveShape, Insight, Level, PILOT_VERSION, PeakMove, Pilot, PilotCurve, PilotPoint, PilotStage, PilotTest,
    Upstream, UpstreamStage,
};
pub use pipeline::{Pipeline, StageSpec};
pub use plan::{Aggregator, Choice, Plan};
pub use pooled::{PooledPlan, by_plan};
pub use problem::{Place, Problem, Problems};
pub use request::{
    Constraint, Decoding, Draw, Finish, Message, ModelIdentity, Request, RequestKey, Role, Temperature, Usage,
};
pub use runs::Runs;
pub use seal::{Seal, UsedBefore, used_words};
pub use space::{JUDGE_MAX_TOKENS, PricedStage, Space, SpaceError, StageOption, StageSpace, WantedChoice};
pub use summary::{
    Cheaper, Confirmation, Confirmed, KindSpend, LimitUse, PlanSummary, Quarantined, Recommended, Reuse,
    SUMMARY_VERSION, ScalingCurve, Spend, StageRuns, StageSummary, StudyState, StudySummary, UnderWay,
};
