//! What is said of a comparison: per landscape and method, with intervals over the seeds, and over all landscapes.

use agenttts_core::Estimate;
use serde::Serialize;

use crate::contestant::Contestant;
use crate::environment::{Arena, Unit};
use crate::harness::Run;
use crate::tournament::{Options, Series, budget};

/// The version of [`Results`] as JSON.
pub const RESULTS_VERSION: u32 = 1;

/// Places of a regret curve.
const CURVE_POINTS: usize = 100;

/// A comparison. Everything but `times` is the same on every machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// [`RESULTS_VERSION`].
    pub version: u32,
    /// Seeds of every method, from 0.
    pub seeds: u32,
    /// One entry per run and checkpoint.
    pub runs: Vec<RunPoint>,
    /// One entry per landscape.
    pub summary: Vec<LandscapeSummary>,
    /// Over all landscapes, one entry per method that ran on all of them.
    pub overall: Vec<Overall>,
    /// Runs that a fault ended; their methods are missing from the landscape's summary.
    pub faults: Vec<FaultNote>,
    /// Time spent within the methods.
    pub times: Vec<Time>,
}

/// A recommendation of one run, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunPoint {
    /// The landscape.
    pub landscape: String,
    /// The method.
    pub method: String,
    /// The seed.
    pub seed: u32,
    /// The checkpoint, in the landscape's unit.
    pub evaluations: f64,
    /// True score over the best feasible one.
    pub ratio: f64,
    /// (best - true) / (best - mean of the feasible plans).
    pub normalised_regret: f64,
}

/// What is said of one landscape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandscapeSummary {
    /// Its name.
    pub landscape: String,
    /// What budgets count here.
    pub unit: Unit,
    /// The search budget.
    pub budget: f64,
    /// Plans, whatever they cost.
    pub plans: u64,
    /// Plans within the plan budget.
    pub feasible: u64,
    /// The outside method that is best at the end, by its mean ratio.
    pub best_outside: Option<String>,
    /// The mean outcome of the plan that is best on the search examples, on those that no trial uses; over these examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_on_test: Option<Estimate>,
    /// One entry per method.
    pub methods: Vec<MethodSummary>,
}

impl LandscapeSummary {
    /// The head of a column of differences: to the best outside method, `-` where none ran.
    pub fn against(&self) -> String {
        self.best_outside.as_ref().map_or_else(|| "-".to_owned(), |m| format!("vs {m}"))
    }
}

/// What is said of one method in one landscape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodSummary {
    /// Its name.
    pub method: String,
    /// Whether it belongs to the field.
    pub outside: bool,
    /// Examples of its trials; `None` where it chose.
    pub examples: Option<u32>,
    /// For a method that ran with several numbers of examples, the mean ratio at the end with each.
    pub tried_examples: Vec<(u32, f64)>,
    /// At every checkpoint, over the seeds.
    pub points: Vec<PointSummary>,
    /// The share of seeds whose recommendation comes to stay at or above 98% of the best.
    pub arrived: f64,
    /// What was spent until then: the median over all seeds, `None` where fewer than half arrive.
    pub arrived_at: Option<f64>,
    /// Trials until then: the median over all seeds, `None` where fewer than half arrive.
    pub arrived_after: Option<f64>,
    /// The mean outcome of the recommended plans on examples that no trial uses, where there are any: the seeds' mean on
    /// each example, over the examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Estimate>,
    /// That minus `best_outside`'s, paired by example; `None` for that method itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_difference: Option<Estimate>,
    /// Ratio at the end minus that of `best_outside`, paired by seed; `None` for that method itself.
    pub difference: Option<Estimate>,
    /// Mean number of trials.
    pub trials: f64,
    /// Mean number of examples evaluated by them: on landscapes what was spent, on tapes beside the tokens.
    pub evaluated: f64,
    /// Mean number of proposals that were refused.
    pub refused: f64,
    /// 1 - ratio against what was spent, over the seeds.
    pub curve: Vec<CurvePoint>,
    /// The ratio at the end of every seed.
    pub last: Vec<f64>,
}

