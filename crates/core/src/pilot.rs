//! A pilot study: what every stage's score does with samples, cost and upstream quality, and what that says of the three
//! insights of AgentTTS (arXiv 2508.00890). Plain data; the engine measures it, the report draws it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cost::CostModel;
use crate::estimate::Estimate;
use crate::explanation::{Credible, Peak};
use crate::plan::{Aggregator, Choice};
use crate::request::{ModelIdentity, Temperature, Usage};

/// The version of [`Pilot`]'s JSON. Fields are only added; readers ignore what they do not know.
pub const PILOT_VERSION: u32 = 1;

/// A pilot study, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pilot {
    /// [`PILOT_VERSION`] when it was written.
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// What the pipeline is for.
    pub description: String,
    /// The version of the program.
    pub program: String,
    /// Which weights every model had, by its name.
    pub models: BTreeMap<String, ModelIdentity>,
    /// Whether a tape played the models.
    pub from_tape: bool,
    /// The seed of examples, subsets and tests.
    pub seed: u32,
    /// How calls are priced.
    pub cost_model: CostModel,
    /// Examples that were asked for.
    pub examples: u32,
    /// The smallest difference of scores that is worth knowing.
    pub margin: f64,
    /// The stages, in running order.
    pub stages: Vec<PilotStage>,
    /// The three insights, in order.
    pub insights: Vec<Insight>,
    /// What was drawn now: nothing where the bank had it all.
    pub drawn: Usage,
    /// Why not all was drawn, where that is so.
    pub stopped: Option<String>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

/// A stage of a pilot study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotStage {
    /// Its name.
    pub name: String,
    /// Its metric; a stage without one has no curves.
    pub metric: Option<String>,
    /// Its models, smallest first.
    pub models: Vec<String>,
    /// The most samples that were drawn.
    pub draws: u32,
    /// What the stages upstream did: one setting for a stage that reads none.
    pub settings: Vec<Upstream>,
    /// The curves, by setting.
    pub curves: Vec<PilotCurve>,
}

/// How good the outputs are that a stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The stage reads no other stage.
    Example,
    /// The gold outputs: an upper bound.
    Gold,
    /// The best choice that was measured upstream.
    Best,
    /// The choice nearest to the middle between the best and the worst.
    Middle,
    /// The worst choice that was measured upstream.
    Worst,
}

impl Level {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Level::Example => "example",
            Level::Gold => "gold",
            Level::Best => "best",
            Level::Middle => "middle",
            Level::Worst => "worst",
        }
    }
}

/// A setting of the stages upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// The level.
    pub level: Level,
    /// What each stage upstream did, in running order.
    pub stages: Vec<UpstreamStage>,
    /// Examples that all curves of this setting were measured on.
    pub examples: u32,
    /// Examples, of those, that failed in some curve: they score 0 there.
    pub failures: u32,
}

/// What one stage upstream did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStage {
    /// Its name.
    pub stage: String,
    /// Its choice; absent for gold.
    pub choice: Option<Choice>,
    /// Its metric with the outputs that were passed on; absent where it has none.
    pub score: Option<Estimate>,
}

/// The score of one model, temperature and aggregator against samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotCurve {
    /// The setting upstream: its place in [`PilotStage::settings`].
    pub setting: u32,
    /// The model.
    pub model: String,
    /// The temperature.
    pub temperature: Temperature,
    /// The aggregator.
    pub aggregator: Aggregator,
    /// The points by samples; all are from the same draws, so they are correlated.
    pub points: Vec<PilotPoint>,
    /// Where the curve is highest, with a bootstrap interval over examples; absent for a single point.
    pub peak: Option<Peak>,
    /// What the curve is shown to do; absent where it was not asked.
    pub shape: Option<CurveShape>,
}

impl PilotCurve {
    /// The point with that many samples.
    pub fn at(&self, samples: u32) -> Option<&PilotPoint> {
        self.points.iter().find(|p| p.samples == samples)
    }
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotPoint {
    /// Samples.
    pub samples: u32,
    /// The stage's metric: the mean over examples of the mean over subsets of the draws.
    pub score: Estimate,
    /// What the stage's calls cost for one example, in units of the cost model.
    pub cost: Estimate,
    /// The most subsets that were averaged for an example; 1 where only the first draws could be used.
    pub subsets: u32,
    /// Whether these were all subsets of that size.
    pub exact: bool,
}

/// What a curve is shown to do with more samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveShape {
    /// It rises and then falls.
    PeakAndFall,
    /// It rises, and beyond some count no more than the margin is to be gained.
    Plateau,
    /// It rises; whether it levels off within the draws is not shown.
    Rises,
    /// It rises, and is still rising at the most samples.
    StillRising,
    /// It falls from the first sample on.
    Falls,
    /// No count is better than one sample by more than the margin.
    Flat,
    /// None of these is shown with these examples.
    NotShown,
}

impl CurveShape {
    /// The shape in words.
    pub fn words(self) -> &'static str {
        match self {
            CurveShape::PeakAndFall => "rises, then falls",
            CurveShape::Plateau => "rises to a plateau",
            CurveShape::Rises => "rises; levelling off is not shown",
            CurveShape::StillRising => "still rising at the end",
            CurveShape::Falls => "falls",
            CurveShape::Flat => "flat",
            CurveShape::NotShown => "nothing shown",
        }
    }
}

/// Whether an insight holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is shown to hold.
    Holds,
    /// A part of it is shown.
    Partly,
    /// It is shown not to hold.
    Fails,
    /// Neither is shown with this many examples.
    NotShown,
    /// It says nothing of this pipeline.
    NotAsked,
}

impl Answer {
    /// The answer in words.
    pub fn words(self) -> &'static str {
        match self {
            Answer::Holds => "holds",
            Answer::Partly => "holds in part",
            Answer::Fails => "does not hold",
            Answer::NotShown => "not shown with this many examples",
            Answer::NotAsked => "cannot be asked of this pipeline",
        }
    }
}

/// One of the paper's insights and what the pilot says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// 1, 2 or 3.
    pub number: u8,
    /// What the paper says.
    pub claim: String,
    /// Whether it holds here.
    pub answer: Answer,
    /// Why, in sentences, the answer's reason first.
    pub words: Vec<String>,
    /// The tests behind it.
    pub tests: Vec<PilotTest>,
    /// How far peaks move with upstream quality; of insight 3 only.
    #[serde(default)]
    pub moves: Vec<PeakMove>,
}

/// A paired test over examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotTest {
    /// Tests of one family share the correction for their number.
    pub family: String,
    /// What is compared, in words.
    pub what: String,
    /// The difference of scores, with its own 95% interval. Where the test looks at several counts, at the one that stands
    /// out most, so the mean flatters.
    pub difference: Estimate,
    /// The p-value by itself.
    pub p: f64,
    /// The p-value after Holm's correction within the family.
    pub adjusted: f64,
    /// Whether `adjusted` is at most 0.05.
    pub shown: bool,
    /// About how many examples would show a difference as large as the measured one, or as the margin if that is larger,
    /// four times in five; absent where it is shown already.
    pub needed: Option<u32>,
}

/// How far a curve's peak moves between two settings upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakMove {
    /// The later stage.
    pub stage: String,
    /// The curve's model, temperature and aggregator in words.
    pub curve: String,
    /// From this level ...
    pub from: Level,
    /// ... to this one.
    pub to: Level,
    /// The peaks under both.
    pub peaks: [Peak; 2],
    /// How many times the samples at the peak double on the way; negative where they halve. 95% bootstrap interval over
    /// examples.
    pub doublings: Credible,
}
