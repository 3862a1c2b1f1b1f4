//! The seam between a method that plans by itself and plans that somebody else proposes: these are tried only where the
//! method expects about as much of them as of its own, so that a bad adviser costs next to nothing.

use std::collections::HashSet;

use agenttts_core::Plan;

use crate::ask::{Ask, Proposal, Step};
use crate::draw::{Use, rng};
use crate::initial;
use crate::random::all_tried;
use crate::recommend::Recommendation;
use crate::rules;
use crate::surrogate::Surrogate;

/// A round of the method that plans by itself.
pub(crate) trait Round {
    /// What it would do: proposals, or the end. Never a question.
    fn own(&self) -> Step;

    /// What it expects to gain from running the proposal together with `others`: its acquisition value, the higher the
    /// better.
    fn value(&self, proposal: &Proposal, others: &[&Proposal]) -> f64;

    /// A difference of values that it would not bother about.
    fn tolerance(&self) -> f64;
}

/// What the method does before it has learned anything: its initial trials, or the end.
pub(crate) fn opening(ask: &Ask<'_>) -> Option<Step> {
    initial::opening(ask, rules::NAME)
}

/// The round that is asked for.
pub(crate) fn round<'a>(ask: &'a Ask<'a>) -> Box<dyn Round + 'a> {
    let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
    let surrogate = Surrogate::new(ask.space, ask.archive, ask.settings.insights, &mut rng);
    let proposals = rules::propose(ask, &surrogate, ask.room(), &HashSet::new(), &mut rng);
    Box::new(RulesRound { ask, surrogate, proposals })
}

/// The plan that the method recommends.
pub(crate) fn recommend(ask: &Ask<'_>) -> Option<Recommendation> {
    crate::recommend::recommend(ask.space, ask.archive)
}

/// The method's own proposals, at most half of them replaced by proposals of the adviser: those that are worth as much,
/// less the tolerance, to the method itself. The tolerance shrinks with the adviser's record. A replacement runs on as
/// many examples as what it replaces; plans that were tried before are the method's own business.
pub(crate) fn compete(ask: &Ask<'_>, round: &dyn Round, own: Vec<Proposal>, theirs: Vec<Proposal>) -> Vec<Proposal> {
    let mut taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
    taken.extend(own.iter().map(|p| p.plan.clone()));
    let mut theirs: Vec<Proposal> = theirs.into_iter().filter(|p| taken.insert(p.plan.clone())).collect();
    let tolerance = round.tolerance() * record(ask, &theirs);
    let mut batch = own;
    let mut open = batch.len().div_ceil(2);
    // The last of the method's own are those that it would miss least.
    for place in (0..batch.len()).rev() {
        if open == 0 || theirs.is_empty() {
            break;
        }
        let others: Vec<&Proposal> = batch.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, p)| p).collect();
        for candidate in &mut theirs {
            candidate.examples = batch[place].examples;
        }
        let values = theirs.iter().map(|p| round.value(p, &others)).enumerate();
        let Some((best, value)) = values.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else {
            break;
        };
        if value >= round.value(&batch[place], &others) - tolerance {
            batch[place] = theirs.remove(best);
            open -= 1;
        }
    }
    batch
}

/// The share of the adviser's trials so far that did as well as the method's own of the same rounds, between 0 and 1: one
/// half before there are any.
fn record(ask: &Ask<'_>, theirs: &[Proposal]) -> f64 {
    let Some(adviser) = theirs.first().map(|p| p.origin.method.as_str()) else { return 0.0 };
    let (mut wins, mut all) = (1.0, 2.0);
    for (trial, m) in ask.archive.measured().filter(|(t, _)| t.origin.method == adviser) {
        let rivals = ask.archive.measured().filter(|(t, _)| t.round == trial.round && t.origin.method != adviser);
        let scores: Vec<f64> = rivals.map(|(_, m)| m.objective.mean).collect();
        if !scores.is_empty() {
            all += 1.0;
            wins += f64::from(u8::from(m.objective.mean >= scores.iter().sum::<f64>() / scores.len() as f64));
        }
    }
    wins / all
}

/// A round of the method `rules`.
struct RulesRound<'a> {
    ask: &'a Ask<'a>,
    surrogate: Surrogate,
    proposals: Vec<Proposal>,
}

