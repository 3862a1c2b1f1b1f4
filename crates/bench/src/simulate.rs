//! Simulated landscapes: seeded families in which the three insights of AgentTTS (arXiv 2508.00890) hold, and families
//! in which one of them is broken. Landscapes of one seed differ in the broken insight alone.

use agenttts_core::text::nearest;
use agenttts_core::{CallTokens, Cost, CostModel, ModelSpec, Problem, Problems};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::landscape::{Table, TableModel, TableRow, TableStage, model_spec};

/// What a simulated landscape's name begins with: `sim:FAMILY:SEED`.
pub const SIMULATED: &str = "sim:";

/// A family of landscapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// All three insights hold.
    Insights,
    /// Size is not quality: skills and gains are dealt to the models at random.
    NoInsight1,
    /// More samples always help: no plateau and no peak.
    NoInsight2,
    /// Stages do not move each other's optimum.
    NoInsight3,
    /// Later stages move the optimum of earlier ones.
    Reversed,
}

const FAMILIES: [(&str, Family, &str); 5] = [
    ("insights", Family::Insights, "all three insights hold"),
    ("no-insight-1", Family::NoInsight1, "size is not quality"),
    ("no-insight-2", Family::NoInsight2, "more samples always help"),
    ("no-insight-3", Family::NoInsight3, "stages do not move each other's optimum"),
    ("reversed", Family::Reversed, "later stages move the optimum of earlier ones"),
];

/// Stages as in the paper's tasks: name, prompt and decoded tokens, pool of parameters in billions, how strongly size
/// counts and how much samples gain.
type Kind = (&'static str, u64, u64, &'static [f64], f64, f64);

const TASKS: [&[Kind]; 3] = [
    &[("retrieve", 2048, 128, &[7.0, 32.0, 72.0], 0.45, 0.05), ("answer", 256, 64, &[3.0, 8.0, 70.0], 0.25, 0.25)],
    &[("retrieve", 1024, 64, &[7.0, 72.0], 0.40, 0.06), ("answer", 256, 64, &[8.0, 70.0], 0.22, 0.20)],
    &[
        ("decompose", 1024, 64, &[8.0, 70.0], 0.20, 0.12),
        ("select-tools", 1024, 256, &[8.0, 70.0], 0.30, 0.10),
        ("fill-parameters", 1024, 2048, &[8.0, 70.0], 0.25, 0.15),
    ],
];

/// Counts of samples with two stages and with three: the table stays below a few thousand plans.
const FINE: [u32; 20] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100];
const COARSE: [u32; 9] = [1, 2, 3, 5, 8, 12, 20, 30, 50];

/// Plans up to this share above the budget are listed.
const LISTED_ABOVE: f64 = 1.2;

/// The simulated landscape of a name such as `sim:insights:7`.
///
/// # Errors
/// A name that is not `sim:FAMILY:SEED`, with the nearest family.
pub fn simulate(name: &str) -> Result<Table, Problems> {
    let bad = |message: String, hint: String| Problems::from(Problem::new(message).hint(hint));
    let names = FAMILIES.map(|f| f.0);
    let families = || format!("simulated landscapes are sim:FAMILY:SEED, with the families {}", names.join(", "));
    let parts = name.strip_prefix(SIMULATED).and_then(|rest| rest.split_once(':'));
    let (family, seed) = parts.ok_or_else(|| bad(format!("{name:?} names no simulated landscape"), families()))?;
    let Some(&(_, kind, about)) = FAMILIES.iter().find(|f| f.0 == family) else {
        let hint = nearest(family, &names).map_or_else(families, |near| format!("did you mean sim:{near}:{seed}?"));
        return Err(bad(format!("{name:?}: there is no family {family:?}"), hint));
    };
    let seed = seed.parse().map_err(|_| {
        bad(format!("{name:?}: the seed {seed:?} is not a whole number"), format!("such as sim:{family}:7"))
    })?;
    Ok(table(name, kind, about, seed))
}

/// One model of a stage, as far as its quality goes.
#[derive(Clone, Copy)]
struct Skill {
    /// Quality with one sample and perfect input.
    base: f64,
    /// What samples add at most.
    gain: f64,
    /// Samples after which about two thirds of the gain are there.
    pace: f64,
    /// Samples beyond which fusing them begins to cost quality, after good input.
    peak: f64,
    /// What each doubling beyond the peak costs.
    fall: f64,
}

struct Stage {
    skills: Vec<Skill>,
    /// The share of its quality that it keeps with worthless input.
    floor: f64,
}

