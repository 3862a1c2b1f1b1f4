//! Insight 2: whether the score rises with samples up to a peak and then falls or stays.

use agenttts_core::{Answer, CurveShape, Insight, PilotTest};

use super::hypothesis::{Hypothesis, LEVEL, family, mean, minus};
use super::interval;
use super::measure::Table;
use super::peak::highest;
use super::permutation::any_above;
use super::report::{Of, decided};
use super::run::SettingData;

const CLAIM: &str = "More samples raise a stage's score up to a peak; beyond it the score stays or falls.";

/// A curve with what was asked of it.
struct Asked<'a> {
    name: String,
    table: &'a Table,
    rise: Hypothesis,
    fall: Hypothesis,
    end: Hypothesis,
    /// The fewest samples beyond which no more than the margin is to be gained.
    enough: Option<u32>,
    /// How many examples would bound what is to be gained beyond the best count.
    bound_needed: u32,
}

/// The insight on these stages, and the shape of every table of theirs that has more than one count.
pub(super) fn insight(of: &Of<'_>, stages: &[(usize, &SettingData)]) -> (Insight, Vec<(usize, usize, CurveShape)>) {
    let curves: Vec<(usize, usize, &Table, &SettingData)> = stages
        .iter()
        .flat_map(|&(stage, data)| data.tables.iter().enumerate().map(move |(t, table)| (stage, t, table, data)))
        .filter(|(_, _, table, _)| table.counts.len() > 1)
        .collect();
    let alpha = LEVEL / curves.len().max(1) as f64;
    let asked: Vec<Asked<'_>> = curves
        .iter()
        .enumerate()
        .map(|(i, (stage, _, table, data))| {
            let name = format!("{}, {}", of.loaded.pipeline.stages[*stage].name, table.words(&data.tables));
            ask(name, table, of.margin, alpha, of.seed ^ (i as u64) << 8)
        })
        .collect();
    let all = |which: &dyn Fn(&Asked<'_>) -> Hypothesis, name| {
        family(name, &asked.iter().map(which).collect::<Vec<_>>(), of.margin)
    };
    let rises = all(&|a| a.rise.clone(), "rise above the fewest samples");
    let falls = all(&|a| a.fall.clone(), "fall to the most samples");
    let ends = all(&|a| a.end.clone(), "still rising at the most samples");
    let shape = |i: usize| shape(&asked[i], &rises[i], &falls[i], &ends[i]);
    let shapes: Vec<CurveShape> = (0..asked.len()).map(shape).collect();
    let (answer, reason) = answer(&asked, &shapes);
    let mut words = vec![reason];
    words.extend((0..asked.len()).map(|i| sentence(&asked[i], shapes[i], of.margin, [&rises[i], &falls[i], &ends[i]])));
    let tests = [rises, falls, ends].concat();
    let places = curves.iter().zip(&shapes).map(|((stage, t, ..), shape)| (*stage, *t, *shape)).collect();
    (Insight { number: 2, claim: CLAIM.into(), answer, words, tests, moves: Vec::new() }, places)
}

fn ask(name: String, table: &Table, margin: f64, alpha: f64, seed: u64) -> Asked<'_> {
    let (scores, counts, last) = (&table.scores, &table.counts, table.counts.len() - 1);
    let best = |columns: &[Vec<f64>], what: &dyn Fn(usize) -> String, seed| {
        let all: Vec<usize> = (0..columns.first().map_or(0, Vec::len)).collect();
        let at = highest(columns, &all);
        let differences = columns.get(at).cloned().unwrap_or_default();
        Hypothesis { what: what(at), differences, reach: 1.0, p: any_above(columns, seed), sides: 1.0 }
    };
    let up: Vec<Vec<f64>> = scores[1..].iter().map(|s| minus(s, &scores[0])).collect();
    let down: Vec<Vec<f64>> = scores[..last].iter().map(|s| minus(s, &scores[last])).collect();
    // The last doubling, or the last step where there is no whole doubling.
    let half = (0..last).rev().find(|&n| counts[n] * 2 <= counts[last]).unwrap_or(0);
    let over = [minus(&scores[last], &scores[half])];
    let gain = |n: usize| -> f64 {
        let share = alpha / (last - n) as f64;
        (n + 1..=last).map(|m| interval::upper(&minus(&scores[m], &scores[n]), share)).fold(0.0, f64::max)
    };
    let enough = (0..last).find(|&n| gain(n) < margin).map(|n| counts[n]);
    let top = highest(scores, &(0..scores[0].len()).collect::<Vec<_>>()).min(last - 1);
    Asked {
        rise: best(&up, &|at| format!("{name}: x{} minus x{}", counts[at + 1], counts[0]), seed),
        fall: best(&down, &|at| format!("{name}: x{} minus x{}", counts[at], counts[last]), seed ^ 1),
        end: best(&over, &|_| format!("{name}: x{} minus x{}", counts[last], counts[half]), seed ^ 2),
        enough,
        bound_needed: interval::needed_to_bound(&minus(&scores[last], &scores[top]), margin, alpha),
        name,
        table,
    }
}

fn shape(asked: &Asked<'_>, rise: &PilotTest, fall: &PilotTest, end: &PilotTest) -> CurveShape {
    match (rise.shown, fall.shown, asked.enough) {
        (_, false, Some(n)) if n == asked.table.counts[0] => CurveShape::Flat,
        (true, true, _) => CurveShape::PeakAndFall,
        (false, true, _) => CurveShape::Falls,
        (true, false, Some(_)) => CurveShape::Plateau,
        (true, false, None) if end.shown => CurveShape::StillRising,
        (true, false, None) => CurveShape::Rises,
        (false, false, _) => CurveShape::NotShown,
    }
}

