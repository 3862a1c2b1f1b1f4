//! What all trials of one plan say together.

use std::collections::{BTreeMap, HashMap};

use crate::archive::{Archive, Measurement, RacedOut, Span, Trial};
use crate::estimate::Estimate;
use crate::plan::Plan;
use crate::request::Usage;

/// A measured plan with all its trials pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledPlan<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its measured trials, in order; never empty.
    pub trials: Vec<(&'a Trial, &'a Measurement)>,
    /// The score of every example that any trial ran on, by its place in the study's order of examples. An example that
    /// several trials ran on (fresh draws) has their mean: more draws of one example are not more examples.
    pub scores: BTreeMap<u32, f64>,
    /// The objective over these examples.
    pub objective: Estimate,
    /// What one query costs, in units of the study's cost model, over all queries of all trials.
    pub cost: Estimate,
}

/// The weight of the average plan in [`PooledPlan::cautious_mean`], in examples: with zero-one scores, plans whose true
/// scores differ by a standard deviation of .14 are told apart by their own scores and by "they are all alike" equally
/// well after about ten examples.
const CAUTION: f64 = 10.0;

impl PooledPlan<'_> {
    /// The number of its first measured trial.
    pub fn first_trial(&self) -> u32 {
        self.trials.first().map_or(0, |(t, _)| t.number)
    }

    /// Why the plan has fewer examples than it was meant to have: its newest trial that was raced out, unless a later one
    /// has come as far as that one was meant to.
    pub fn raced_out(&self) -> Option<&RacedOut> {
        let last = self.trials.iter().rposition(|(_, m)| m.raced_out.is_some())?;
        let (trial, measured) = self.trials[last];
        let mark = measured.raced_out.as_ref()?;
        let end = |t: &Trial| (t.stream, t.span.map_or(u32::MAX, Span::end));
        let is_made_up = self.trials[last + 1..].iter().any(|(t, _)| end(t) >= (trial.stream, mark.planned_end));
        (!is_made_up).then_some(mark)
    }

    /// Tokens that one query takes from nothing, on average.
    pub fn tokens_per_query(&self) -> f64 {
        let fresh: Usage = self.trials.iter().map(|(_, m)| m.fresh).sum();
        let queries: usize = self.trials.iter().map(|(_, m)| m.scores.len()).sum();
        fresh.tokens() as f64 / queries.max(1) as f64
    }

    /// The mean pulled towards `average`, the less the more examples there are: five lucky examples are no better than
    /// fifty good ones. Plans on equally many examples keep their order.
    pub fn cautious_mean(&self, average: f64) -> f64 {
        let n = f64::from(self.objective.n);
        (n * self.objective.mean + CAUTION * average) / (n + CAUTION)
    }
}

impl Archive {
    /// The measured plans, each with all its trials, in order of their first measured trial.
    pub fn plans(&self) -> Vec<PooledPlan<'_>> {
        by_plan(self.measured()).into_iter().filter_map(pool).collect()
    }

    /// The measured plan that leads by its own scores: highest [`PooledPlan::cautious_mean`]; the cheaper, then the
    /// earlier one among equals. Plans that were raced out do not lead. What is recommended in the end also pools what
    /// related plans tell.
    pub fn best(&self) -> Option<PooledPlan<'_>> {
        self.best_of(|_| true)
    }

    /// As [`Archive::best`], of the plans that are fit to lead.
    pub fn best_of(&self, is_fit: impl Fn(&PooledPlan<'_>) -> bool) -> Option<PooledPlan<'_>> {
        let mut plans = self.plans();
        plans.retain(|p| p.raced_out().is_none() && is_fit(p));
        let scores: f64 = plans.iter().map(|p| p.objective.mean).sum();
        let average = scores / plans.len().max(1) as f64;
        plans.into_iter().max_by(|a, b| {
            let by_score = a.cautious_mean(average).total_cmp(&b.cautious_mean(average));
            by_score.then(b.cost.mean.total_cmp(&a.cost.mean)).then(b.first_trial().cmp(&a.first_trial()))
        })
    }
}

/// Measured trials, those of one plan together, in order of the first trial of each plan.
pub fn by_plan<'a>(
    trials: impl IntoIterator<Item = (&'a Trial, &'a Measurement)>,
) -> Vec<Vec<(&'a Trial, &'a Measurement)>> {
    let mut places: HashMap<&Plan, usize> = HashMap::new();
    let mut groups: Vec<Vec<(&Trial, &Measurement)>> = Vec::new();
    for (trial, measured) in trials {
        let place = *places.entry(&trial.plan).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push((trial, measured));
    }
    groups
}

