//! From what was measured to what is said of it.

use agenttts_core::{
    CostModel, CurveShape, Estimate, Level, PILOT_VERSION, Pilot, PilotCurve, PilotPoint, PilotStage, PilotTest,
    Upstream, Usage,
};

use super::measure::Table;
use super::peak::peak;
use super::run::{SettingData, StageData};
use super::{first, interval, second, third};
use crate::load::Loaded;
use crate::workshop::ModelSet;

/// What all insights are judged with.
pub(super) struct Of<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) cost_model: CostModel,
    /// The smallest difference that is worth knowing.
    pub(super) margin: f64,
    pub(super) seed: u64,
}

/// What is known of the pilot besides its measurements.
pub(super) struct Frame<'a> {
    pub(super) models: &'a ModelSet,
    pub(super) examples: u32,
    pub(super) drawn: Usage,
    pub(super) stopped: Option<String>,
}

/// The pilot of these measurements.
pub(super) fn pilot(of: &Of<'_>, frame: Frame<'_>, measured: &[StageData]) -> Pilot {
    let judged: Vec<(usize, &SettingData)> = measured.iter().filter_map(|d| Some((d.stage, reference(d)?))).collect();
    let one = first::insight(of, &judged);
    let (two, shapes) = second::insight(of, &judged);
    let three = third::insight(of, measured);
    let notes = notes(of, &frame, measured);
    Pilot {
        version: PILOT_VERSION,
        pipeline: of.loaded.pipeline.name.clone(),
        description: of.loaded.pipeline.description.clone(),
        program: env!("CARGO_PKG_VERSION").into(),
        models: frame.models.identities(),
        from_tape: frame.models.is_recorded(),
        seed: of.loaded.pipeline.search.seed,
        cost_model: of.cost_model,
        examples: frame.examples,
        margin: of.margin,
        stages: stages(of, measured, &shapes),
        insights: vec![one, two, three],
        drawn: frame.drawn,
        stopped: frame.stopped,
        notes,
    }
}

/// The setting that a stage is judged under for the first two insights: with the best choice upstream.
fn reference(data: &StageData) -> Option<&SettingData> {
    data.settings.iter().find(|s| matches!(s.level, Level::Example | Level::Best))
}

fn stages(of: &Of<'_>, measured: &[StageData], shapes: &[(usize, usize, CurveShape)]) -> Vec<PilotStage> {
    let stage = |(index, spec): (usize, &agenttts_core::StageSpec)| {
        let priced = &of.loaded.space.stages()[index];
        let data = measured.iter().find(|d| d.stage == index);
        let settings = data.map_or(&[][..], |d| &d.settings);
        let shape = |setting: &SettingData, table: usize| {
            let judged = matches!(setting.level, Level::Example | Level::Best);
            shapes.iter().find(|(s, t, _)| judged && *s == index && *t == table).map(|(.., shape)| *shape)
        };
        let of_setting = |(place, setting): (usize, &SettingData)| -> Vec<PilotCurve> {
            let tables = setting.tables.iter().enumerate();
            tables.map(|(t, table)| curve(table, place as u32, of.seed, shape(setting, t))).collect()
        };
        PilotStage {
            name: spec.name.clone(),
            metric: spec.metric.as_ref().map(|m| m.kind.name().to_owned()),
            models: priced.by_size.iter().map(|&m| priced.model_name(m).to_owned()).collect(),
            draws: data.map_or(0, |d| d.draws),
            settings: settings
                .iter()
                .map(|s| Upstream {
                    level: s.level,
                    stages: s.upstream.clone(),
                    examples: s.examples.len() as u32,
                    failures: s.failures,
                })
                .collect(),
            curves: settings.iter().enumerate().flat_map(of_setting).collect(),
        }
    };
    of.loaded.pipeline.stages.iter().enumerate().map(stage).collect()
}

fn curve(table: &Table, setting: u32, seed: u64, shape: Option<CurveShape>) -> PilotCurve {
    let point = |n: usize| PilotPoint {
        samples: table.counts[n],
        score: interval::of_scores(&table.scores[n]),
        cost: Estimate::of_values(&table.costs[n]),
        subsets: table.subsets[n].0,
        exact: table.subsets[n].1,
    };
    PilotCurve {
        setting,
        model: table.model.clone(),
        temperature: table.temperature,
        aggregator: table.aggregator,
        points: (0..table.counts.len()).map(point).collect(),
        peak: if table.counts.len() > 1 { peak(&table.counts, &table.scores, seed) } else { None },
        shape,
    }
}

fn notes(of: &Of<'_>, frame: &Frame<'_>, measured: &[StageData]) -> Vec<String> {
    let mut notes = Vec::new();
    for spec in of.loaded.pipeline.stages.iter().filter(|s| s.metric.is_none()) {
        notes.push(format!(
            "Stage {} has no metric, so it has no curves; it passes on what its largest model says once.",
            spec.name
        ));
    }
    for data in measured {
        let name = &of.loaded.pipeline.stages[data.stage].name;
        for setting in &data.settings {
            let n = setting.examples.len();
            let name = match setting.level {
                Level::Example => name.clone(),
                level => format!("{name}, {} upstream", level.name()),
            };
            if (n as u32) < frame.examples {
                notes.push(format!(
                    "{name}: {n} of {} examples; the others were not drawn, have no gold output, or are not on the tape.",
                    frame.examples
                ));
            }
            if setting.failures > 0 {
                notes.push(format!("{name}: {} of {n} examples failed somewhere and score 0 there.", setting.failures));
            }
        }
        let first_only = |s: &SettingData| {
            s.tables.iter().any(|t| t.counts.len() > 1 && t.subsets.iter().any(|(n, exact)| *n == 1 && !exact))
        };
        if data.settings.iter().any(first_only) {
            notes.push(format!(
                "{name}: where combining or scoring takes a call, a count is measured on the first draws alone, without other subsets."
            ));
        }
    }
    notes
}

/// `+0.025 [-0.031, +0.080]`.
pub(super) fn signed(e: &Estimate) -> String {
    format!("{:+.3} [{:+.3}, {:+.3}]", e.mean, e.low, e.high)
}

/// The difference with its p-value, and how many examples would show it.
pub(super) fn decided(test: &PilotTest) -> String {
    let p = if test.adjusted < 0.001 { "p < 0.001".to_owned() } else { format!("p = {:.3}", test.adjusted) };
    match test.needed {
        Some(n) => format!("{}, {p}: not shown; about {n} examples would", signed(&test.difference)),
        None => format!("{}, {p}", signed(&test.difference)),
    }
}