/// A checkpoint over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PointSummary {
    /// The checkpoint.
    pub evaluations: f64,
    /// The mean ratio.
    pub ratio: Estimate,
    /// The mean normalised regret.
    pub normalised_regret: Estimate,
}

/// A place of a regret curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// What was spent.
    pub evaluations: f64,
    /// Mean of 1 - ratio.
    pub regret: f64,
    /// Ends of its 95% interval, within 0 to 1; absent with one seed.
    pub interval: Option<(f64, f64)>,
}

/// A method over all landscapes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// The method.
    pub method: String,
    /// Whether it belongs to the field.
    pub outside: bool,
    /// The mean over landscapes at every checkpoint that they share, and at the end; over seeds.
    pub points: Vec<OverallPoint>,
    /// Landscapes on which it is significantly better than the best outside method there, and worse.
    pub better_worse: (u32, u32),
}

/// A checkpoint over landscapes and seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OverallPoint {
    /// The checkpoint; `None` for the end where budgets differ.
    pub evaluations: Option<f64>,
    /// The mean ratio: the landscapes' mean within each seed, over the seeds.
    pub ratio: Estimate,
    /// The mean normalised regret.
    pub normalised_regret: Estimate,
}

/// A run that a fault ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultNote {
    /// The landscape.
    pub landscape: String,
    /// The method.
    pub method: String,
    /// The first seed that it happened with.
    pub seed: u32,
    /// With how many seeds.
    pub runs: u32,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Time spent within a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Time {
    /// The landscape.
    pub landscape: String,
    /// The method.
    pub method: String,
    /// Mean seconds of a run.
    pub seconds: f64,
}

impl Results {
    /// Sums up all runs of a comparison.
    pub fn new(arenas: &[Arena], contestants: &[Box<dyn Contestant>], options: &Options, series: &[Series]) -> Results {
        let mut results = Results {
            version: RESULTS_VERSION,
            seeds: options.seeds,
            runs: Vec::new(),
            summary: Vec::new(),
            overall: Vec::new(),
            faults: Vec::new(),
            times: Vec::new(),
        };
        for (a, arena) in arenas.iter().enumerate() {
            let mut chosen: Vec<&Series> = Vec::new();
            let mut methods: Vec<MethodSummary> = Vec::new();
            for (c, contestant) in contestants.iter().enumerate() {
                let mine: Vec<&Series> = series.iter().filter(|s| s.arena == a && s.contestant == c).collect();
                if let Some(note) = fault(arena, contestant.as_ref(), &mine) {
                    results.faults.push(note);
                    continue;
                }
                // Of equals the first, which has the shortest trials.
                let Some(best) = mine.iter().copied().reduce(|a, b| if mean_last(b) > mean_last(a) { b } else { a })
                else {
                    continue;
                };
                let tried = match mine.len() {
                    0 | 1 => Vec::new(),
                    _ => mine.iter().filter_map(|s| Some((s.examples?, mean_last(s)))).collect(),
                };
                methods.push(method_summary(contestant.as_ref(), best, tried, budget(arena, options)));
                chosen.push(best);
            }
            let best_outside = methods
                .iter()
                .enumerate()
                .filter(|(_, m)| m.outside)
                .reduce(|a, b| if mean(&b.1.last) > mean(&a.1.last) { b } else { a })
                .map(|(at, m)| (at, m.method.clone(), m.last.clone()));
            let tested: Vec<Vec<f64>> = chosen.iter().map(|series| test_by_example(series)).collect();
            for (i, (method, mine)) in methods.iter_mut().zip(&tested).enumerate() {
                let rival = best_outside.as_ref().filter(|(at, ..)| *at != i);
                method.test = (!mine.is_empty()).then(|| Estimate::of_scores(mine));
                let theirs = rival.map(|(at, ..)| &tested[*at]).filter(|theirs| !theirs.is_empty());
                method.test_difference = theirs.and_then(|theirs| Estimate::of_paired_difference(mine, theirs));
                method.difference = rival.map(|(_, _, theirs)| {
                    let differences: Vec<f64> = method.last.iter().zip(theirs).map(|(a, b)| a - b).collect();
                    Estimate::of_values(&differences)
                });
            }
            for (series, method) in chosen.iter().zip(&methods) {
                results.add_runs(arena, series, method);
            }
            let space = arena.environment.space();
            results.summary.push(LandscapeSummary {
                landscape: arena.name.clone(),
                unit: arena.environment.unit(),
                budget: budget(arena, options),
                plans: space.size() as u64,
                feasible: space.feasible() as u64,
                best_outside: best_outside.map(|(_, name, _)| name),
                best_on_test: arena.truth.best_plan().and_then(|p| arena.truth.test(p)).map(Estimate::of_scores),
                methods,
            });
        }
        results.overall = overall(&results);
        results
    }

