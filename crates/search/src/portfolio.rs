//! The seam between a method that plans by itself and plans that somebody else proposes: these are tried only where the
//! method finds them worth about as much as its own, and the fewer the worse they turn out, so that a bad adviser costs
//! next to nothing.

use std::collections::HashSet;

use agenttts_core::{Plan, Trial};

use crate::ask::{Ask, Proposal, Step};

/// A round of the method that plans by itself.
pub(crate) trait Round {
    /// What it would do: proposals, or the end. Never a question.
    fn own(&self) -> Step;

    /// What running the proposal together with `others` is worth to it: its acquisition value per price, never negative
    /// for a proposal of its own.
    fn value(&self, proposal: &Proposal, others: &[&Proposal]) -> f64;

    /// Whether it chose the proposal for what it is worth beside `others`, and not for a reason that others cannot weigh.
    fn is_for_its_worth(&self, proposal: &Proposal, others: &[&Proposal]) -> bool;

    /// The trial of the wanted plan that is worth most to it beside `others`, with its value: on at most as many examples
    /// as `instead_of` has, and payable together with `others`. `None` if there is none.
    fn best(&self, wanted: &Proposal, instead_of: &Proposal, others: &[&Proposal]) -> Option<(Proposal, f64)>;

    /// The share of a value that it would give up for somebody who is always right.
    fn tolerance(&self) -> f64;
}

/// The method's own proposals, some of them replaced by proposals of the adviser: those that are worth as much, less the
/// tolerance, to the method itself. Plans that were tried before are the method's own business.
///
/// Two things keep an adviser harmless whatever it says. No replacement is worth less to the method than the tolerance
/// allows, which shrinks with the adviser's record. That alone would not do: who knows the worst of all plans that look
/// good could waste every trial. So its places shrink with the record as well: one that is never right has only as many
/// trials as about the square root of all, and one that is always right has half of them.
pub(crate) fn compete(ask: &Ask<'_>, round: &dyn Round, own: Vec<Proposal>, theirs: Vec<Proposal>) -> Vec<Proposal> {
    let Some(adviser) = theirs.first().map(|p| p.origin.method.clone()) else { return own };
    let mut taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
    taken.extend(own.iter().map(|p| p.plan.clone()));
    let mut theirs: Vec<Proposal> = theirs.into_iter().filter(|p| taken.insert(p.plan.clone())).collect();
    let record = record(ask, &adviser);
    let kept = 1.0 - round.tolerance() * record;
    let mut open = places(ask, &adviser, record, own.len());
    let mut batch = own;
    // The last of the method's own are those that it would miss least.
    for place in (0..batch.len()).rev() {
        if open == 0 || theirs.is_empty() {
            break;
        }
        let mine = &batch[place];
        let others: Vec<&Proposal> = batch.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, p)| p).collect();
        if !round.is_for_its_worth(mine, &others) {
            continue;
        }
        let judged = theirs.iter().enumerate().filter_map(|(i, p)| Some((i, round.best(p, mine, &others)?)));
        let best = judged.max_by(|(i, (_, a)), (j, (_, b))| a.total_cmp(b).then(j.cmp(i)));
        let Some((i, (proposal, value))) = best else { continue };
        if value >= kept * round.value(mine, &others) {
            theirs.remove(i);
            batch[place] = proposal;
            open -= 1;
        }
    }
    batch
}

/// How many of a round's places the adviser may have: of all trials after the initial ones the share that its record is,
/// at most half, and at most half of the round, but one where the round has one place.
fn places(ask: &Ask<'_>, adviser: &str, record: f64, batch: usize) -> usize {
    let trials = ask.archive.trials.iter().filter(|t| t.round > 0);
    let (theirs, all) =
        trials.fold((0, batch), |(theirs, all), t| (theirs + usize::from(t.origin.method == adviser), all + 1));
    let due = (record.min(0.5) * all as f64) as usize;
    due.saturating_sub(theirs).min((batch / 2).max(1))
}

