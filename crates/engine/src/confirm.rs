//! The end of a study: the recommended plan, the baselines and the plans that came nearest on the untouched test split, on
//! fresh draws.

use agenttts_core::{
    Cheaper, Comparison, Confirmation, Confirmed, CostModel, Estimate, Example, Finding, Judged, NotWorse, Plan, Space,
    Temperature, holm,
};
use agenttts_models::ModelErrorKind;

use crate::error::EngineError;
use crate::event::{Event, Limit, Observers};
use crate::execute::Executor;
use crate::quarantine::Quarantine;
use crate::rivals::{Rival, Rivals};
use crate::source::{Halt, Source};
use crate::streams::{Purpose, stream};
use crate::trial::{PlanRun, With, run_plan};
use crate::verdict::judged;

/// What a confirmation needs.
pub(crate) struct Confirm<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) source: &'a dyn Source,
    pub(crate) seed: u32,
    pub(crate) width: usize,
    /// Search examples that are left out.
    pub(crate) quarantine: Option<&'a Quarantine>,
    pub(crate) observers: &'a Observers,
    pub(crate) progress: &'a (dyn Fn(u32, u32) + Send + Sync),
}

/// The label of the recommended plan in a confirmation.
pub(crate) const RECOMMENDED: &str = "recommended";

/// The label of the plan that the search would have taken next, and of the cheapest one that is hardly worse.
const RUNNER_UP: &str = "runner-up";
const CHEAPER: &str = "cheaper";

/// The plans of a final test, chosen by the search alone: the recommended one, the baselines "largest model once" and "smallest
/// model once", and the rivals.
pub(crate) struct Lineup {
    recommended: Plan,
    /// The most important first: where a limit leaves no room for all, the last are left out.
    others: Vec<(&'static str, Other)>,
    /// Whether the runner-up, too, is to be tested for being cheaper and not worse.
    runner_up_is_cheaper: bool,
}

enum Other {
    /// Taken at the better, on the search split, of the pipeline's temperatures and greedy decoding: that is settled when its turn
    /// comes, so that a limit leaves the recommended plan its test, and without a look at any test score.
    Baseline(Plan),
    Rival(Rival),
}

impl Lineup {
    pub(crate) fn new(space: &Space, recommended: Plan, rivals: Rivals) -> Self {
        let Rivals { runner_up, cheaper, runner_up_is_cheaper } = rivals;
        // One row is enough for a plan that is both.
        let cheaper = cheaper.filter(|c| runner_up.as_ref().is_none_or(|r| r.plan != c.plan));
        let mut others = vec![
            ("largest once", Other::Baseline(space.largest_once())),
            ("smallest once", Other::Baseline(space.smallest_once())),
        ];
        others.extend(runner_up.map(|rival| (RUNNER_UP, Other::Rival(rival))));
        others.extend(cheaper.map(|rival| (CHEAPER, Other::Rival(rival))));
        Lineup { recommended, others, runner_up_is_cheaper }
    }

    /// Leaves all but the first plans out.
    pub(crate) fn keep(&mut self, plans: usize) {
        self.others.truncate(plans.saturating_sub(1));
    }
}

/// What a final test found.
pub(crate) struct Tested {
    pub(crate) confirmation: Confirmation,
    /// The limit that left plans out.
    pub(crate) limit: Option<Limit>,
}

impl Confirm<'_> {
    /// Measures the plans on the test split and compares them with the first.
    pub(crate) async fn test(&self, lineup: Lineup) -> Result<Tested, Halt> {
        let pipeline = self.executor.pipeline();
        let clusters = self.clusters();
        let clusters = clusters.as_deref();
        let mut confirmed = vec![self.entry(RECOMMENDED, lineup.recommended, &[], clusters).await?];
        let (mut untested, mut limit, mut missing) = (None, None, 0);
        let mut cheaper = Vec::new();
        let mut others = lineup.others.into_iter();
        while let Some((label, other)) = others.next() {
            let trial = match &other {
                Other::Baseline(_) => None,
                Other::Rival(rival) => Some(rival.trial),
            };
            let entry = match other {
                Other::Baseline(plan) => match self.better_temperature(plan).await {
                    Ok(plan) => self.entry(label, plan, &confirmed, clusters).await,
                    Err(halt) => Err(halt),
                },
                Other::Rival(rival) => self.entry(label, rival.plan, &confirmed, clusters).await,
            };
            match entry {
                Ok(entry) => {
                    if label == CHEAPER || lineup.runner_up_is_cheaper {
                        cheaper.extend(trial.map(|trial| (confirmed.len(), trial)));
                    }
                    confirmed.push(entry);
                }
                Err(halt) => {
                    let why;
                    (limit, why) = left_out(halt)?;
                    let labels: Vec<&str> = [label].into_iter().chain(others.map(|(label, _)| label)).collect();
                    missing = labels.len();
                    untested = Some(format!("not tested: {}, because {why}", labels.join(", ")));
                    break;
                }
            }
        }
        let by = Comparing { clusters, margin: pipeline.margin, cost_model: pipeline.cost_model };
        if let Some((winner, others)) = confirmed.split_first_mut() {
            by.compare(winner, others, missing);
        }
        let cheaper = by.cheaper(&mut confirmed, &cheaper);
        let examples = pipeline.test_split.examples.len() as u32;
        Ok(Tested { confirmation: Confirmation { examples, plans: confirmed, untested, cheaper }, limit })
    }

