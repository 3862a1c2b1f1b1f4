//! Aggregators that need no call: from parsed samples to one output.

use std::collections::HashMap;

use agenttts_core::Aggregator;
use serde_json::Value;

use crate::field::id_of;
use crate::normalise::vote_key;
use crate::parse::ParseFailure;

/// One output made of many samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The output.
    pub output: Value,
    /// The index of the sample whose output it is; `None` where it was composed (vote on sets, fusion).
    pub sample: Option<usize>,
    /// The share of the parsed samples that agree with the output, in `0..=1`. For a vote on sets the mean, over the
    /// ids of the output, of the share of samples that name the id.
    pub support: f64,
    /// How many samples took part.
    pub counts: Counts,
    /// Why the output does not come from the aggregator asked for: the vote stands in for an unusable fusion or
    /// judgement.
    pub fallback: Option<String>,
}

/// What came of running a sample's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Whether it is valid code.
    pub is_valid: bool,
    /// Whether it ran without a traceback.
    pub passed: bool,
    /// What it did as others see it: programs that did the same vote for one another.
    pub behaviour: String,
}

/// How many samples took part in an aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All samples.
    pub samples: usize,
    /// Those that could be parsed; only these vote.
    pub parsed: usize,
    /// Distinct answers among them.
    pub distinct: usize,
}

/// No sample could be parsed, so there is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOutput {
    /// How many samples there were.
    pub samples: usize,
    /// Why the first could not be parsed; `None` where there were no samples.
    pub first: Option<ParseFailure>,
}

impl std::fmt::Display for NoOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.first {
            None => f.write_str("there are no samples"),
            Some(failure) if self.samples == 1 => write!(f, "the sample has no output: {failure}"),
            Some(failure) => write!(f, "none of the {} samples has an output; the first: {failure}", self.samples),
        }
    }
}

impl std::error::Error for NoOutput {}

/// Aggregates parsed samples, in the order in which they were drawn. Samples that could not be parsed do not vote.
///
/// * `first`: the first sample that parses.
/// * `vote`: the answer of most samples after normalisation, in the words of the earliest of them; ties go to the answer
///   that was given first.
/// * `vote-set`: the ids that most samples name, as many as the samples name on average (rounded half up, at least 1);
///   ties go to the id that was named first. An output that is not a list counts as a list of one.
/// * `execution`: the samples whose code ran without a traceback vote by what they did, as `ran` tells for each sample; the
///   output is the earliest of them. If none did, those that are valid code vote as in `vote`, and if there are none, all
///   do. With one sample nothing needs to run.
/// * `fuse` and `judge` need a call, see [`crate::CompiledStage::combine`]; here they give the vote they fall back to.
///
/// Deterministic in the samples given, so the first `n` of `N` samples give what `n` samples alone give.
pub fn aggregate(
    aggregator: Aggregator,
    parsed: &[Result<Value, ParseFailure>],
    ran: &[Option<Ran>],
) -> Result<Aggregate, NoOutput> {
    let ballots: Vec<Ballot<'_>> = ballots(parsed);
    if ballots.is_empty() {
        let first = parsed.iter().find_map(|p| p.as_ref().err().cloned());
        return Err(NoOutput { samples: parsed.len(), first });
    }
    let tally = Tally::of(&ballots);
    let counts = Counts { samples: parsed.len(), parsed: ballots.len(), distinct: tally.groups.len() };
    let picked = |ballot: &Ballot<'_>| Aggregate {
        output: ballot.output.clone(),
        sample: Some(ballot.sample),
        support: tally.support(&ballot.key),
        counts,
        fallback: None,
    };
    Ok(match aggregator {
        Aggregator::First => picked(&ballots[0]),
        Aggregator::Vote | Aggregator::Fuse | Aggregator::Judge => picked(&ballots[tally.winner()]),
        Aggregator::Execution if ballots.len() == 1 => picked(&ballots[0]),
        Aggregator::Execution => vote_by_execution(&ballots, ran, counts),
        Aggregator::VoteSet => {
            let (output, support) = vote_on_sets(&ballots);
            Aggregate { output, sample: None, support, counts, fallback: None }
        }
    })
}

/// A sample that votes.
pub(crate) struct Ballot<'a> {
    pub(crate) sample: usize,
    pub(crate) output: &'a Value,
    pub(crate) key: String,
}

