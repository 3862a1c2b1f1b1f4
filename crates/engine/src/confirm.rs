//! The end of a study: the recommended plan and the baselines on the untouched test split, on fresh draws.

use agenttts_core::{
    Comparison, Confirmation, Confirmed, CostModel, Estimate, Example, Finding, Judged, Plan, Space, Temperature, holm,
};

use crate::event::{Event, Observers};
use crate::execute::Executor;
use crate::source::{Halt, Source};
use crate::streams::{Purpose, stream};
use crate::trial::{PlanRun, With, run_plan};
use crate::verdict::judged;

/// What a confirmation needs.
pub(crate) struct Confirm<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) source: &'a dyn Source,
    pub(crate) space: &'a Space,
    pub(crate) seed: u32,
    pub(crate) width: usize,
    pub(crate) observers: &'a Observers,
    pub(crate) progress: &'a (dyn Fn(u32, u32) + Send + Sync),
}

/// The label of the recommended plan in a confirmation.
pub(crate) const RECOMMENDED: &str = "recommended";

impl Confirm<'_> {
    /// Measures the recommended plan and the baselines "largest model once" and "smallest model once" on the test
    /// split. Each baseline runs at the better, on the search split, of the pipeline's temperatures and greedy decoding.
    pub(crate) async fn run(&self, recommended: &Plan) -> Result<Confirmation, Halt> {
        let mut plans = vec![(RECOMMENDED, recommended.clone())];
        for (label, plan) in
            [("largest once", self.space.largest_once()), ("smallest once", self.space.smallest_once())]
        {
            plans.push((label, self.better_temperature(plan).await?));
        }
        let test = &self.executor.pipeline().test_split.examples;
        let clusters = self.clusters();
        let mut confirmed: Vec<Confirmed> = Vec::new();
        for (label, plan) in plans {
            let known = confirmed.iter().find(|c| c.plan == plan);
            let entry = match known {
                Some(same) => Confirmed { label: label.into(), ..same.clone() },
                None => {
                    self.observers.send(Event::Confirming { label: label.into(), plan: plan.clone() });
                    let measured = self.measure(&plan, test, Purpose::Confirmation).await?;
                    let judged = judged(self.executor, &measured.executions);
                    confirmed_plan(label, plan, measured, judged, clusters.as_deref())
                }
            };
            confirmed.push(entry);
        }
        if let Some((winner, baselines)) = confirmed.split_first_mut() {
            let pipeline = self.executor.pipeline();
            compare(winner, baselines, clusters.as_deref(), pipeline.margin, pipeline.cost_model);
        }
        Ok(Confirmation { examples: test.len() as u32, plans: confirmed })
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
        let stream = stream(self.seed, purpose);
        let with = With { executor: self.executor, source: self.source, stream, width: self.width };
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
        examples_needed: None,
        verdict: None,
        judged,
    }
}

/// Says how the winner compares with the baselines, paired by example and adjusted for their number.
fn compare(
    winner: &Confirmed,
    baselines: &mut [Confirmed],
    clusters: Option<&[u64]>,
    margin: f64,
    cost_model: CostModel,
) {
    let compared = |baseline: &Confirmed| match winner.plan == baseline.plan {
        true => None,
        false => Comparison::paired(&winner.scores, &baseline.scores, clusters),
    };
    let comparisons: Vec<Option<Comparison>> = baselines.iter().map(compared).collect();
    let several = comparisons.iter().flatten().count() > 1;
    let mut adjusted = holm(&comparisons.iter().flatten().map(|c| c.p).collect::<Vec<_>>()).into_iter();
    for (baseline, comparison) in baselines.iter_mut().zip(&comparisons) {
        let Some(comparison) = comparison else {
            baseline.verdict = Some(format!("the same plan as {}", baseline.label));
            continue;
        };
        let p = adjusted.next().unwrap_or(1.0);
        baseline.difference = Some(comparison.difference);
        baseline.p = Some(p);
        baseline.examples_needed = comparison.examples_needed;
        let quality = quality(&baseline.label, comparison, (p, several), margin);
        baseline.verdict = Some(quality + &cost(winner, baseline, cost_model));
    }
}

fn quality(baseline: &str, comparison: &Comparison, (p, adjusted): (f64, bool), margin: f64) -> String {
    let difference = comparison.difference;
    let size = format!("{:+.3} [{:+.3}, {:+.3}]", difference.mean, difference.low, difference.high);
    let finding = comparison.finding(p, margin);
    let p = if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    let p = if adjusted { p + " after Holm" } else { p };
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
            examples_needed: None,
            verdict: None,
            judged: vec![],
        }
    }

    fn verdict(winner: &[f64], baseline: &[f64]) -> String {
        let mut others = [confirmed("largest once", 1, baseline, 2.0)];
        compare(&confirmed(RECOMMENDED, 8, winner, 1.0), &mut others, None, 0.02, CostModel::Tokens);
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
            compare(&confirmed(RECOMMENDED, 8, &winner, 1.0), &mut others, clusters, 0.02, CostModel::Tokens);
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
        compare(&confirmed(RECOMMENDED, 8, &better, 1.0), &mut baselines, None, 0.02, CostModel::Tokens);
        let alone = Comparison::paired(&better, &half, None).unwrap().p;
        assert!(alone < 0.05 && (baselines[0].p.unwrap() - 2.0 * alone).abs() < 1e-12);
    }
}