    /// A plan on the test split; one that was measured already under its new label.
    async fn entry(
        &self,
        label: &str,
        plan: Plan,
        before: &[Confirmed],
        clusters: Option<&[u64]>,
    ) -> Result<Confirmed, Halt> {
        if let Some(same) = before.iter().find(|c| c.plan == plan) {
            return Ok(Confirmed { label: label.into(), ..same.clone() });
        }
        self.observers.send(Event::Confirming { label: label.into(), plan: plan.clone() });
        let test = &self.executor.pipeline().test_split.examples;
        let measured = self.measure(&plan, test, Purpose::Confirmation).await?;
        let judged = judged(self.executor, &measured.executions);
        Ok(confirmed_plan(label, plan, measured, judged, clusters))
    }

    /// Which test examples share a source, where the pipeline says how that is seen.
    fn clusters(&self) -> Option<Vec<u64>> {
        let pipeline = self.executor.pipeline();
        pipeline.group.as_ref().map(|field| pipeline.test_split.clusters(field))
    }

    /// The plan at the pipeline's temperatures or greedy at every stage: whichever scores better on the search split.
    async fn better_temperature(&self, plan: Plan) -> Result<Plan, Halt> {
        let mut greedy = plan.clone();
        greedy.choices.iter_mut().for_each(|c| c.temperature = Temperature::GREEDY);
        if greedy == plan {
            return Ok(plan);
        }
        let search = &self.executor.pipeline().search_split.examples;
        let usual = self.measure(&plan, search, Purpose::Trial(0)).await?;
        let low = self.measure(&greedy, search, Purpose::Trial(0)).await?;
        let mean = |run: &PlanRun| run.measurement.objective.mean;
        Ok(if mean(&low) > mean(&usual) { greedy } else { plan })
    }

    async fn measure(&self, plan: &Plan, examples: &[Example], purpose: Purpose) -> Result<PlanRun, Halt> {
        let total = examples.len() as u32;
        let progress = |done| (self.progress)(done, total);
        progress(0);
        let stream = stream(self.seed, purpose);
        let (executor, source, width) = (self.executor, self.source, self.width);
        let quarantine = self.quarantine.filter(|_| purpose != Purpose::Confirmation);
        let with = With { executor, source, stream, width, quarantine };
        run_plan(with, plan, examples, None, &progress).await
    }
}

fn confirmed_plan(label: &str, plan: Plan, run: PlanRun, judged: Vec<Judged>, clusters: Option<&[u64]>) -> Confirmed {
    let measured = run.measurement;
    let by_source = clusters.and_then(|clusters| Estimate::of_clustered_scores(&measured.scores, clusters));
    Confirmed {
        label: label.into(),
        plan,
        objective: by_source.unwrap_or(measured.objective),
        stages: measured.stages,
        cost: measured.cost,
        failures: measured.failures,
        fitting: measured.fitting,
        scores: measured.scores,
        difference: None,
        p: None,
        not_worse_p: None,
        examples_needed: None,
        verdict: None,
        judged,
    }
}

