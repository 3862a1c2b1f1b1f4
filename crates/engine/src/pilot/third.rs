//! Insight 3: whether what happens upstream moves the best choice of a later stage.
//!
//! The best choices under two settings are found on some examples and compared on the others, so that the luck which made
//! a choice the best one does not also speak for it. Upstream moves the best choice if each of the two is better than the
//! other where it was found to be best.

use agenttts_core::{Answer, Insight, Level, Peak, PeakMove, PilotTest};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::hypothesis::{Hypothesis, LEVEL, family};
use super::interval;
use super::measure::Table;
use super::peak::{doublings, highest, peak};
use super::permutation::any_above;
use super::report::{Of, decided};
use super::run::{SettingData, StageData};

const CLAIM: &str = "What an earlier stage passes on moves the best choice of a later stage.";

/// Parts of the examples, each of which is left out once.
const FOLDS: usize = 5;

/// Times that the examples are divided anew.
const REPEATS: usize = 10;

/// The choices of a later stage under two settings, over the same examples.
struct Options<'a> {
    what: String,
    from: &'a SettingData,
    to: &'a SettingData,
    /// For every choice, the scores under both.
    scores: [Vec<Vec<f64>>; 2],
    /// The counts, where the choices are those of one table.
    counts: Option<(&'a str, Vec<u32>)>,
}

/// The insight on these stages.
pub(super) fn insight(of: &Of<'_>, stages: &[StageData]) -> Insight {
    let mut options: Vec<Options<'_>> = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for data in stages {
        let name = &of.loaded.pipeline.stages[data.stage].name;
        for (from, to) in contrasts(data) {
            for (table, found) in of_tables(from, to) {
                let curve = table.words(&from.tables);
                let what = format!("{name}, {curve}: {} and {} upstream", from.level.name(), to.level.name());
                names.push((name.clone(), curve));
                options.push(Options { what, from, to, scores: found, counts: Some(("", table.counts.clone())) });
            }
            if let Some(found) = of_all(from, to) {
                let what = format!("{name}, any choice: {} and {} upstream", from.level.name(), to.level.name());
                names.push((name.clone(), String::new()));
                options.push(Options { what, from, to, scores: found, counts: None });
            }
        }
    }
    let gains: Vec<[Vec<f64>; 2]> =
        options.iter().enumerate().map(|(i, o)| crossed(&o.scores, of.seed ^ i as u64)).collect();
    let moved = family("best choice moves", &hypotheses(of, &options, &gains, moves_choice), of.margin);
    let matters = family("choices matter differently", &hypotheses(of, &options, &gains, interacts), of.margin);
    let moves = peak_moves(of, &options, &names);
    let alpha = LEVEL / (2 * options.len()).max(1) as f64;
    let bounded = |g: &[Vec<f64>; 2]| g.iter().all(|side| interval::upper(side, alpha) < of.margin);
    let shown = |tests: &[PilotTest]| tests.iter().filter(|t| t.shown).map(|t| t.what.clone()).collect::<Vec<_>>();
    let (crossing, differing) = (shown(&moved), shown(&matters));
    let (answer, reason) = if options.is_empty() {
        (Answer::NotAsked, "No stage with a choice was measured under two settings of the stages before it.".to_owned())
    } else if !crossing.is_empty() {
        (
            Answer::Holds,
            format!("The best choice differs, and each is better where it is best: {}.", crossing.join("; ")),
        )
    } else if !differing.is_empty() {
        let reason = format!(
            "How much the choice matters depends on what comes from upstream ({}), but one choice may be best throughout.",
            differing.join("; ")
        );
        (Answer::Partly, reason)
    } else if gains.iter().all(bounded) {
        (Answer::Fails, format!("Whatever comes from upstream, the same choices are within {} of the best.", of.margin))
    } else {
        (Answer::NotShown, "No best choice is shown to move with what comes from upstream.".to_owned())
    };
    let mut words = vec![reason];
    words.extend(reach(stages, of));
    words.extend(closest(&moved));
    if answer == Answer::NotShown && gains.iter().flatten().flatten().all(|g| *g == 0.0) {
        let flat = vec![0.0; gains.first().map_or(0, |g| g[0].len())];
        let needed = interval::needed_to_bound(&flat, of.margin, alpha);
        words.push(format!("The same choices were best whatever came from upstream; about {needed} examples would show that none is better by {}.", of.margin));
    }
    words.extend(moved_words(&moves));
    Insight { number: 3, claim: CLAIM.into(), answer, words, tests: [moved, matters].concat(), moves }
}