/// The samples that vote, in order.
pub(crate) fn ballots(parsed: &[Result<Value, ParseFailure>]) -> Vec<Ballot<'_>> {
    let voting = parsed.iter().enumerate().filter_map(|(i, p)| Some((i, p.as_ref().ok()?)));
    voting.map(|(sample, output)| Ballot { sample, output, key: vote_key(output) }).collect()
}

/// Votes counted by answer.
pub(crate) struct Tally<'a> {
    ballots: usize,
    /// Per answer: votes, and the position of its first ballot.
    groups: HashMap<&'a str, (usize, usize)>,
}

impl<'a> Tally<'a> {
    pub(crate) fn of(ballots: &'a [Ballot<'_>]) -> Self {
        let mut groups: HashMap<&str, (usize, usize)> = HashMap::new();
        for (position, ballot) in ballots.iter().enumerate() {
            groups.entry(&ballot.key).or_insert((0, position)).0 += 1;
        }
        Tally { ballots: ballots.len(), groups }
    }

    /// The number of distinct answers.
    pub(crate) fn distinct(&self) -> usize {
        self.groups.len()
    }

    /// The position of the first ballot of the answer with most votes, the earliest of them in a tie.
    fn winner(&self) -> usize {
        let best = self.groups.values().max_by_key(|(votes, position)| (*votes, std::cmp::Reverse(*position)));
        best.map_or(0, |(_, position)| *position)
    }

    /// The votes of the leading answer, and the most that another has, one more where that one would win a tie. Nothing of no
    /// ballots.
    pub(crate) fn lead(&self) -> (usize, usize) {
        let winner = self.winner();
        let of_winner = |(_, position): &&(usize, usize)| *position == winner;
        let leader = self.groups.values().find(of_winner).map_or(0, |(votes, _)| *votes);
        let others = self.groups.values().filter(|group| !of_winner(group));
        let threat = others.map(|(votes, position)| votes + usize::from(*position < winner)).max().unwrap_or(0);
        (leader, threat)
    }

    /// The share of ballots for an answer.
    pub(crate) fn support(&self, key: &str) -> f64 {
        let votes = self.groups.get(key).map_or(0, |(votes, _)| *votes);
        if self.ballots == 0 { 0.0 } else { votes as f64 / self.ballots as f64 }
    }
}

