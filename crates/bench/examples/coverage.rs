//! How often intervals hold what they promise: simulated test splits whose true score is known.
//!
//! ```text
//! cargo run --release -p agenttts-bench --example coverage [STUDIES]
//! ```
//!
//! Prints, for every estimator, kind of score, number of examples and correlation, the share of 95% intervals that hold the truth
//! and their mean width; for comparisons also how often two equally good plans are called different ("false"), and how
//! often a difference of .10 is found ("power"). Seeded: the same table on every machine.
#![allow(clippy::print_stdout, reason = "an example's table")]

use agenttts_core::{Comparison, Estimate, holm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIZES: [usize; 5] = [20, 50, 100, 200, 500];
/// Examples of one source, and how much of an example's difficulty they share, in the clustered worlds.
const OF_ONE_SOURCE: usize = 4;
const SHARED: f64 = 0.3;

fn main() {
    let studies = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(4000);
    println!("{studies} simulated studies a row; coverage of 95% intervals\n");
    means(studies);
    pairs(studies);
    clusters(studies);
    families(studies);
}

/// Means of zero-one scores, of graded scores, and of draws without replacement from a pool that is the truth.
fn means(studies: usize) {
    println!("mean of scores                    n   coverage   worst at   width");
    type Draw = fn(&mut ChaCha8Rng, f64) -> f64;
    let kinds: [(&str, Draw, bool); 3] =
        [("zero-one", zero_one, false), ("graded, as F1", graded, false), ("zero-one, pool of 2n", zero_one, true)];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, draw, pool) in kinds {
        for n in SIZES {
            let (mut all, mut worst, mut width) = (0.0, (1.0, 0.0), 0.0);
            let truths = [0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95];
            for p in truths {
                let mut held = 0;
                for _ in 0..studies {
                    let (scores, truth) = if pool {
                        let pool: Vec<f64> = (0..2 * n).map(|_| draw(&mut rng, p)).collect();
                        let truth = pool.iter().sum::<f64>() / pool.len() as f64;
                        (pool[..n].to_vec(), truth)
                    } else {
                        ((0..n).map(|_| draw(&mut rng, p)).collect(), p)
                    };
                    let e = Estimate::of_scores(&scores);
                    held += usize::from(e.low - 1e-12 <= truth && truth <= e.high + 1e-12);
                    width += e.high - e.low;
                }
                let coverage = held as f64 / studies as f64;
                all += coverage;
                if coverage < worst.0 {
                    worst = (coverage, p);
                }
            }
            let rows = truths.len() as f64;
            let width = width / rows / studies as f64;
            println!("{name:<30} {n:>5}   {:.3}      {:.3} at {:.2}   {width:.3}", all / rows, worst.0, worst.1);
        }
    }
    println!();
}

/// Paired differences: two plans whose outcomes on an example share its difficulty.
fn pairs(studies: usize) {
    println!("paired difference                 n   coverage   worst   width   false   power at .10");
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (name, graded) in [("zero-one", false), ("graded", true)] {
        for n in SIZES {
            let mut all = Vec::new();
            let (mut wrong, mut found, mut width) = (0, 0, 0.0);
            let worlds = [(0.3, 0.0), (0.3, 0.8), (0.6, 0.5), (0.85, 0.0), (0.85, 0.8)];
            for (p, shared) in worlds {
                for gain in [0.0, 0.1] {
                    let mut held = 0;
                    for _ in 0..studies {
                        let (a, b): (Vec<f64>, Vec<f64>) =
                            (0..n).map(|_| pair(&mut rng, [p + gain, p], shared, graded)).unzip();
                        let Some(c) = Comparison::paired(&a, &b, None) else { continue };
                        let d = c.difference;
                        held += usize::from(d.low - 1e-12 <= gain && gain <= d.high + 1e-12);
                        width += (d.high - d.low) / studies as f64;
                        match gain == 0.0 {
                            true => wrong += usize::from(c.p < 0.05),
                            false => found += usize::from(c.p < 0.05),
                        }
                    }
                    all.push(held as f64 / studies as f64);
                }
            }
            let rows = (studies * worlds.len()) as f64;
            println!(
                "{name:<30} {n:>5}   {:.3}      {:.3}   {:.3}   {:.3}   {:.2}",
                all.iter().sum::<f64>() / all.len() as f64,
                all.iter().copied().fold(1.0, f64::min),
                width / all.len() as f64,
                wrong as f64 / rows,
                found as f64 / rows
            );
        }
    }
    println!();
}

