//! Each insight of the paper switched off alone, also where it does not hold.

use agenttts_core::{Estimate, Problems};

use super::results::{Belief, StudyCell, StudyLandscape};
use super::{Builder, Place, Row, Setting, Study, named};
use crate::simulate::SIMULATED;

/// The insights of the paper, by number.
pub(super) const INSIGHTS: [u8; 3] = [1, 2, 3];

/// The family of simulated landscapes in which all insights hold.
pub(super) const HOLDS: &str = "insights";

/// The family in which the insight does not hold.
pub(super) fn broken(insight: u8) -> String {
    format!("no-insight-{insight}")
}

impl Study {
    /// What methods find with all insights and with each left out alone. With simulated landscapes of the families
    /// `insights` and `no-insight-N` of the same seeds, it is also told whether an insight helps where it holds and hurts
    /// where it does not. `worlds` adds that many of each family, with the seeds from 1 on.
    ///
    /// # Errors
    /// What [`open`](crate::open) refuses, and nothing to study.
    pub fn insights(landscapes: &[String], worlds: u32) -> Result<Study, Problems> {
        let mut names = landscapes.to_vec();
        for family in std::iter::once(HOLDS.to_owned()).chain(INSIGHTS.map(broken)) {
            names.extend((1..=worlds).map(|seed| format!("{SIMULATED}{family}:{seed}")));
        }
        let without = |insight: &u8| Setting { label: format!("without {insight}"), without: Some(*insight) };
        let all = Setting { label: "all".into(), without: None };
        let settings = std::iter::once(all).chain(INSIGHTS.iter().map(without)).collect();
        let mut builder = Builder::new("insights", "Insights switched off", settings, 0);
        let count = builder.study.settings.len();
        for (name, source) in named(&names)? {
            // Settings differ in the methods, not in the landscape.
            let arena = builder.study.arenas.len();
            builder.study.arenas.push(source.arena()?);
            let place = |_| Place { arena, about: String::new() };
            builder.study.rows.push(Row { name, places: (0..count).map(place).collect() });
        }
        builder.done()
    }
}

/// Whether the method does something else when an insight is switched off.
pub(super) fn knows_insights(method: &str) -> bool {
    let name = method.split('@').next().unwrap_or(method);
    ["planner", "rules", "agent", "agent-faithful", "agent-released"].contains(&name)
}

/// For every method and insight: what believing it is worth in worlds where it holds and in the same worlds where it does
/// not. Empty without such worlds.
pub(super) fn beliefs(landscapes: &[StudyLandscape]) -> Vec<Belief> {
    let family =
        |name: &str| landscapes.iter().find(|l| l.worlds.is_some() && l.landscape == format!("{SIMULATED}{name}"));
    let Some(holds) = family(HOLDS) else { return Vec::new() };
    let mut beliefs = Vec::new();
    for insight in INSIGHTS {
        let Some(breaks) = family(&broken(insight)).filter(|b| b.seeds == holds.seeds) else { continue };
        let Some(first) = holds.settings.first() else { continue };
        for method in first.methods.iter().map(|m| &m.method) {
            if let (Some(here), Some(there)) = (worth(holds, method, insight), worth(breaks, method, insight)) {
                beliefs.push(Belief {
                    method: method.clone(),
                    insight,
                    holds: Estimate::of_values(&here),
                    broken: Estimate::of_values(&there),
                    difference: Estimate::of_values(&here.iter().zip(&there).map(|(a, b)| a - b).collect::<Vec<_>>()),
                });
            }
        }
    }
    beliefs
}

/// The ratio with all insights minus that without one, world by world.
fn worth(family: &StudyLandscape, method: &str, insight: u8) -> Option<Vec<f64>> {
    let cell = |setting: usize| -> Option<&StudyCell> {
        family.settings.get(setting)?.methods.iter().find(|m| m.method == method)
    };
    let (with, without) = (cell(0)?, cell(usize::from(insight))?);
    Some(with.ratios.iter().zip(&without.ratios).map(|(a, b)| a - b).collect())
}
