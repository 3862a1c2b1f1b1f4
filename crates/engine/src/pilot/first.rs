//! Insight 1: which model a stage prefers at equal cost, and whether stages differ in that.

use agenttts_core::{Answer, CostModel, Insight, PilotTest};

use super::hypothesis::{Hypothesis, family, mean, minus};
use super::measure::Table;
use super::permutation::differs;
use super::report::{Of, decided, signed};
use super::run::SettingData;

const CLAIM: &str =
    "Stages prefer different models: one gains from a larger model, another from more samples of a smaller one.";

const FAMILY: &str = "models at equal cost";

/// Two models of one stage at the cost of one sample (or of the fewest permitted) of the larger.
struct Duel<'a> {
    stage: &'a str,
    small: (&'a Table, usize),
    large: (&'a Table, usize),
    /// Whether the smaller model has no more draws, though the cost allows for more.
    capped: bool,
    /// Whether these are the stage's smallest and largest models.
    extreme: bool,
    examples: &'a [usize],
    differences: Vec<f64>,
}

/// The insight on these stages, each with the setting that it is judged under.
pub(super) fn insight(of: &Of<'_>, stages: &[(usize, &SettingData)]) -> Insight {
    let mut duels: Vec<Duel<'_>> = Vec::new();
    for &(stage, data) in stages {
        duels.extend(of_stage(of, stage, data));
    }
    let mut all: Vec<Hypothesis> = duels.iter().enumerate().map(|(i, d)| d.hypothesis(of.seed ^ i as u64)).collect();
    let extremes: Vec<usize> = (0..duels.len()).filter(|&i| duels[i].extreme).collect();
    for (place, &i) in extremes.iter().enumerate() {
        for &j in &extremes[place + 1..] {
            all.extend(interaction(&duels[i], &duels[j], of.seed ^ (i * 64 + j) as u64));
        }
    }
    let tests = family(FAMILY, &all, of.margin);
    let (first, between) = tests.split_at(duels.len());
    let preferences: Vec<(usize, Option<bool>)> =
        extremes.iter().map(|&i| (i, first[i].shown.then_some(first[i].difference.mean > 0.0))).collect();
    let larger = || preferences.iter().filter(|(_, p)| *p == Some(true));
    let smaller = || preferences.iter().filter(|(_, p)| *p == Some(false));
    let (answer, reason) = if preferences.len() < 2 {
        (Answer::NotAsked, "It takes two stages that have a metric and two models each.".to_owned())
    } else if larger().next().is_some() && smaller().next().is_some() {
        let names = |of: &mut dyn Iterator<Item = &(usize, Option<bool>)>| {
            of.map(|(i, _)| duels[*i].stage).collect::<Vec<_>>().join(", ")
        };
        let (l, s) = (names(&mut larger()), names(&mut smaller()));
        (
            Answer::Holds,
            format!("At equal cost a larger model is better in {l}, and more samples of a smaller one in {s}."),
        )
    } else if larger().count() == preferences.len() || smaller().count() == preferences.len() {
        let which = if larger().count() > 0 { "the larger model" } else { "more samples of the smaller model" };
        (Answer::Fails, format!("Every stage is better with {which} at equal cost."))
    } else if let Some(test) = between.iter().find(|t| t.shown) {
        let size = signed(&test.difference);
        let reason = format!(
            "What the larger model is worth at equal cost differs between stages ({}: {size}), but no two stages are shown to prefer opposite models.",
            test.what
        );
        (Answer::Partly, reason)
    } else {
        (Answer::NotShown, "Neither opposite preferences nor a difference in what size is worth is shown.".to_owned())
    };
    let mut words = vec![reason];
    words.extend(duels.iter().zip(first).map(|(duel, test)| duel.words(of.cost_model, test)));
    Insight { number: 1, claim: CLAIM.into(), answer, words, tests, moves: Vec::new() }
}

/// All pairs of the stage's models, at the stage's default temperature and aggregator.
fn of_stage<'a>(of: &Of<'a>, stage: usize, data: &'a SettingData) -> Vec<Duel<'a>> {
    let spec = &of.loaded.pipeline.stages[stage];
    let usual = spec.temperatures.iter().find(|t| !t.is_greedy()).or(spec.temperatures.first());
    let tables: Vec<&Table> = data
        .tables
        .iter()
        .filter(|t| Some(&t.temperature) == usual && Some(&t.aggregator) == spec.aggregators.first())
        .collect();
    let mut duels = Vec::new();
    for (j, large) in tables.iter().enumerate() {
        for (i, small) in tables[..j].iter().enumerate() {
            let limit = mean(&large.costs[0]) * (1.0 + 1e-9);
            let n = (0..small.counts.len()).rev().find(|&n| mean(&small.costs[n]) <= limit).unwrap_or(0);
            let last = n + 1 == small.counts.len();
            duels.push(Duel {
                stage: &spec.name,
                small: (small, n),
                large: (large, 0),
                capped: last && mean(&small.costs[n]) < 0.8 * limit,
                extreme: i == 0 && j + 1 == tables.len(),
                examples: &data.examples,
                differences: minus(&large.scores[0], &small.scores[n]),
            });
        }
    }
    duels
}

/// Whether what size is worth differs between two stages, over the examples that both were measured on.
fn interaction(a: &Duel<'_>, b: &Duel<'_>, seed: u64) -> Option<Hypothesis> {
    let of = |duel: &Duel<'_>, e: usize| Some(duel.differences[duel.examples.iter().position(|x| *x == e)?]);
    let differences: Vec<f64> = a.examples.iter().filter_map(|&e| Some(of(a, e)? - of(b, e)?)).collect();
    (!differences.is_empty()).then(|| Hypothesis {
        what: format!("{} minus {}", a.stage, b.stage),
        p: differs(&differences, seed),
        differences,
        reach: 2.0,
        sides: 2.0,
    })
}

impl Duel<'_> {
    fn hypothesis(&self, seed: u64) -> Hypothesis {
        let ((small, n), (large, m)) = (self.small, self.large);
        Hypothesis {
            what: format!(
                "{}: {} x{} minus {} x{}",
                self.stage, large.model, large.counts[m], small.model, small.counts[n]
            ),
            p: differs(&self.differences, seed),
            differences: self.differences.clone(),
            reach: 1.0,
            sides: 2.0,
        }
    }

    fn words(&self, cost_model: CostModel, test: &PilotTest) -> String {
        let ((small, n), (large, m)) = (self.small, self.large);
        let cost = |table: &Table, n: usize| {
            let units = mean(&table.costs[n]);
            cost_model.amount(units).map_or_else(String::new, |c| cost_model.display(c))
        };
        let verdict = match (test.shown, test.difference.mean > 0.0) {
            (true, true) => "the larger model is better",
            (true, false) => "the smaller model is better",
            (false, _) => "no difference is shown",
        };
        let capped = if self.capped { " (the most that were drawn; the cost allows for more)" } else { "" };
        let size = large.scores[m].iter().zip(&small.scores[0]).map(|(l, s)| l - s).collect::<Vec<_>>();
        let last = small.counts.len() - 1;
        let more = if last > 0 {
            format!(
                " With {} sample{} each the larger scores {:+.3} more; going to {} samples the smaller gains {:+.3}.",
                large.counts[m],
                if large.counts[m] == 1 { "" } else { "s" },
                mean(&size),
                small.counts[last],
                mean(&small.scores[last]) - mean(&small.scores[0])
            )
        } else {
            String::new()
        };
        format!(
            "{}: {} x{} ({}) scores {:.3}, {} x{}{capped} ({}) {:.3}: {verdict} ({}).{more}",
            self.stage,
            large.model,
            large.counts[m],
            cost(large, m),
            mean(&large.scores[m]),
            small.model,
            small.counts[n],
            cost(small, n),
            mean(&small.scores[n]),
            decided(test)
        )
    }
}