/// Examples that come in fours from one source: what counting examples says, and what counting sources says.
fn clusters(studies: usize) {
    println!("examples in fours, paired         n   coverage by examples   by sources   width   width");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for n in SIZES {
        let of: Vec<u64> = (0..n).map(|i| (i / OF_ONE_SOURCE) as u64).collect();
        let (mut held, mut widths) = ([0; 2], [0.0; 2]);
        for _ in 0..studies {
            let mut differences = Vec::with_capacity(n);
            let mut taste = 0.0;
            for i in 0..n {
                if i % OF_ONE_SOURCE == 0 {
                    taste = normal(&mut rng) * SHARED.sqrt();
                }
                let own = normal(&mut rng) * (1.0 - SHARED).sqrt();
                // Which of the plans a source suits differs from source to source; on average neither.
                differences.push(if taste + own > 0.7 {
                    1.0
                } else if taste + own < -0.7 {
                    -1.0
                } else {
                    0.0
                });
            }
            let estimates = [Some(Estimate::of_values(&differences)), Estimate::of_clustered(&differences, &of)];
            for (i, e) in estimates.into_iter().flatten().enumerate() {
                held[i] += usize::from(e.low <= 0.0 && 0.0 <= e.high);
                widths[i] += (e.high - e.low) / studies as f64;
            }
        }
        let [plain, clustered] = held.map(|h| h as f64 / studies as f64);
        println!(
            "{:<30} {n:>5}   {plain:.3}                  {clustered:.3}        {:.3}   {:.3}",
            "differences", widths[0], widths[1]
        );
    }
    println!();
}

/// A winner among equals: how often it is called better than any of three baselines that are as good.
fn families(studies: usize) {
    println!("better than any of three equals   n   p < .05 alone   after Holm");
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for n in SIZES {
        let (mut alone, mut adjusted) = (0, 0);
        for _ in 0..studies {
            let plans: Vec<Vec<f64>> = {
                let difficulty: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
                let outcome = |d: &f64, own: f64| f64::from(u8::from(0.7 * d + 0.714 * own > -0.25));
                (0..4).map(|_| difficulty.iter().map(|d| outcome(d, normal(&mut rng))).collect()).collect()
            };
            let compared: Vec<Comparison> =
                plans[1..].iter().filter_map(|other| Comparison::paired(&plans[0], other, None)).collect();
            let p: Vec<f64> = compared.iter().map(|c| c.p).collect();
            let better = |p: &[f64]| compared.iter().zip(p).any(|(c, p)| *p < 0.05 && c.difference.mean > 0.0);
            alone += usize::from(better(&p));
            adjusted += usize::from(better(&holm(&p)));
        }
        let share = |count: usize| count as f64 / studies as f64;
        println!("{:<30} {n:>5}   {:.3}           {:.3}", "winner", share(alone), share(adjusted));
    }
}

fn zero_one(rng: &mut ChaCha8Rng, p: f64) -> f64 {
    f64::from(u8::from(rng.random::<f64>() < p))
}

/// A score of mean `p` that is often 0, often 1, and else between.
fn graded(rng: &mut ChaCha8Rng, p: f64) -> f64 {
    match rng.random::<f64>() < 0.5 {
        true => zero_one(rng, p),
        // Uniform about p, as far as 0 and 1 permit.
        false => p + (2.0 * rng.random::<f64>() - 1.0) * p.min(1.0 - p),
    }
}

/// Two outcomes with these means; with probability `shared` both are decided by the same luck.
fn pair(rng: &mut ChaCha8Rng, [p, q]: [f64; 2], shared: f64, partly: bool) -> (f64, f64) {
    if rng.random::<f64>() < shared {
        let luck = rng.random::<f64>();
        let outcome = |p: f64| f64::from(u8::from(luck < p));
        return (outcome(p), outcome(q));
    }
    match partly {
        true => (graded(rng, p), graded(rng, q)),
        false => (zero_one(rng, p), zero_one(rng, q)),
    }
}

/// A draw of the standard normal distribution (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