/// A vote of the samples that passed, by behaviour; else of those that are valid code, by answer; else of all.
fn vote_by_execution(ballots: &[Ballot<'_>], ran: &[Option<Ran>], counts: Counts) -> Aggregate {
    let of = |ballot: &Ballot<'_>| ran.get(ballot.sample).and_then(Option::as_ref);
    let among = |wanted: &dyn Fn(&Ran) -> bool, key: &dyn Fn(&Ballot<'_>) -> String| -> Vec<Ballot<'_>> {
        let kept = ballots.iter().filter(|ballot| of(ballot).is_some_and(wanted));
        kept.map(|b| Ballot { sample: b.sample, output: b.output, key: key(b) }).collect()
    };
    let behaviour = |ballot: &Ballot<'_>| of(ballot).map_or_else(String::new, |ran| ran.behaviour.clone());
    let passed = among(&|ran| ran.passed, &behaviour);
    let valid = among(&|ran| ran.is_valid, &|ballot| ballot.key.clone());
    let (voting, fallback) = match (passed.is_empty(), valid.is_empty()) {
        (false, _) => (passed.as_slice(), None),
        (true, false) => {
            (valid.as_slice(), Some("no sample ran without a traceback: the vote of those that are valid"))
        }
        (true, true) => (ballots, Some("no sample is valid code: the vote of all")),
    };
    let tally = Tally::of(voting);
    let winner = &voting[tally.winner()];
    // The share of all samples that could be read, as with the other aggregators.
    let support = tally.support(&winner.key) * voting.len() as f64 / ballots.len() as f64;
    Aggregate {
        output: winner.output.clone(),
        sample: Some(winner.sample),
        support,
        counts: Counts { distinct: tally.distinct(), ..counts },
        fallback: fallback.map(str::to_owned),
    }
}

fn vote_on_sets(ballots: &[Ballot<'_>]) -> (Value, f64) {
    let mut ids: Vec<(String, usize)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut named = 0;
    for ballot in ballots {
        let mut set = members(ballot.output);
        set.sort();
        set.dedup();
        named += set.len();
        for id in set {
            let place = *places.entry(id.clone()).or_insert_with(|| {
                ids.push((id, 0));
                ids.len() - 1
            });
            ids[place].1 += 1;
        }
    }
    // The mean size rounded half up, in integers: floor((2 named + n) / 2n).
    let n = ballots.len();
    let size = ((2 * named + n) / (2 * n)).max(1);
    // A stable sort leaves ids with equal votes in the order in which they were first named.
    ids.sort_by_key(|(_, votes)| std::cmp::Reverse(*votes));
    ids.truncate(size);
    let votes: usize = ids.iter().map(|(_, votes)| votes).sum();
    let support = if ids.is_empty() { 0.0 } else { votes as f64 / (n * ids.len()) as f64 };
    let mut output: Vec<String> = ids.into_iter().map(|(id, _)| id).collect();
    output.sort();
    (output.into(), support)
}

fn members(output: &Value) -> Vec<String> {
    let id = |v: &Value| id_of(v).unwrap_or_else(|| v.to_string());
    match output {
        Value::Array(items) => items.iter().map(id).collect(),
        other => vec![id(other)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    type Parsed = Vec<Result<Value, ParseFailure>>;

    fn voted(aggregator: Aggregator, parsed: &[Result<Value, ParseFailure>]) -> Result<Aggregate, NoOutput> {
        aggregate(aggregator, parsed, &[])
    }

    fn texts(list: &[&str]) -> Parsed {
        list.iter().map(|t| if t.is_empty() { Err(ParseFailure::Empty) } else { Ok(json!(t)) }).collect()
    }

    fn sets(list: &[&[&str]]) -> Parsed {
        list.iter().map(|s| Ok(json!(s))).collect()
    }

    #[test]
    fn first_is_the_first_that_parses() {
        let a = voted(Aggregator::First, &texts(&["", "Paris", "Rome", "rome."])).unwrap();
        assert_eq!((a.output, a.sample, a.support), (json!("Paris"), Some(1), 1.0 / 3.0));
        assert_eq!(a.counts, Counts { samples: 4, parsed: 3, distinct: 2 });
    }

    #[test]
    fn vote_counts_normalised_answers() {
        let a = voted(Aggregator::Vote, &texts(&["Rome", "The Paris", "", "paris."])).unwrap();
        assert_eq!((a.output, a.sample, a.support), (json!("The Paris"), Some(1), 2.0 / 3.0));
    }

    #[test]
    fn vote_ties_go_to_the_earliest_answer() {
        let a = voted(Aggregator::Vote, &texts(&["b", "a1", "A1", "B"])).unwrap();
        assert_eq!(a.output, json!("b"));
    }

    #[test]
    fn numbers_vote_by_value() {
        let parsed: Parsed = vec![Ok(json!(3)), Ok(json!(2)), Ok(json!(2.0))];
        assert_eq!(voted(Aggregator::Vote, &parsed).unwrap().output, json!(2));
    }

    #[test]
    fn sets_vote_by_id_and_keep_the_mean_size() {
        // Votes: a 3, b 2, c 1, d 1; sizes 2, 2, 3: mean 2.33, so two ids.
        let a = voted(Aggregator::VoteSet, &sets(&[&["a", "b"], &["a", "c"], &["a", "b", "d"]])).unwrap();
        assert_eq!((a.output, a.sample), (json!(["a", "b"]), None));
        assert!((a.support - 5.0 / 6.0).abs() < 1e-12);
        // Votes: a 3, c 2, b 1; the mean size 1.5 rounds up to two ids.
        let a = voted(Aggregator::VoteSet, &sets(&[&["b"], &["a", "c"], &["a"], &["c", "a"]])).unwrap();
        assert_eq!(a.output, json!(["a", "c"]));
        let a = voted(Aggregator::VoteSet, &sets(&[&["z"], &["a"]])).unwrap();
        assert_eq!(a.output, json!(["z"]));
    }

    #[test]
    fn sets_of_nothing_and_single_values_are_sets_too() {
        assert_eq!(voted(Aggregator::VoteSet, &sets(&[&[], &[]])).unwrap().output, json!([]));
        assert_eq!(voted(Aggregator::VoteSet, &texts(&["x", "x", "y"])).unwrap().output, json!(["x"]));
    }

    /// What running each sample came to: `-` not run, `x` invalid, `f` failed, else what it printed.
    fn ran(each: &[&str]) -> Vec<Option<Ran>> {
        let one = |told: &&str| match *told {
            "-" => None,
            "x" => Some(Ran { is_valid: false, passed: false, behaviour: String::new() }),
            "f" => Some(Ran { is_valid: true, passed: false, behaviour: String::new() }),
            printed => Some(Ran { is_valid: true, passed: true, behaviour: printed.into() }),
        };
        each.iter().map(one).collect()
    }

    #[test]
    fn programs_that_run_win_and_vote_by_what_they_print() {
        let programs = texts(&["a", "b", "c", "", "d"]);
        let of = |each: &[&str]| aggregate(Aggregator::Execution, &programs, &ran(each)).unwrap();
        // c and d print the same, and c is the earlier.
        let a = of(&["f", "1", "2", "-", "2"]);
        assert_eq!((a.output, a.sample, a.support, a.fallback), (json!("c"), Some(2), 0.5, None));
        // All that ran differ: the earliest.
        let a = of(&["x", "1", "2", "-", "3"]);
        assert_eq!((a.output, a.support, a.counts.distinct), (json!("b"), 0.25, 3));
        // A single one that runs wins against all that do not.
        assert_eq!(of(&["f", "f", "f", "-", "1"]).output, json!("d"));
    }

    #[test]
    fn where_no_program_runs_valid_ones_vote_and_else_all() {
        let programs = texts(&["a", "b", "b", "a"]);
        let of = |each: &[&str]| aggregate(Aggregator::Execution, &programs, &ran(each)).unwrap();
        let a = of(&["x", "f", "f", "x"]);
        assert_eq!((a.output, a.sample, a.support), (json!("b"), Some(1), 0.5));
        assert!(a.fallback.unwrap().starts_with("no sample ran without a traceback"));
        assert_eq!(of(&["x", "x", "f", "x"]).sample, Some(2));
        let a = of(&["x", "x", "x", "x"]);
        assert_eq!((a.output, a.support), (json!("a"), 0.5));
        // One sample needs no run.
        let one = aggregate(Aggregator::Execution, &programs[..1], &[]).unwrap();
        assert_eq!((one.output, one.fallback), (json!("a"), None));
    }

    #[test]
    fn without_a_parsed_sample_there_is_a_reason() {
        let error = voted(Aggregator::Vote, &texts(&["", ""])).unwrap_err();
        assert_eq!(error.to_string(), "none of the 2 samples has an output; the first: the text is empty");
        assert_eq!(voted(Aggregator::Vote, &[]).unwrap_err().to_string(), "there are no samples");
    }

    fn any_samples() -> impl Strategy<Value = Parsed> {
        let sample = prop_oneof![
            Just(Err(ParseFailure::NoNumber)),
            "[ab]{1,2}".prop_map(|s| Ok(json!(s))),
            proptest::collection::vec("[a-d]", 0..4).prop_map(|s| Ok(json!(s))),
        ];
        proptest::collection::vec(sample, 1..12)
    }

    proptest! {
        #[test]
        fn a_vote_without_tie_does_not_depend_on_order(samples in any_samples(), seed in any::<u64>()) {
            let voting = ballots(&samples);
            let tally = Tally::of(&voting);
            let most = tally.groups.values().map(|g| g.0).max();
            prop_assume!(most.is_some() && tally.groups.values().filter(|g| Some(g.0) == most).count() == 1);
            let mut shuffled = samples.clone();
            let n = shuffled.len();
            (1..n).for_each(|i| shuffled.swap(i, (seed.wrapping_mul(i as u64 + 7) % (i as u64 + 1)) as usize));
            let (a, b) = (voted(Aggregator::Vote, &samples).unwrap(), voted(Aggregator::Vote, &shuffled).unwrap());
            prop_assert_eq!(vote_key(&a.output), vote_key(&b.output));
            prop_assert_eq!(a.support, b.support);
            prop_assert_eq!(a.counts, b.counts);
        }

        #[test]
        fn support_is_a_share_and_the_output_one_of_the_samples(samples in any_samples()) {
            for aggregator in Aggregator::ALL {
                let Ok(a) = voted(aggregator, &samples) else { continue };
                prop_assert!((0.0..=1.0).contains(&a.support));
                if let Some(i) = a.sample {
                    prop_assert_eq!(Ok(&a.output), samples[i].as_ref());
                }
            }
        }

        #[test]
        fn voted_sets_hold_only_named_ids_sorted_once(samples in any_samples()) {
            let Ok(a) = voted(Aggregator::VoteSet, &samples) else { return Ok(()) };
            let chosen = members(&a.output);
            let mut sorted = chosen.clone();
            sorted.sort();
            sorted.dedup();
            prop_assert_eq!(&chosen, &sorted);
            let named: Vec<String> = samples.iter().flatten().flat_map(members).collect();
            prop_assert!(chosen.iter().all(|id| named.contains(id)));
        }
    }
}