/// Why a plan is left out, and the limit that it is left out for, where that is no reason to give up the test.
fn left_out(halt: Halt) -> Result<(Option<Limit>, String), Halt> {
    match halt {
        Halt::Limit { limit, detail } => {
            Ok((Some(limit), format!("the limit of {} is reached: {detail}", limit.name())))
        }
        // Tapes of older programs hold no draws of rivals.
        Halt::Fatal(EngineError::Model(error)) if error.kind == ModelErrorKind::NotOnTape => Ok((None, error.message)),
        halt => Err(halt),
    }
}

/// How plans are compared.
struct Comparing<'a> {
    clusters: Option<&'a [u64]>,
    margin: f64,
    cost_model: CostModel,
}

impl Comparing<'_> {
    /// Says how the winner compares with the others, paired by example and adjusted for their number, those included that a limit
    /// left out: what is said must not depend on what a test cost. A plan that stands there twice counts once.
    fn compare(&self, winner: &Confirmed, others: &mut [Confirmed], missing: usize) {
        let mut distinct: Vec<(Plan, Option<Comparison>)> = Vec::new();
        for other in others.iter().filter(|o| o.plan != winner.plan) {
            if !distinct.iter().any(|(plan, _)| plan == &other.plan) {
                let comparison = Comparison::paired(&winner.scores, &other.scores, self.clusters);
                distinct.push((other.plan.clone(), comparison));
            }
        }
        let mut p: Vec<f64> = distinct.iter().filter_map(|(_, c)| Some(c.as_ref()?.p)).collect();
        p.resize(p.len() + missing, 1.0);
        let mut adjusted = holm(&p).into_iter();
        let adjusted: Vec<f64> =
            distinct.iter().map(|(_, c)| if c.is_some() { adjusted.next().unwrap_or(1.0) } else { 1.0 }).collect();
        for other in others {
            let Some(place) = distinct.iter().position(|(plan, _)| plan == &other.plan) else {
                other.verdict = Some(format!("the same plan as {}", other.name()));
                continue;
            };
            let Some(comparison) = distinct[place].1 else { continue };
            other.difference = Some(comparison.difference);
            other.p = Some(adjusted[place]);
            other.examples_needed = comparison.examples_needed;
            let quality = quality(other.name(), &comparison, (adjusted[place], p.len() > 1), self.margin);
            other.verdict = Some(quality + &cost(winner, other, self.cost_model));
        }
    }

    /// Whether one of the plans in these places (with their trials), which the search took for cheaper and nearly as good,
    /// is not worse than the winner by the margin.
    fn cheaper(&self, confirmed: &mut [Confirmed], places: &[(usize, u32)]) -> Option<Cheaper> {
        let (winner, margin) = (confirmed.first()?.clone(), self.margin);
        let told: Vec<(usize, u32, NotWorse)> = places
            .iter()
            .filter_map(|&(place, trial)| {
                let other = confirmed.get(place)?;
                Some((place, trial, NotWorse::of(&other.scores, &winner.scores, self.clusters, margin)?))
            })
            .collect();
        let adjusted = holm(&told.iter().map(|(.., n)| n.p).collect::<Vec<_>>());
        let mut best: Option<(usize, u32, f64)> = None;
        for (&(place, trial, _), &p) in told.iter().zip(&adjusted) {
            confirmed[place].not_worse_p = Some(p);
            let cost = confirmed[place].cost.mean;
            // What was cheaper in the search may not be on these examples.
            let is_cheaper = cost < winner.cost.mean;
            if p < NotWorse::LEVEL && is_cheaper && best.is_none_or(|(known, ..)| cost < confirmed[known].cost.mean) {
                best = Some((place, trial, p));
            }
        }
        let needed = told.iter().filter_map(|(.., n)| n.examples_needed).min();
        let words = match best {
            Some((place, trial, p)) => {
                let other = &confirmed[place];
                let adjusted = if told.len() > 1 { " after Holm" } else { "" };
                format!(
                    "where cost counts, {} (trial {trial}) is recommended: it is not worse by {margin} or more ({}, \
                     one-sided{adjusted}){}",
                    other.name(),
                    p_words(p),
                    cost(other, &winner, self.cost_model),
                )
            }
            None if told.is_empty() => return None,
            None => {
                let examples = winner.scores.len();
                let why = match needed {
                    Some(n) if n > examples as u64 => format!(
                        "this test is too small to tell: if it were equally good, about {n} examples would show that it \
                         is not worse by {margin} or more"
                    ),
                    _ => format!("that it is worse by {margin} or more cannot be excluded"),
                };
                let who = if told.len() == 1 { confirmed[told[0].0].name() } else { "no cheaper plan" };
                let verb = if told.len() == 1 { "is not recommended" } else { "is recommended" };
                format!("{who} {verb}: {why}")
            }
        };
        Some(Cheaper {
            margin,
            plans: told.len() as u32,
            recommended: best.map(|(place, ..)| confirmed[place].plan.clone()),
            trial: best.map(|(_, trial, _)| trial),
            words,
        })
    }
}