fn table(name: &str, family: Family, about: &str, seed: u64) -> Table {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let task = TASKS[rng.random_range(0..TASKS.len())];
    let mut stages: Vec<Stage> = task.iter().map(|kind| stage(kind, &mut rng)).collect();
    // Drawn for every family, so that families of one seed differ in nothing else.
    let tightness = rng.random_range(0.85..1.15);
    if family == Family::NoInsight1 {
        // Chance may leave every model its own.
        while !deal_anew(&mut stages, &mut rng) {}
    }
    let counts: &[u32] = if task.len() < 3 { &FINE } else { &COARSE };
    let cost = |s: usize, m: usize, n: u32| -> Cost {
        let (_, prompt, decode, pool, ..) = task[s];
        let model = ModelSpec { params: Some((pool[m] * 1e9) as u64), ..model_spec("") };
        CostModel::PaperFlops.call(&model, &CallTokens::planned(prompt, decode, n)).unwrap_or(Cost::ZERO)
    };
    let largest: Cost = (0..task.len()).map(|s| cost(s, task[s].3.len() - 1, 1)).sum();
    let budget = (CostModel::PaperFlops.units(largest) * tightness / 10.0).round() * 10.0;
    let mut rows = Vec::new();
    let mut choices: Vec<Vec<(usize, u32)>> = vec![Vec::new()];
    for kind in task {
        let options = (0..kind.3.len()).flat_map(|m| counts.iter().map(move |&n| (m, n)));
        let options: Vec<(usize, u32)> = options.collect();
        choices = choices
            .into_iter()
            .flat_map(|head| options.iter().map(move |&o| head.iter().copied().chain([o]).collect()))
            .collect();
    }
    for choices in choices {
        let spent: Cost = choices.iter().enumerate().map(|(s, &(m, n))| cost(s, m, n)).sum();
        let spent = (CostModel::PaperFlops.units(spent) * 100.0).round() / 100.0;
        if spent <= budget * LISTED_ABOVE {
            let score = (score(&stages, &choices, family) * 1e4).round() / 1e4;
            rows.push(TableRow { choices, score, cost: spent });
        }
    }
    Table {
        name: name.to_owned(),
        note: format!("simulated: {about}"),
        budget,
        cost_model: CostModel::PaperFlops,
        noise_examples: 50,
        stages: task
            .iter()
            .map(|&(name, prompt, decode, pool, ..)| TableStage {
                name: name.to_owned(),
                prompt_tokens: Some(prompt),
                decode_tokens: Some(decode),
                models: pool.iter().map(|&b| TableModel { name: format!("m-{b}b"), params_b: Some(b) }).collect(),
            })
            .collect(),
        rows,
    }
}

fn stage(&(_, _, _, pool, size_counts, gains): &Kind, rng: &mut ChaCha8Rng) -> Stage {
    let most: f64 = rng.random_range(0.72..0.95);
    let span = size_counts * rng.random_range(0.6..1.4);
    let gain = gains * rng.random_range(0.6..1.6);
    let (small, large) = (pool.first().copied().unwrap_or(1.0), pool.last().copied().unwrap_or(1.0));
    let skill = |&billions: &f64, rng: &mut ChaCha8Rng| {
        // 0 for the smallest model, 1 for the largest.
        let size = (billions / small).ln() / (large / small).ln();
        let base = (most - span * (1.0 - size).powf(rng.random_range(0.7..1.5))).clamp(0.1, 0.95);
        Skill {
            base,
            // A small model leaves samples more to gain, and fuses many of them worse.
            gain: gain * (1.0 - 0.7 * size) * rng.random_range(0.7..1.3),
            pace: rng.random_range(2.0..8.0),
            peak: (6.0 + 14.0 * size) * rng.random_range(0.7..1.5),
            fall: 0.035 * (1.0 - 0.6 * size) * rng.random_range(0.4..1.4),
        }
    };
    Stage { skills: pool.iter().map(|b| skill(b, rng)).collect(), floor: rng.random_range(0.25..0.6) }
}

/// Deals each stage's skills to its models at random, and says whether any has another's now.
fn deal_anew(stages: &mut [Stage], rng: &mut ChaCha8Rng) -> bool {
    let mut moved = false;
    for stage in stages {
        let mut order: Vec<usize> = (0..stage.skills.len()).collect();
        order.shuffle(rng);
        moved |= !order.is_sorted();
        stage.skills = order.into_iter().map(|i| stage.skills[i]).collect();
    }
    moved
}