fn pool<'a>(trials: Vec<(&'a Trial, &'a Measurement)>) -> Option<PooledPlan<'a>> {
    let plan = &trials.first()?.0.plan;
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (trial, measured) in &trials {
        let first = trial.span.map_or(0, |s| s.first);
        for (example, score) in (first..).zip(&measured.scores) {
            let (sum, draws) = sums.entry(example).or_default();
            *sum += score;
            *draws += 1.0;
        }
    }
    let scores: BTreeMap<u32, f64> = sums.into_iter().map(|(e, (sum, draws))| (e, sum / draws)).collect();
    let values: Vec<f64> = scores.values().copied().collect();
    let costs: Vec<Estimate> = trials.iter().map(|(_, m)| m.cost).collect();
    // One trial says of itself what it measured; summaries of other programs may lack the single scores.
    let objective = match &trials[..] {
        [(_, only)] => only.objective,
        _ => Estimate::of_scores(&values),
    };
    Some(PooledPlan { plan, scores, objective, cost: Estimate::of_parts(&costs), trials })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Origin, TrialState};
    use crate::cost::Cost;
    use crate::plan::{Aggregator, Choice};
    use crate::request::Temperature;

    fn plan(model: &str) -> Plan {
        let temperature = Temperature::GREEDY;
        Plan { choices: vec![Choice { model: model.into(), samples: 1, aggregator: Aggregator::Vote, temperature }] }
    }

    /// An archive of trials given as model, stream, first example, scores and cost.
    fn archive(trials: &[(&str, u32, u32, &[f64], f64)]) -> Archive {
        let trial = |(number, (model, stream, first, scores, cost)): (u32, &(&str, u32, u32, &[f64], f64))| Trial {
            number,
            round: 0,
            plan: plan(model),
            nominal_cost: Cost::ZERO,
            origin: Origin { method: "m".into(), reason: "r".into(), repairs: vec![] },
            stream: *stream,
            span: Some(Span { first: *first, count: scores.len() as u32 }),
            state: TrialState::Measured(Box::new(Measurement {
                objective: Estimate::of_scores(scores),
                stages: vec![],
                cost: Estimate::of_values(&vec![*cost; scores.len()]),
                scores: scores.to_vec(),
                failures: 0,
                failure_reasons: vec![],
                curves: vec![],
                fitting: vec![],
                fresh: Usage { decode: 10 * scores.len() as u64, ..Usage::default() },
                drawn: Usage::default(),
                seconds: 0.0,
                raced_out: None,
            })),
        };
        Archive { trials: (1..).zip(trials).map(trial).collect(), ..Archive::default() }
    }

    #[test]
    fn further_examples_add_and_fresh_draws_average() {
        let archive = archive(&[
            ("a", 0, 0, &[1.0, 0.0], 1.0),
            ("b", 0, 0, &[1.0], 9.0),
            ("a", 0, 2, &[1.0, 1.0], 2.0),
            ("a", 1, 0, &[0.0], 3.0),
        ]);
        let plans = archive.plans();
        assert_eq!(plans.iter().map(|p| p.first_trial()).collect::<Vec<_>>(), [1, 2]);
        let a = &plans[0];
        assert_eq!(a.scores.values().copied().collect::<Vec<_>>(), [0.5, 0.0, 1.0, 1.0]);
        assert_eq!((a.objective.n, a.objective.mean), (4, 0.625));
        assert_eq!((a.cost.n, a.cost.mean), (5, 9.0 / 5.0));
        assert_eq!(a.tokens_per_query(), 10.0);
    }

    #[test]
    fn a_few_lucky_examples_do_not_lead() {
        let good: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i % 10 != 0))).collect();
        let poor: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
        let archive =
            archive(&[("good", 0, 0, &good, 1.0), ("poor", 0, 0, &poor, 1.0), ("lucky", 0, 0, &[1.0; 5], 1.0)]);
        assert_eq!(archive.best().unwrap().plan, &plan("good"));
        assert_eq!(Archive::default().best(), None);
    }

    #[test]
    fn on_equally_many_examples_the_mean_decides_then_the_cost() {
        let trials: [(&str, u32, u32, &[f64], f64); 3] =
            [("a", 0, 0, &[1.0, 0.0], 2.0), ("b", 0, 0, &[0.0, 1.0], 1.0), ("c", 0, 0, &[0.0, 0.0], 0.5)];
        assert_eq!(archive(&trials).best().unwrap().plan, &plan("b"));
    }

    #[test]
    fn a_plan_that_was_raced_out_does_not_lead_until_its_trial_is_made_up_for() {
        let mut all = archive(&[
            ("a", 0, 0, &[0.0, 0.0, 1.0, 1.0], 1.0),
            ("b", 0, 0, &[1.0, 1.0], 1.0),
            ("b", 0, 2, &[1.0, 1.0], 1.0),
        ]);
        if let TrialState::Measured(m) = &mut all.trials[1].state {
            m.raced_out = Some(RacedOut { planned_end: 4, leader: 1, behind: 0.5, expected: 0.0 });
        }
        assert!(all.plans()[1].raced_out().is_none());
        assert_eq!(all.best().unwrap().plan, &plan("b"));
        all.trials.truncate(2);
        assert_eq!(all.plans()[1].raced_out().unwrap().leader, 1);
        assert_eq!(all.best().unwrap().plan, &plan("a"));
    }
}