fn p_words(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

fn quality(baseline: &str, comparison: &Comparison, (p, adjusted): (f64, bool), margin: f64) -> String {
    let difference = comparison.difference;
    let size = format!("{:+.3} [{:+.3}, {:+.3}]", difference.mean, difference.low, difference.high);
    let finding = comparison.finding(p, margin);
    let p = if adjusted { p_words(p) + " after Holm" } else { p_words(p) };
    let needed = |found: String| match comparison.examples_needed {
        Some(n) => format!("{found}; about {n} examples would tell a difference of this size"),
        None => found,
    };
    match finding {
        Finding::Better => format!("better than {baseline} by {size}, {p}"),
        Finding::Worse => format!("worse than {baseline} by {size}, {p}"),
        Finding::NotWorse => {
            format!("not distinguishable from {baseline} ({size}, {p}), and not worse by {margin} or more")
        }
        Finding::NotDistinguishable => needed(format!("not distinguishable from {baseline} ({size}, {p})")),
    }
}

fn cost(winner: &Confirmed, baseline: &Confirmed, cost_model: CostModel) -> String {
    match (winner.cost.mean, baseline.cost.mean) {
        (a, b) if a > 0.0 && b > 0.0 => format!(", at {:.2}x its cost", a / b),
        (a, b) => format!(", for {a:.2} against {b:.2} {}", cost_model.unit()),
    }
}

#[cfg(test)]
mod tests {
    use agenttts_core::Aggregator;

    use super::*;

    fn confirmed(label: &str, samples: u32, scores: &[f64], cost: f64) -> Confirmed {
        let choice = agenttts_core::Choice {
            model: "m".into(),
            samples,
            aggregator: Aggregator::Vote,
            temperature: Temperature::GREEDY,
        };
        Confirmed {
            label: label.into(),
            plan: Plan { choices: vec![choice] },
            objective: Estimate::of_scores(scores),
            stages: vec![],
            cost: Estimate::of_values(&[cost, cost]),
            failures: 0,
            fitting: vec![],
            scores: scores.to_vec(),
            difference: None,
            p: None,
            not_worse_p: None,
            examples_needed: None,
            verdict: None,
            judged: vec![],
        }
    }

    fn by(clusters: Option<&[u64]>) -> Comparing<'_> {
        Comparing { clusters, margin: 0.02, cost_model: CostModel::Tokens }
    }

    fn verdict(winner: &[f64], baseline: &[f64]) -> String {
        let mut others = [confirmed("largest once", 1, baseline, 2.0)];
        by(None).compare(&confirmed(RECOMMENDED, 8, winner, 1.0), &mut others, 0);
        others[0].verdict.clone().unwrap()
    }

    #[test]
    fn words_follow_the_paired_interval() {
        let half: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let better: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 4 != 0))).collect();
        assert!(verdict(&better, &half).starts_with("better than largest once by +0.250"));
        assert!(verdict(&half, &better).starts_with("worse than largest once by -0.250"));
        assert!(verdict(&half, &half).starts_with("not distinguishable from largest once"));
        assert!(verdict(&better, &half).ends_with("at 0.50x its cost"));
    }

    #[test]
    fn what_is_not_told_apart_is_said_with_what_it_would_take() {
        let half: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let more: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 2 == 1 || i == 0))).collect();
        let said = verdict(&more, &half);
        assert!(said.contains("about 314 examples would tell a difference of this size"), "{said}");
        let many: Vec<f64> = half.iter().cycle().take(2000).copied().collect();
        let same = verdict(&many, &many);
        assert!(same.contains("and not worse by 0.02 or more"), "{same}");
    }

    #[test]
    fn examples_of_one_source_count_once() {
        let winner: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i < 30))).collect();
        let baseline: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i < 20))).collect();
        let sources: Vec<u64> = (0..40).map(|i| i / 10).collect();
        let compared = |clusters| {
            let mut others = [confirmed("largest once", 1, &baseline, 2.0)];
            by(clusters).compare(&confirmed(RECOMMENDED, 8, &winner, 1.0), &mut others, 0);
            others[0].verdict.clone().unwrap()
        };
        assert!(compared(None).starts_with("better than"));
        assert!(compared(Some(&sources[..])).starts_with("not distinguishable"));
    }

    #[test]
    fn several_baselines_must_be_beaten_more_clearly_than_one() {
        let half: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let better: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 2 == 1 || i < 12))).collect();
        let one = confirmed("largest once", 1, &half, 2.0);
        let two = confirmed("smallest once", 2, &half, 2.0);
        let mut baselines = [one, two];
        by(None).compare(&confirmed(RECOMMENDED, 8, &better, 1.0), &mut baselines, 0);
        let alone = Comparison::paired(&better, &half, None).unwrap().p;
        assert!(alone < 0.05 && (baselines[0].p.unwrap() - 2.0 * alone).abs() < 1e-12);
    }

    #[test]
    fn a_plan_that_stands_there_twice_is_one_comparison() {
        let half: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let better: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 2 == 1 || i < 12))).collect();
        let mut others = [confirmed("largest once", 1, &half, 2.0), confirmed(RUNNER_UP, 1, &half, 2.0)];
        by(None).compare(&confirmed(RECOMMENDED, 8, &better, 1.0), &mut others, 0);
        assert_eq!(others[0].p, Some(Comparison::paired(&better, &half, None).unwrap().p));
        assert_eq!(others[0].p, others[1].p);
        assert!(others[1].verdict.as_ref().unwrap().starts_with("better than the runner-up by"), "{:?}", others[1]);
    }

    /// The winner's scores, and those of cheaper plans with their costs, the winner's being 10.
    fn cheaper(winner: &[f64], others: &[(&[f64], f64)]) -> Cheaper {
        let mut all = vec![confirmed(RECOMMENDED, 8, winner, 10.0)];
        for (samples, (scores, cost)) in (1..).zip(others) {
            all.push(confirmed(CHEAPER, samples, scores, *cost));
        }
        let places: Vec<(usize, u32)> = (1..all.len()).map(|i| (i, 10 + i as u32)).collect();
        by(None).cheaper(&mut all, &places).unwrap()
    }

    #[test]
    fn a_cheaper_plan_is_recommended_only_where_the_test_can_tell() {
        let many: Vec<f64> = (0..3_000).map(|i| f64::from(i % 2)).collect();
        let worse: Vec<f64> = (0..3_000).map(|i| f64::from(u8::from(i % 2 == 1 && i % 20 != 1))).collect();
        let found = cheaper(&many, &[(&worse, 1.0), (&many, 4.0)]);
        assert_eq!((found.trial, found.plans), (Some(12), 2), "{found:?}");
        assert!(
            found.words.contains("(trial 12) is recommended") && found.words.contains("at 0.40x its cost"),
            "{}",
            found.words
        );

        let found = cheaper(&many, &[(&worse, 1.0)]);
        assert_eq!(found.recommended, None);
        assert!(found.words.contains("cannot be excluded"), "{}", found.words);

        let few = &many[..40];
        let found = cheaper(few, &[(few, 1.0)]);
        assert_eq!(found.recommended, None);
        assert!(found.words.contains("too small to tell: if it were equally good, about"), "{}", found.words);

        // Cheaper in the search, and not here.
        assert_eq!(cheaper(&many, &[(&many, 11.0)]).recommended, None);
    }

    #[test]
    fn several_cheaper_plans_must_pass_a_stricter_test_than_one() {
        let base: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let alone = NotWorse::of(&base, &base, None, 0.02).unwrap().p;
        let mut all = vec![confirmed(RECOMMENDED, 8, &base, 10.0)];
        all.extend((1..=2).map(|i| confirmed(CHEAPER, i, &base, f64::from(i))));
        by(None).cheaper(&mut all, &[(1, 1), (2, 2)]).unwrap();
        assert!((all[1].not_worse_p.unwrap() - 2.0 * alone).abs() < 1e-12, "{:?} {alone}", all[1].not_worse_p);
    }
}