/// The true score of a plan: the quality of the last stage, each stage's input being the stage before.
fn score(stages: &[Stage], choices: &[(usize, u32)], family: Family) -> f64 {
    let own = |s: usize, input: f64| {
        let (m, n) = choices[s];
        quality(&stages[s].skills[m], f64::from(n), input, family)
    };
    let order: Vec<usize> = match family {
        Family::Reversed => (0..stages.len()).rev().collect(),
        _ => (0..stages.len()).collect(),
    };
    let mut input = 1.0;
    for (place, &s) in order.iter().enumerate() {
        // Good input is what the paper calls good: a retrieval F1 of .8.
        let moved = if family == Family::NoInsight3 || place == 0 { GOOD_INPUT } else { input };
        let floor = if place == 0 { 1.0 } else { stages[s].floor };
        input = own(s, moved) * (floor + (1.0 - floor) * input);
    }
    input.clamp(0.01, 0.99)
}

const GOOD_INPUT: f64 = 0.8;

/// How fast worse input moves the peak to more samples: with a retrieval F1 of .80, .60 and .35 the paper's 8B model
/// peaks at 10, 20 and more than 90 samples.
const PEAK_SHIFT: f64 = 4.5;

fn quality(skill: &Skill, samples: f64, input: f64, family: Family) -> f64 {
    if family == Family::NoInsight2 {
        return skill.base + skill.gain * samples.ln() / 100f64.ln();
    }
    let shift = (PEAK_SHIFT * (GOOD_INPUT - input)).exp();
    let rise = skill.gain * (1.0 - (-(samples - 1.0) / (skill.pace * shift.max(1.0))).exp());
    let fall = skill.fall * (samples / (skill.peak * shift)).log2().max(0.0);
    (skill.base + rise - fall).max(0.02)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_the_same_landscape_always_and_another_seed_another() {
        let of = |name: &str| simulate(name).unwrap();
        assert_eq!(of("sim:insights:7"), of("sim:insights:7"));
        assert_ne!(of("sim:insights:7").rows, of("sim:insights:8").rows);
        for (family, ..) in FAMILIES {
            for seed in 0..20 {
                let table = of(&format!("sim:{family}:{seed}"));
                assert!((200..6000).contains(&table.rows.len()), "{family} {seed}: {}", table.rows.len());
                table.space().unwrap();
            }
        }
    }

    /// The best number of samples of the last stage's first model, given the first stage's choice.
    fn best_samples(table: &Table, first: (usize, u32)) -> u32 {
        let rows = table.rows.iter().filter(|r| r.choices[0] == first && r.choices[1].0 == 0);
        rows.max_by(|a, b| a.score.total_cmp(&b.score)).unwrap().choices[1].1
    }

    #[test]
    fn broken_insights_are_broken() {
        // Seeds whose task has two stages and three models each.
        let seeds = (0..40).filter(|s| simulate(&format!("sim:insights:{s}")).unwrap().stages[0].models.len() == 3);
        let (mut later, mut all) = (0, 0);
        for seed in seeds {
            let of = |family: &str| simulate(&format!("sim:{family}:{seed}")).unwrap();
            let (hold, alone, more) = (of("insights"), of("no-insight-3"), of("no-insight-2"));
            // A worse first stage moves the optimum of the second to more samples, or not at all where it is broken.
            all += 1;
            later += u32::from(best_samples(&hold, (0, 1)) > best_samples(&hold, (2, 1)));
            assert_eq!(best_samples(&alone, (0, 1)), best_samples(&alone, (1, 1)), "seed {seed}");
            let most = more.rows.iter().filter(|r| r.choices[..1] == [(0, 1)] && r.choices[1].0 == 0);
            assert_eq!(best_samples(&more, (0, 1)), most.map(|r| r.choices[1].1).max().unwrap(), "seed {seed}");
        }
        assert!(later * 2 > all, "{later} of {all}");
    }

    #[test]
    fn skills_are_never_left_as_they_were() {
        for seed in 0..100 {
            let of = |family: &str| simulate(&format!("sim:{family}:{seed}")).unwrap();
            assert_ne!(of("insights").rows, of("no-insight-1").rows, "seed {seed}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_what_there_is() {
        let error = |name: &str| simulate(name).unwrap_err().to_string();
        assert!(error("sim:insight:7").contains("did you mean sim:insights:7?"));
        assert!(error("sim:insights").contains("sim:FAMILY:SEED") && error("sim:").contains("no-insight-1"));
        assert!(error("sim:insights:x").contains("not a whole number"));
    }
}
