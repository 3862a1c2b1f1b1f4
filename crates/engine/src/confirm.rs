//! The end of a study: the recommended plan and the baselines on the untouched test split, on fresh draws.

use agenttts_core::{Confirmation, Confirmed, CostModel, Estimate, Example, Judged, Plan, Space, Temperature};

use crate::event::{Event, Observers};
use crate::execute::Executor;
use crate::source::{Halt, Source};
use crate::streams::{Purpose, stream};
use crate::trial::{PlanRun, run_plan};
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
        let mut confirmed: Vec<Confirmed> = Vec::new();
        for (label, plan) in plans {
            let known = confirmed.iter().find(|c| c.plan == plan);
            let entry = match known {
                Some(same) => Confirmed { label: label.into(), ..same.clone() },
                None => {
                    self.observers.send(Event::Confirming { label: label.into(), plan: plan.clone() });
                    let measured = self.measure(&plan, test, Purpose::Confirmation).await?;
                    let judged = judged(self.executor, &measured.executions);
                    confirmed_plan(label, plan, measured, judged)
                }
            };
            confirmed.push(entry);
        }
        let (first, rest) = confirmed.split_at_mut(1);
        for baseline in rest {
            compare(&first[0], baseline, self.executor.pipeline().cost_model);
        }
        Ok(Confirmation { examples: test.len() as u32, plans: confirmed })
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
        run_plan(self.executor, plan, examples, stream, self.source, self.width, &progress).await
    }
}

fn confirmed_plan(label: &str, plan: Plan, run: PlanRun, judged: Vec<Judged>) -> Confirmed {
    let measured = run.measurement;
    Confirmed {
        label: label.into(),
        plan,
        objective: measured.objective,
        stages: measured.stages,
        cost: measured.cost,
        failures: measured.failures,
        scores: measured.scores,
        difference: None,
        verdict: None,
        judged,
    }
}

/// Says how the winner compares with a baseline, paired by example.
fn compare(winner: &Confirmed, baseline: &mut Confirmed, cost_model: CostModel) {
    if winner.plan == baseline.plan {
        baseline.verdict = Some(format!("the same plan as {}", baseline.label));
        return;
    }
    baseline.difference = Estimate::of_paired_difference(&winner.scores, &baseline.scores);
    let Some(difference) = baseline.difference else { return };
    let size = format!("{:+.3} [{:+.3}, {:+.3}]", difference.mean, difference.low, difference.high);
    let quality = if difference.low > 0.0 {
        format!("better than {} by {size}", baseline.label)
    } else if difference.high < 0.0 {
        format!("worse than {} by {size}", baseline.label)
    } else {
        format!("not distinguishable from {} ({size})", baseline.label)
    };
    let cost = match (winner.cost.mean, baseline.cost.mean) {
        (a, b) if a > 0.0 && b > 0.0 => format!(", at {:.2}x its cost", a / b),
        (a, b) => format!(", for {a:.2} against {b:.2} {}", cost_model.unit()),
    };
    baseline.verdict = Some(quality + &cost);
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
            scores: scores.to_vec(),
            difference: None,
            verdict: None,
            judged: vec![],
        }
    }

    fn verdict(winner: &[f64], baseline: &[f64]) -> String {
        let mut other = confirmed("largest once", 1, baseline, 2.0);
        compare(&confirmed(RECOMMENDED, 8, winner, 1.0), &mut other, CostModel::Tokens);
        other.verdict.unwrap()
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
}