    fn add_runs(&mut self, arena: &Arena, series: &Series, method: &MethodSummary) {
        for (seed, run) in series.runs.iter().enumerate() {
            self.runs.extend(run.points.iter().map(|p| RunPoint {
                landscape: arena.name.clone(),
                method: method.method.clone(),
                seed: seed as u32,
                evaluations: p.evaluations,
                ratio: p.ratio,
                normalised_regret: p.normalised_regret,
            }));
        }
        let seconds = mean(&series.runs.iter().map(|r| r.seconds).collect::<Vec<_>>());
        self.times.push(Time { landscape: arena.name.clone(), method: method.method.clone(), seconds });
    }

    /// The time note of a method in a landscape.
    pub fn seconds(&self, landscape: &str, method: &str) -> Option<f64> {
        self.times.iter().find(|t| t.landscape == landscape && t.method == method).map(|t| t.seconds)
    }
}

pub(crate) fn fault(arena: &Arena, contestant: &dyn Contestant, series: &[&Series]) -> Option<FaultNote> {
    let runs = series.iter().flat_map(|s| s.runs.iter().enumerate());
    let mut faults = runs.filter_map(|(seed, run)| Some((seed, run.fault.as_ref()?)));
    let (seed, first) = faults.next()?;
    Some(FaultNote {
        landscape: arena.name.clone(),
        method: contestant.name().to_owned(),
        seed: seed as u32,
        runs: 1 + faults.count() as u32,
        message: first.message.clone(),
        hint: first.hint.clone(),
    })
}

fn method_summary(
    contestant: &dyn Contestant,
    series: &Series,
    tried_examples: Vec<(u32, f64)>,
    budget: f64,
) -> MethodSummary {
    let runs = &series.runs;
    let checkpoints = runs.first().map_or(0, |r| r.points.len());
    let points = (0..checkpoints).filter_map(|i| {
        let at: Vec<_> = runs.iter().filter_map(|r| r.points.get(i)).collect();
        Some(PointSummary {
            evaluations: at.first()?.evaluations,
            ratio: estimate(at.iter().map(|p| p.ratio)),
            normalised_regret: estimate(at.iter().map(|p| p.normalised_regret)),
        })
    });
    let arrived: Vec<f64> = runs.iter().filter_map(|r| r.arrived).collect();
    let after = runs.iter().filter_map(|r| r.arrived_after).map(f64::from).collect();
    MethodSummary {
        method: contestant.name().to_owned(),
        outside: contestant.is_outside(),
        examples: series.examples,
        tried_examples,
        points: points.collect(),
        arrived: arrived.len() as f64 / runs.len().max(1) as f64,
        arrived_at: median_with_missing(arrived, runs.len()),
        arrived_after: median_with_missing(after, runs.len()),
        test: None,
        test_difference: None,
        difference: None,
        trials: mean(&runs.iter().map(|r| f64::from(r.trials)).collect::<Vec<_>>()),
        evaluated: mean(&runs.iter().map(|r| r.evaluated as f64).collect::<Vec<_>>()),
        refused: mean(&runs.iter().map(|r| f64::from(r.refused)).collect::<Vec<_>>()),
        curve: curve(runs, budget),
        last: runs.iter().map(last_ratio).collect(),
    }
}