/// Pairs of settings that are compared: the best choice upstream against the worst, and gold against the worst.
fn contrasts(data: &StageData) -> Vec<(&SettingData, &SettingData)> {
    let at = |level| data.settings.iter().find(|s| s.level == level);
    let worst = at(Level::Worst).or_else(|| at(Level::Middle));
    let pairs = match (at(Level::Gold), at(Level::Best), worst) {
        (gold, best, Some(worst)) => vec![(best, Some(worst)), (gold, Some(worst))],
        (gold, best, None) => vec![(gold, best)],
    };
    pairs.into_iter().filter_map(|(a, b)| Some((a?, b?))).filter(|(a, b)| !common(a, b).is_empty()).collect()
}

/// Places of the examples that both have.
fn common(a: &SettingData, b: &SettingData) -> Vec<(usize, usize)> {
    let both = |(i, e): (usize, &usize)| Some((i, b.examples.iter().position(|x| x == e)?));
    a.examples.iter().enumerate().filter_map(both).collect()
}

/// Every table with more than one count, with its scores under both settings.
fn of_tables<'a>(from: &'a SettingData, to: &'a SettingData) -> Vec<(&'a Table, [Vec<Vec<f64>>; 2])> {
    let both = |a: &'a Table| Some((a, to.tables.iter().find(|b| b.is_same(a))?));
    let pairs = from.tables.iter().filter(|t| t.counts.len() > 1).filter_map(both);
    pairs.map(|(a, b)| (a, aligned(&a.scores, &b.scores, &common(from, to)))).collect()
}

/// All choices of the stage; `None` where there is but one table of them.
fn of_all(from: &SettingData, to: &SettingData) -> Option<[Vec<Vec<f64>>; 2]> {
    if from.tables.len() < 2 {
        return None;
    }
    let all = |data: &SettingData| data.tables.iter().flat_map(|t| t.scores.clone()).collect::<Vec<_>>();
    Some(aligned(&all(from), &all(to), &common(from, to)))
}

fn aligned(a: &[Vec<f64>], b: &[Vec<f64>], examples: &[(usize, usize)]) -> [Vec<Vec<f64>>; 2] {
    let of_a = a.iter().map(|column| examples.iter().map(|(i, _)| column[*i]).collect()).collect();
    let of_b = b.iter().map(|column| examples.iter().map(|(_, j)| column[*j]).collect()).collect();
    [of_a, of_b]
}

/// For each of the two settings, how much better its own best choice is there than the other's, example by example: found
/// without the example's part.
fn crossed([a, b]: &[Vec<Vec<f64>>; 2], seed: u64) -> [Vec<f64>; 2] {
    let examples = a.first().map_or(0, Vec::len);
    let mut gains = [vec![0.0; examples], vec![0.0; examples]];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..examples).collect();
    let folds = FOLDS.min(examples);
    for _ in 0..REPEATS {
        order.shuffle(&mut rng);
        for fold in 0..folds {
            let inside = |place: usize| place % folds == fold;
            let train: Vec<usize> = (0..examples).filter(|p| !inside(*p)).map(|p| order[p]).collect();
            let (best_a, best_b) = (highest(a, &train), highest(b, &train));
            for e in (0..examples).filter(|p| inside(*p)).map(|p| order[p]) {
                gains[0][e] += (a[best_a][e] - a[best_b][e]) / REPEATS as f64;
                gains[1][e] += (b[best_b][e] - b[best_a][e]) / REPEATS as f64;
            }
        }
    }
    gains
}

/// Both must be above 0, so the larger p-value counts (an intersection-union test).
fn moves_choice(what: String, gains: &[Vec<f64>; 2], seed: u64) -> Hypothesis {
    let p = |side: usize| any_above(&gains[side..=side], seed ^ side as u64);
    let p = [p(0), p(1)];
    let weaker = usize::from(p[1] > p[0]);
    Hypothesis { what, differences: gains[weaker].clone(), reach: 1.0, p: p[weaker], sides: 1.0 }
}

/// The sum of both is above 0 only if the difference between choices depends on the setting.
fn interacts(what: String, gains: &[Vec<f64>; 2], seed: u64) -> Hypothesis {
    let sum: Vec<f64> = gains[0].iter().zip(&gains[1]).map(|(a, b)| a + b).collect();
    let p = any_above(std::slice::from_ref(&sum), seed);
    Hypothesis { what, differences: sum, reach: 2.0, p, sides: 1.0 }
}

