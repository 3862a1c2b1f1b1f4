//! When a vote is decided before all its samples are drawn.

use agenttts_core::Aggregator;
use serde_json::Value;

use crate::aggregate::{Tally, ballots};
use crate::parse::ParseFailure;

/// How many more samples to draw before looking again, of `n` in all, when these are drawn: 0 once what the aggregator
/// gives of all `n` is decided.
///
/// With `error` 0 only where that is certain, so the output is the same as of all `n`: for `vote` when no answer can
/// overtake the leader any more, ties going to the earlier one; for `first` at the first sample that can be read. Other
/// aggregators are never decided early.
///
/// With a larger `error`, `vote` also stops when the leader would be overtaken by the runner-up with at most that
/// probability, if all samples to come went to these two, with the share of the leader unknown (uniform prior): a
/// beta-binomial tail. The idea is that of Adaptive-Consistency (arXiv 2305.11860), here with the samples that are really left.
pub fn more_samples(aggregator: Aggregator, parsed: &[Result<Value, ParseFailure>], n: usize, error: f64) -> usize {
    let left = n.saturating_sub(parsed.len());
    match aggregator {
        _ if left == 0 => 0,
        Aggregator::First => usize::from(parsed.iter().all(Result::is_err)),
        Aggregator::Vote => {
            let ballots = ballots(parsed);
            // The threat is what the runner-up can reach; an answer that was given before the leader wins ties.
            let (leader, threat) = Tally::of(&ballots).lead();
            let decided = |votes: usize, left: usize| votes >= threat + left;
            if decided(leader, left) || (leader > 0 && overtaken(leader, threat, left) <= error) {
                return 0;
            }
            // The fewest that could decide it.
            (1..=left).find(|more| decided(leader + more, left - more)).unwrap_or(left)
        }
        _ => left,
    }
}

/// The probability that of `left` votes enough go to the runner-up to pass the leader's: `left` draws of a binomial whose
/// rate has the distribution Beta(runner-up + 1, leader + 1).
fn overtaken(leader: usize, runner_up: usize, left: usize) -> f64 {
    let (a, b, n) = (runner_up as f64 + 1.0, leader as f64 + 1.0, left as f64);
    // P(0) = B(a, n + b) / B(a, b), and each next term from the one before.
    let mut probability: f64 = (0..left).map(|i| (b + i as f64) / (a + b + i as f64)).product();
    let mut sum = 0.0;
    for votes in 0..=left {
        if runner_up + votes > leader + (left - votes) {
            sum += probability;
        }
        let k = votes as f64;
        probability *= (n - k) / (k + 1.0) * (a + k) / (b + n - k - 1.0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::aggregate;

    fn answers(letters: &str) -> Vec<Result<Value, ParseFailure>> {
        // A dot is a sample that cannot be read.
        let read = |c: char| if c == '.' { Err(ParseFailure::Empty) } else { Ok(Value::from(c.to_string())) };
        letters.chars().map(read).collect()
    }

    #[test]
    fn a_vote_is_decided_when_no_answer_can_overtake_the_leader() {
        for (drawn, n, more) in [
            ("", 8, 4),
            ("aaaa", 8, 0), // bbbb would tie, and ties go to the earlier answer
            ("baaa", 8, 2), // here b would win the tie
            ("abab", 8, 2),
            ("a", 2, 0),
            (".", 2, 1),
            ("..", 2, 0),
            ("aab", 4, 0),
            ("bcaa", 6, 1),
        ] {
            assert_eq!(more_samples(Aggregator::Vote, &answers(drawn), n, 0.0), more, "{drawn:?} of {n}");
        }
        assert_eq!(more_samples(Aggregator::First, &answers("."), 4, 0.0), 1);
        assert_eq!(more_samples(Aggregator::First, &answers(".a"), 4, 0.0), 0);
        assert_eq!(more_samples(Aggregator::VoteSet, &answers("aa"), 4, 0.0), 2);
    }

    #[test]
    fn the_chance_of_being_overtaken_is_the_beta_binomial_tail() {
        // Beta(1, 2): of one draw, the runner-up gets it with probability 1/3; of two, both with 1/6.
        assert!((overtaken(1, 0, 2) - 1.0 / 6.0).abs() < 1e-12);
        assert!((overtaken(0, 0, 1) - 0.5).abs() < 1e-12);
        assert_eq!(overtaken(3, 0, 2), 0.0);
        // 3 of 10 drawn, all alike: more draws only where an error of 5% is too much.
        assert_eq!(more_samples(Aggregator::Vote, &answers("aaa"), 10, 0.2), 0);
        assert!(more_samples(Aggregator::Vote, &answers("aaa"), 10, 0.001) > 0);
    }

    proptest! {
        #[test]
        fn stopping_when_it_is_certain_changes_no_output(letters in "[abc.]{1,12}") {
            for aggregator in [Aggregator::Vote, Aggregator::First, Aggregator::VoteSet] {
                let all = answers(&letters);
                let mut drawn = 0;
                loop {
                    let more = more_samples(aggregator, &all[..drawn], all.len(), 0.0);
                    if more == 0 {
                        break;
                    }
                    drawn += more;
                    prop_assert!(drawn <= all.len());
                }
                let output = |parsed: &[Result<Value, ParseFailure>]| aggregate(aggregator, parsed, &[]).ok().map(|a| a.output);
                prop_assert_eq!(output(&all[..drawn]), output(&all), "{} after {}", letters, drawn);
            }
        }
    }
}