fn answer(asked: &[Asked<'_>], shapes: &[CurveShape]) -> (Answer, String) {
    let named = |which: &dyn Fn(CurveShape) -> bool| -> Vec<&str> {
        asked.iter().zip(shapes).filter(|(_, s)| which(**s)).map(|(a, _)| a.name.as_str()).collect()
    };
    let confirmed = named(&|s| matches!(s, CurveShape::PeakAndFall | CurveShape::Plateau));
    let rising = named(&|s| s == CurveShape::StillRising);
    let open = named(&|s| s == CurveShape::Rises);
    let level = named(&|s| matches!(s, CurveShape::Flat | CurveShape::Falls));
    let list = |names: &[&str]| names.join("; ");
    if asked.is_empty() {
        (Answer::NotAsked, "No stage offers more than one number of samples.".into())
    } else if !confirmed.is_empty() && rising.is_empty() {
        (Answer::Holds, format!("It is shown for: {}. No curve is shown to go on rising.", list(&confirmed)))
    } else if !confirmed.is_empty() {
        let (yes, no) = (list(&confirmed), list(&rising));
        (Answer::Partly, format!("It is shown for: {yes}. But within the draws these go on rising: {no}."))
    } else if !open.is_empty() {
        let reason = format!("A rise is shown for: {}. That it ends within the draws is not shown.", list(&open));
        (Answer::Partly, reason)
    } else if !rising.is_empty() {
        (Answer::Fails, format!("Within the draws there is no peak: these go on rising: {}.", list(&rising)))
    } else if level.len() == asked.len() {
        (Answer::Fails, "More samples raise no curve by more than the margin.".into())
    } else {
        (Answer::NotShown, "No curve is shown to rise with samples.".into())
    }
}

fn sentence(asked: &Asked<'_>, shape: CurveShape, margin: f64, [rise, fall, end]: [&PilotTest; 3]) -> String {
    let table = asked.table;
    let top = highest(&table.scores, &(0..table.scores[0].len()).collect::<Vec<_>>());
    let last = table.counts.len() - 1;
    let scores = format!(
        "{:.3} with x{}, {:.3} at the peak of x{}, {:.3} with x{}",
        mean(&table.scores[0]),
        table.counts[0],
        mean(&table.scores[top]),
        table.counts[top],
        mean(&table.scores[last]),
        table.counts[last]
    );
    let evidence = match shape {
        CurveShape::PeakAndFall => format!("rise {}, fall {}", decided(rise), decided(fall)),
        CurveShape::Falls => format!("fall {}", decided(fall)),
        CurveShape::StillRising => format!("rise {}, at the end {}", decided(rise), decided(end)),
        CurveShape::Plateau => {
            let enough = asked.enough.unwrap_or_default();
            format!("rise {}; beyond x{enough} at most {margin} is to be gained", decided(rise))
        }
        CurveShape::Flat => format!("more samples gain at most {margin}"),
        CurveShape::Rises => {
            format!(
                "rise {}; about {} examples would bound what is to be gained further",
                decided(rise),
                asked.bound_needed
            )
        }
        CurveShape::NotShown => format!("rise {}", decided(rise)),
    };
    format!("{}: {} ({scores}; {evidence}).", asked.name, shape.words())
}

#[cfg(test)]
mod tests {
    use agenttts_core::{Aggregator, Temperature};

    use super::*;

    /// A curve over 1, 2, 4, 8 samples with these means on so many zero-one examples; the same examples are right as long
    /// as possible.
    fn table(means: [f64; 4], examples: usize) -> Table {
        let column =
            |m: f64| (0..examples).map(|e| f64::from(u8::from((e as f64 + 0.5) < m * examples as f64))).collect();
        Table {
            model: "m".into(),
            temperature: Temperature::GREEDY,
            aggregator: Aggregator::Vote,
            counts: vec![1, 2, 4, 8],
            scores: means.map(column).to_vec(),
            costs: vec![vec![1.0; examples]; 4],
            subsets: vec![(1, true); 4],
        }
    }

    fn shape_of(means: [f64; 4], examples: usize) -> CurveShape {
        let table = table(means, examples);
        let asked = ask("m".into(), &table, 0.05, LEVEL, 1);
        let test = |h: &Hypothesis| family("f", std::slice::from_ref(h), 0.05).remove(0);
        shape(&asked, &test(&asked.rise), &test(&asked.fall), &test(&asked.end))
    }

    #[test]
    fn curves_are_told_apart_where_there_are_examples_enough() {
        assert_eq!(shape_of([0.4, 0.6, 0.7, 0.5], 200), CurveShape::PeakAndFall);
        assert_eq!(shape_of([0.4, 0.7, 0.7, 0.7], 400), CurveShape::Plateau);
        assert_eq!(shape_of([0.4, 0.5, 0.6, 0.8], 200), CurveShape::StillRising);
        assert_eq!(shape_of([0.7, 0.6, 0.5, 0.4], 200), CurveShape::Falls);
        assert_eq!(shape_of([0.5; 4], 400), CurveShape::Flat);
    }

    #[test]
    fn few_examples_show_little() {
        assert_eq!(shape_of([0.5, 0.5, 0.6, 0.6], 10), CurveShape::NotShown);
        assert_eq!(shape_of([0.5; 4], 20), CurveShape::NotShown);
        assert_eq!(shape_of([0.2, 0.6, 0.8, 0.8], 20), CurveShape::Rises);
    }
}