fn hypotheses(
    of: &Of<'_>,
    options: &[Options<'_>],
    gains: &[[Vec<f64>; 2]],
    ask: fn(String, &[Vec<f64>; 2], u64) -> Hypothesis,
) -> Vec<Hypothesis> {
    let seed = |i: usize| of.seed ^ 0x33 ^ (i as u64) << 4;
    options.iter().zip(gains).enumerate().map(|(i, (o, g))| ask(o.what.clone(), g, seed(i))).collect()
}

fn peak_moves(of: &Of<'_>, options: &[Options<'_>], names: &[(String, String)]) -> Vec<PeakMove> {
    let of_one = |(options, (stage, curve)): (&Options<'_>, &(String, String))| {
        let (_, counts) = options.counts.as_ref()?;
        let [from, to] = &options.scores;
        let peaks: [Peak; 2] = [peak(counts, from, of.seed)?, peak(counts, to, of.seed)?];
        Some(PeakMove {
            stage: stage.clone(),
            curve: curve.clone(),
            from: options.from.level,
            to: options.to.level,
            peaks,
            doublings: doublings(counts, from, to, of.seed)?,
        })
    };
    options.iter().zip(names).filter_map(of_one).collect()
}

/// How far apart the settings are: where upstream hardly differs, nothing can be seen of its effect.
fn reach(stages: &[StageData], of: &Of<'_>) -> Vec<String> {
    let quality = |s: &SettingData| {
        let last = s.upstream.last().and_then(|u| u.score)?;
        Some(format!("{} {:.3}", s.level.name(), last.mean))
    };
    let sentence = |data: &StageData| {
        let all: Vec<String> = data.settings.iter().filter_map(quality).collect();
        let name = &of.loaded.pipeline.stages[data.stage].name;
        (all.len() > 1).then(|| format!("Upstream of {name} the scores are: {}.", all.join(", ")))
    };
    stages.iter().filter_map(sentence).collect()
}

/// The tests that are shown, or else the one that came nearest.
fn closest(tests: &[PilotTest]) -> Vec<String> {
    let words = |t: &PilotTest| format!("{}: {}.", t.what, decided(t));
    let shown: Vec<String> = tests.iter().filter(|t| t.shown).map(words).collect();
    if !shown.is_empty() {
        return shown;
    }
    let nearest = tests.iter().min_by(|a, b| a.p.total_cmp(&b.p)).filter(|t| t.p < 1.0);
    nearest.map(|t| format!("The nearest to it is {}", words(t))).into_iter().collect()
}

/// How many peaks stay where they are, and where the others go.
fn moved_words(moves: &[PeakMove]) -> Vec<String> {
    let stay = moves.iter().filter(|m| m.doublings.mean == 0.0).count();
    let all = moves.len();
    let summary = (all > 0).then(|| {
        format!("Of {all} peaks {stay} {} at the same number of samples.", if stay == 1 { "stays" } else { "stay" })
    });
    summary.into_iter().chain(moves.iter().filter(|m| m.doublings.mean != 0.0).map(sentence)).collect()
}

fn sentence(moved: &PeakMove) -> String {
    let at = |p: &Peak| format!("x{} [{}, {}]", p.samples, p.low, p.high);
    let d = moved.doublings;
    format!(
        "{}, {}: the peak is at {} with {} outputs upstream and at {} with {} ones: {:+.1} doublings [{:+.1}, {:+.1}].",
        moved.stage,
        moved.curve,
        at(&moved.peaks[0]),
        moved.from.name(),
        at(&moved.peaks[1]),
        moved.to.name(),
        d.mean,
        d.low,
        d.high
    )
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Zero-one scores of three choices with these means.
    fn scores(means: [f64; 3], examples: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
        means.map(|m| (0..examples).map(|_| f64::from(u8::from(rng.random_bool(m)))).collect()).to_vec()
    }

    fn p(a: [f64; 3], b: [f64; 3], examples: usize, seed: u64) -> [f64; 2] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let gains = crossed(&[scores(a, examples, &mut rng), scores(b, examples, &mut rng)], seed);
        [moves_choice(String::new(), &gains, seed).p, interacts(String::new(), &gains, seed).p]
    }

    #[test]
    fn a_best_choice_that_moves_is_told_from_one_that_matters_more() {
        let [moves, matters] = p([0.3, 0.6, 0.9], [0.7, 0.4, 0.2], 80, 1);
        assert!(moves < 0.01 && matters < 0.01, "{moves} {matters}");
        // The last choice is best under both, but matters only under the first.
        let [moves, matters] = p([0.2, 0.5, 0.9], [0.5, 0.5, 0.5], 80, 2);
        assert!(moves > 0.05, "{moves} {matters}");
    }

    #[test]
    fn where_nothing_moves_false_alarms_are_rare() {
        // The second setting is worse by the same amount whatever is chosen.
        let found: Vec<[f64; 2]> = (0..80).map(|seed| p([0.5, 0.6, 0.7], [0.3, 0.4, 0.5], 30, seed)).collect();
        let alarms = |which: usize| found.iter().filter(|p| p[which] <= 0.05).count();
        let (moves, matters) = (alarms(0), alarms(1));
        assert!(moves <= 5 && matters <= 11, "{moves} {matters}");
    }
}
