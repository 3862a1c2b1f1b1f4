//! Why a plan won: what matters, where samples stop paying, how stages move each other.
//!
//! Everything here is a belief about true scores, learned from the trials by the search's surrogate: a value and the
//! range that holds 95% of the belief.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Choice, Plan};

/// A believed value with the ends of its 95% credible interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credible {
    /// The mean of the belief.
    pub mean: f64,
    /// 2.5% of the belief lies below.
    pub low: f64,
    /// 2.5% of the belief lies above.
    pub high: f64,
}

impl Credible {
    /// Whether the interval leaves out 0: the sign is known.
    pub fn is_measurable(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Why the recommended plan won, as far as the trials tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// What can be said at all.
    pub verdict: Verdict,
    /// The answer in sentences, most important first.
    pub words: Vec<String>,
    /// Measured plans behind it.
    pub plans: u32,
    /// Standard deviation of the true scores over the plans; absent where nothing can be said.
    pub spread: Option<Credible>,
    /// What each choice explains of that variance, largest share first.
    pub importance: Vec<Importance>,
    /// What pairs of choices explain beyond the sum of both, largest share first.
    pub pairs: Vec<PairImportance>,
    /// The share that neither single choices nor pairs explain.
    pub rest: Option<Credible>,
    /// The objective against the samples of one stage, for every stage and model, the other stages as in the
    /// recommended plan.
    pub curves: Vec<FittedCurve>,
    /// How each stage's choice moves what is best in each later one.
    pub interplay: Vec<Interplay>,
    /// The plans that came next, and how far behind they are.
    pub rivals: Vec<Rival>,
}

/// What an explanation can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Some choices make a difference that the trials show.
    Measured,
    /// There are trials enough, but the plans differ by no more than noise.
    NothingMeasurable,
    /// Too few plans were measured.
    TooFewTrials,
    /// Only one plan is within the budget.
    NoChoice,
}

/// What of a stage is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Its model.
    Model,
    /// Its number of samples.
    Samples,
    /// How they are combined.
    Aggregator,
    /// Its temperature.
    Temperature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Model => "model",
            Part::Samples => "samples",
            Part::Aggregator => "aggregator",
            Part::Temperature => "temperature",
        })
    }
}

/// One choice that a plan makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Factor {
    /// The stage's name.
    pub stage: String,
    /// What of it is chosen.
    pub part: Part,
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stage, self.part)
    }
}

/// How much one choice matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Importance {
    /// The choice.
    pub factor: Factor,
    /// Its share, `0..=1`, of the variance of true scores over the plans.
    pub share: Credible,
    /// The level that is best on average over the other choices, in words.
    pub best: String,
    /// The level that is worst.
    pub worst: String,
    /// How much better the best is, in units of the objective.
    pub effect: Credible,
}

/// How much two choices do together beyond the sum of what each does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairImportance {
    /// Both choices, in the order of the stages.
    pub factors: [Factor; 2],
    /// Their share of the variance.
    pub share: Credible,
    /// The levels at which the sum is furthest off.
    pub levels: [String; 2],
    /// How far the score there is from the sum, in units of the objective.
    pub departure: Credible,
}

/// The objective against the samples of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FittedCurve {
    /// The stage's name.
    pub stage: String,
    /// The model's name.
    pub model: String,
    /// The curve at permitted counts, ascending.
    pub points: Vec<FittedPoint>,
    /// Where it is highest within the plan budget; absent where no count fits.
    pub peak: Option<Peak>,
    /// The fewest samples that are not clearly worse than the peak: not, with 95%, by more than 0.01.
    pub enough: Option<u32>,
    /// Whether the most samples within the budget are clearly worse than the peak.
    pub falls: bool,
    /// Counts that were measured with this model in this stage, whatever the other stages did.
    pub tried: Vec<u32>,
}

/// A point of a fitted curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FittedPoint {
    /// Samples.
    pub samples: u32,
    /// The objective.
    pub score: Credible,
    /// Whether the plan is within the budget.
    pub within_budget: bool,
}

/// Where a curve is highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// Samples at the highest point of the mean curve.
    pub samples: u32,
    /// With 97.5% no count below this one is within 0.01 of the true curve's highest point.
    pub low: u32,
    /// With 97.5% no count above this one is, among those within the budget.
    pub high: u32,
}

/// How an earlier stage moves what is best in a later one, other stages as in the recommended plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interplay {
    /// The earlier stage.
    pub upstream: String,
    /// The later stage.
    pub downstream: String,
    /// The share of the variance that choices of both explain together, beyond the sum of each.
    pub share: Credible,
    /// Whether any pair of their choices departs measurably from the sum.
    pub measurable: bool,
    /// For every model upstream that leaves room for the rest, what is best downstream.
    pub rows: Vec<Shift>,
    /// Models of both stages: the rows and columns of `departures`. Empty where either stage has one model only.
    pub models: [Vec<String>; 2],
    /// How far the score is from the sum of what both models do, on average over everything else.
    pub departures: Vec<Vec<Credible>>,
}

/// What is best in a later stage under one choice of an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shift {
    /// The model upstream.
    pub model: String,
    /// With how many samples there: those of the recommended plan, or the nearest that leave enough of the budget.
    pub samples: u32,
    /// The best choice downstream within the budget.
    pub best: Choice,
    /// Where the recommended plan's downstream model then peaks.
    pub peak: Option<Peak>,
    /// How much better that best is than the recommended plan's choice downstream; absent where they are the same and
    /// where that choice does not fit.
    pub gain: Option<Credible>,
}

/// A plan that came close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rival {
    /// Its first trial.
    pub trial: u32,
    /// The plan.
    pub plan: Plan,
    /// The recommended plan's true score minus its own.
    pub ahead: Credible,
    /// In which choices it differs, in words: `answer samples 8 instead of 12`.
    pub differs: Vec<String>,
}
