//! What is said of a study.

use agenttts_core::Estimate;
use serde::Serialize;

use crate::environment::Unit;
use crate::results::FaultNote;

/// The version of [`StudyResults`] as JSON.
pub const STUDY_RESULTS_VERSION: u32 = 1;

/// A study. All of it is the same on every machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyResults {
    /// [`STUDY_RESULTS_VERSION`].
    pub version: u32,
    /// `examples`, `budgets`, `insights` or `prices`.
    pub study: String,
    /// What is varied, in words.
    pub title: String,
    /// Seeds of every method, from 0.
    pub seeds: u32,
    /// The settings.
    pub settings: Vec<String>,
    /// The setting that the others are compared with.
    pub reference: String,
    /// The method that the others are compared with: the first that was named.
    pub first_method: String,
    /// One entry per landscape; simulated ones of one family are one entry.
    pub landscapes: Vec<StudyLandscape>,
    /// The mean over the single landscapes, where there are several.
    pub overall: Option<StudyLandscape>,
    /// What believing an insight is worth where it holds and where it does not.
    pub beliefs: Vec<Belief>,
    /// Landscapes that the study does not apply to.
    pub left_out: Vec<LeftOut>,
    /// Runs that a fault ended; their methods are missing under that setting.
    pub faults: Vec<FaultNote>,
}

/// A landscape, or a family of simulated ones, under all settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyLandscape {
    /// Its name; `sim:FAMILY` for a family.
    pub landscape: String,
    /// Landscapes of a family. Its values are means of a landscape's seeds, and `n` counts landscapes; else `n` counts
    /// seeds.
    pub worlds: Option<u32>,
    /// The seeds of a family's landscapes.
    pub seeds: Vec<String>,
    /// What is found under each setting, in their order.
    pub settings: Vec<StudySetting>,
}

/// What is found under one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudySetting {
    /// The setting.
    pub setting: String,
    /// What it is here, in words; may be empty.
    pub about: String,
    /// What the search budget counts; absent for a mean over several.
    pub unit: Option<Unit>,
    /// The search budget; absent for a mean over several.
    pub budget: Option<f64>,
    /// One entry per method.
    pub methods: Vec<StudyCell>,
}

/// What one method finds under one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyCell {
    /// The method.
    pub method: String,
    /// Examples of its trials; absent where it chose, or where they differ.
    pub examples: Option<u32>,
    /// True score of the recommended plan over the best within the plan budget, at the end.
    pub ratio: Estimate,
    /// (best - true) / (best - mean of the plans within the plan budget), at the end.
    pub normalised_regret: Estimate,
    /// Ratio minus the ratio under the reference setting, paired; absent for that setting itself.
    pub change: Option<Estimate>,
    /// Ratio minus the ratio of the first method under this setting, paired; absent for that method itself.
    pub lead: Option<Estimate>,
    /// The ratios behind the mean, in the order of the seeds or worlds.
    pub ratios: Vec<f64>,
    /// Likewise the normalised regrets.
    pub normalised_regrets: Vec<f64>,
}

/// What believing an insight is worth: the ratio with all insights minus the ratio without it, over simulated worlds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Belief {
    /// The method.
    pub method: String,
    /// The insight's number.
    pub insight: u8,
    /// In worlds where all insights hold.
    pub holds: Estimate,
    /// In the same worlds, but that this insight does not hold.
    pub broken: Estimate,
    /// The first minus the second, paired by world.
    pub difference: Estimate,
}

/// A landscape that the study does not apply to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The landscape.
    pub landscape: String,
    /// Why.
    pub reason: String,
}