impl Round for RulesRound<'_> {
    fn own(&self) -> Step {
        if self.proposals.is_empty() {
            return all_tried(self.ask.archive.trials.len());
        }
        let guidelines = rules::guideline(self.ask, &self.surrogate).into_iter().collect();
        Step::Propose { guidelines, proposals: self.proposals.clone() }
    }

    fn value(&self, proposal: &Proposal, others: &[&Proposal]) -> f64 {
        let others: Vec<&Plan> = others.iter().map(|p| &p.plan).collect();
        rules::promise(self.ask.space, &self.surrogate, &proposal.plan, &others)
    }

    fn tolerance(&self) -> f64 {
        rules::NEGLIGIBLE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use agenttts_core::{
        Aggregator, Archive, CostModel, Estimate, Measurement, ModelSpec, Origin, Space, StageSpace, Temperature,
        Trial, TrialState, Usage,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::ask::{Settings, TaskText};

    /// A round whose values are given by the number of samples: `values[samples - 1]`.
    struct Valued(Vec<f64>);

    impl Round for Valued {
        fn own(&self) -> Step {
            Step::Finished(String::new())
        }

        fn value(&self, proposal: &Proposal, _: &[&Proposal]) -> f64 {
            self.0[proposal.plan.choices[0].samples as usize - 1]
        }

        fn tolerance(&self) -> f64 {
            0.1
        }
    }

    fn space() -> Space {
        let model = ModelSpec {
            name: "m".into(),
            provider: "p".into(),
            id: "m".into(),
            revision: None,
            params: Some(3_000_000_000),
            shape: None,
            price: None,
            speed: None,
            context: None,
            top_p: None,
        };
        let stage = StageSpace {
            name: "answer".into(),
            models: vec![model],
            samples: (1..=20).collect(),
            aggregators: vec![Aggregator::Vote],
            temperatures: vec![Temperature::new(0.9).unwrap()],
            prompt_tokens: 10,
            decode_tokens: 10,
            judge: None,
            fusion_decode_tokens: None,
        };
        Space::new(vec![stage], CostModel::Tokens, CostModel::Tokens.amount(1e6).unwrap()).unwrap()
    }

    fn proposal(space: &Space, samples: usize, method: &str) -> Proposal {
        Proposal::new(space.plan(&[samples - 1]), method, "")
    }

    fn trial(space: &Space, samples: usize, method: &str, score: f64) -> Trial {
        let scores = vec![score; 10];
        let measurement = Measurement {
            objective: Estimate::of_values(&scores),
            stages: vec![],
            cost: Estimate::of_values(&[1.0]),
            scores,
            failures: 0,
            failure_reasons: vec![],
            curves: vec![],
            fresh: Usage::default(),
            drawn: Usage::default(),
            seconds: 0.0,
        };
        let plan = space.plan(&[samples - 1]);
        Trial {
            number: samples as u32,
            round: 1,
            nominal_cost: space.cost_of(&plan).unwrap(),
            plan,
            origin: Origin { method: method.into(), reason: String::new(), repairs: vec![] },
            stream: 0,
            span: None,
            state: TrialState::Measured(Box::new(measurement)),
        }
    }

    proptest! {
        /// However bad the adviser, the method itself would not mind: no plan that it gives up is worth more to it than
        /// the tolerance above the one that takes its place, and half of its plans stay.
        #[test]
        fn no_round_is_worth_less_than_the_methods_own(
            values in proptest::collection::vec(0.0..1.0f64, 20),
            own in proptest::sample::subsequence((1..=20usize).collect::<Vec<_>>(), 1..=6),
            theirs in proptest::collection::vec(1..=20usize, 0..8),
            record in proptest::collection::vec(0.0..1.0f64, 0..3),
        ) {
            let (space, settings, task) = (space(), Settings::default(), TaskText::default());
            let mut trials = vec![trial(&space, 20, "planner", 0.5)];
            trials.extend(record.iter().enumerate().map(|(i, s)| trial(&space, 19 - i, "agent", *s)));
            let archive = Archive { trials, ..Archive::default() };
            let ask = Ask::new(&space, &archive, &settings, &task);
            let round = Valued(values.clone());
            let own: Vec<Proposal> = own.iter().map(|n| proposal(&space, *n, "planner").on(7)).collect();
            let theirs: Vec<Proposal> = theirs.iter().map(|n| proposal(&space, *n, "agent")).collect();
            let batch = compete(&ask, &round, own.clone(), theirs);
            prop_assert_eq!(batch.len(), own.len());
            for (new, old) in batch.iter().zip(&own) {
                prop_assert!(new == old || round.value(new, &[]) >= round.value(old, &[]) - 0.1);
                prop_assert_eq!(new.examples, Some(7));
                prop_assert!(new.origin.method == "planner" || !archive.contains(&new.plan));
            }
            let kept = batch.iter().filter(|p| p.origin.method == "planner").count();
            prop_assert!(kept >= own.len() / 2);
            let distinct: HashSet<&Plan> = batch.iter().map(|p| &p.plan).collect();
            prop_assert_eq!(distinct.len(), batch.len());
        }
    }

    #[test]
    fn an_adviser_that_does_worse_is_trusted_less() {
        let (space, settings, task) = (space(), Settings::default(), TaskText::default());
        let mut values = vec![0.5; 20];
        values[4] = 0.46;
        let chosen = |scores: &[f64]| {
            let mut trials = vec![trial(&space, 20, "planner", 0.5)];
            trials.extend(scores.iter().enumerate().map(|(i, s)| trial(&space, 19 - i, "agent", *s)));
            let archive = Archive { trials, ..Archive::default() };
            let ask = Ask::new(&space, &archive, &settings, &task);
            let own = vec![proposal(&space, 1, "planner")];
            compete(&ask, &Valued(values.clone()), own, vec![proposal(&space, 5, "agent")])[0].origin.method.clone()
        };
        assert_eq!(chosen(&[]), "agent", "half of the tolerance at first");
        assert_eq!(chosen(&[0.6, 0.7]), "agent");
        assert_eq!(chosen(&[0.1, 0.2]), "planner");
    }
}