/// On each example that no trial uses, the mean over the seeds of the recommended plan's outcome.
fn test_by_example(series: &Series) -> Vec<f64> {
    let examples = series.runs.iter().map(|r| r.test.len()).min().unwrap_or(0);
    (0..examples).map(|e| mean(&series.runs.iter().map(|r| r.test[e]).collect::<Vec<_>>())).collect()
}

/// The median of `n` values of which only these are finite; `None` where it is not.
fn median_with_missing(mut values: Vec<f64>, n: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let high = values.get(n / 2).copied()?;
    if n % 2 == 1 {
        return Some(high);
    }
    values.get((n / 2).checked_sub(1)?).map(|low| (low + high) / 2.0)
}

fn curve(runs: &[Run], budget: f64) -> Vec<CurvePoint> {
    (0..=CURVE_POINTS)
        .map(|i| {
            let evaluations = budget * i as f64 / CURVE_POINTS as f64;
            let at = |run: &Run| {
                let known = run.path.iter().take_while(|p| p.0 <= evaluations + 1e-9).last();
                1.0 - known.map_or(0.0, |p| p.1)
            };
            let all = estimate(runs.iter().map(at));
            let interval = (all.low.is_finite() && all.high.is_finite()).then(|| (all.low.max(0.0), all.high.min(1.0)));
            CurvePoint { evaluations, regret: all.mean, interval }
        })
        .collect()
}

fn overall(results: &Results) -> Vec<Overall> {
    let Some(first) = results.summary.first() else { return Vec::new() };
    let checkpoints = |l: &LandscapeSummary| -> Vec<f64> {
        l.methods.first().map_or(Vec::new(), |m| m.points.iter().map(|p| p.evaluations).collect())
    };
    let shared = results.summary.iter().all(|l| l.unit == first.unit && checkpoints(l) == checkpoints(first));
    let places: Vec<Option<f64>> = if shared { checkpoints(first).into_iter().map(Some).collect() } else { vec![None] };
    let methods = first.methods.iter().filter_map(|m| {
        let everywhere: Option<Vec<&MethodSummary>> =
            results.summary.iter().map(|l| l.methods.iter().find(|o| o.method == m.method)).collect();
        let everywhere = everywhere?;
        let mine: Vec<&RunPoint> = results.runs.iter().filter(|r| r.method == m.method).collect();
        let points = places.iter().map(|&place| {
            let mean_of = |what: &dyn Fn(&RunPoint) -> f64| {
                estimate((0..results.seeds).map(|seed| {
                    let values: Vec<f64> = results
                        .summary
                        .iter()
                        .filter_map(|l| {
                            let at = place.unwrap_or(l.budget);
                            let is =
                                |r: &&&RunPoint| r.landscape == l.landscape && r.seed == seed && r.evaluations == at;
                            mine.iter().find(is).map(|r| what(r))
                        })
                        .collect();
                    mean(&values)
                }))
            };
            OverallPoint {
                evaluations: place,
                ratio: mean_of(&|r| r.ratio),
                normalised_regret: mean_of(&|r| r.normalised_regret),
            }
        });
        let significant = |sign: f64| {
            let differences = everywhere.iter().filter_map(|m| m.difference);
            differences.filter(|d| d.excludes_zero() && d.mean * sign > 0.0).count() as u32
        };
        Some(Overall {
            method: m.method.clone(),
            outside: m.outside,
            points: points.collect(),
            better_worse: (significant(1.0), significant(-1.0)),
        })
    });
    methods.collect()
}

fn last_ratio(run: &Run) -> f64 {
    run.points.last().map_or(0.0, |p| p.ratio)
}

/// The mean over the seeds of the ratio at the end.
pub(crate) fn mean_last(series: &Series) -> f64 {
    mean(&series.runs.iter().map(last_ratio).collect::<Vec<_>>())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn estimate(values: impl Iterator<Item = f64>) -> Estimate {
    Estimate::of_values(&values.collect::<Vec<_>>())
}