/// The share of the adviser's trials so far that did as well as the method's own of the same round, between 0 and 1: one
/// half before there are any. Where the adviser had the whole round, the round before counts.
fn record(ask: &Ask<'_>, adviser: &str) -> f64 {
    let (mut wins, mut all) = (1.0, 2.0);
    let is_theirs = |t: &Trial| t.origin.method == adviser;
    for (trial, m) in ask.archive.measured().filter(|(t, _)| is_theirs(t)) {
        let rivals = || ask.archive.measured().filter(|(t, _)| !is_theirs(t) && t.round <= trial.round);
        let Some(newest) = rivals().map(|(t, _)| t.round).max() else { continue };
        let scores: Vec<f64> = rivals().filter(|(t, _)| t.round == newest).map(|(_, m)| m.objective.mean).collect();
        all += 1.0;
        wins += f64::from(u8::from(m.objective.mean >= scores.iter().sum::<f64>() / scores.len() as f64));
    }
    wins / all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use agenttts_core::{
        Aggregator, Archive, CostModel, Estimate, Measurement, ModelSpec, Origin, Space, StageSpace, Temperature,
        TrialState, Usage,
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

        fn is_for_its_worth(&self, _: &Proposal, _: &[&Proposal]) -> bool {
            true
        }

        fn best(&self, wanted: &Proposal, instead_of: &Proposal, _: &[&Proposal]) -> Option<(Proposal, f64)> {
            Some((wanted.clone().on(instead_of.examples.unwrap()), self.value(wanted, &[])))
        }

        fn tolerance(&self) -> f64 {
            0.2
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
            runs: agenttts_core::Runs::ONCE,
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
            fitting: vec![],
            fresh: Usage::default(),
            drawn: Usage::default(),
            seconds: 0.0,
            raced_out: None,
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
                prop_assert!(new == old || round.value(new, &[]) >= 0.8 * round.value(old, &[]));
                prop_assert_eq!(new.examples, Some(7));
                prop_assert!(new.origin.method == "planner" || !archive.contains(&new.plan));
            }
            let taken = batch.iter().filter(|p| p.origin.method == "agent").count();
            prop_assert!(taken <= (own.len() / 2).max(1));
            let distinct: HashSet<&Plan> = batch.iter().map(|p| &p.plan).collect();
            prop_assert_eq!(distinct.len(), batch.len());
        }
    }

    /// Who has the last place of a round after trials of the adviser with these scores, the method's own scoring 0.5, where
    /// the adviser's plan is worth that part of the method's own.
    fn winner(scores: &[f64], worth: f64) -> String {
        let (space, settings, task) = (space(), Settings::default(), TaskText::default());
        let mut values = vec![0.5; 20];
        values[4] = 0.5 * worth;
        let mut trials: Vec<Trial> = (15..=20).map(|n| trial(&space, n, "planner", 0.5)).collect();
        trials.extend(scores.iter().enumerate().map(|(i, s)| trial(&space, 14 - i, "agent", *s)));
        let archive = Archive { trials, ..Archive::default() };
        let ask = Ask::new(&space, &archive, &settings, &task);
        let own = vec![proposal(&space, 1, "planner").on(5)];
        compete(&ask, &Valued(values), own, vec![proposal(&space, 5, "agent")])[0].origin.method.clone()
    }

    #[test]
    fn an_adviser_that_does_worse_is_trusted_less() {
        assert_eq!(winner(&[], 0.92), "agent", "half of the tolerance at first");
        assert_eq!(winner(&[], 0.88), "planner");
        assert_eq!(winner(&[0.6, 0.7], 0.88), "agent");
        assert_eq!(winner(&[0.1], 0.92), "planner");
    }

    #[test]
    fn an_adviser_that_does_worse_has_fewer_places() {
        assert_eq!(winner(&[0.6, 0.7], 1.0), "agent");
        assert_eq!(winner(&[0.1, 0.1, 0.1], 1.0), "planner", "a fifth of ten trials are two");
    }

    /// An adviser whose plans look as good as any and never are.
    #[test]
    fn one_that_is_never_right_soon_has_no_say() {
        let (space, settings, task) = (space(), Settings::default(), TaskText::default());
        let mut archive = Archive::default();
        for round in 1..=100 {
            let ask = Ask::new(&space, &archive, &settings, &task);
            let record = record(&ask, "agent");
            let theirs = places(&ask, "agent", record, 4);
            for place in 0..4 {
                let (method, score) = if place < theirs { ("agent", 0.1) } else { ("planner", 0.5) };
                archive.trials.push(Trial { round, ..trial(&space, 1, method, score) });
            }
        }
        let wasted = archive.trials.iter().filter(|t| t.origin.method == "agent").count();
        assert!((10..=21).contains(&wasted), "{wasted} of 400");
    }
}
