//! Shares of variance with their intervals.

use agenttts_core::{Credible, Importance, PairImportance};
use rand_chacha::ChaCha8Rng;

use super::DRAWS;
use super::anova::{Anova, Decomposed};
use super::belief::of_draws;
use super::design::Design;
use crate::surrogate::Surrogate;

/// What matters, with everything that other parts need of the decomposition.
pub(super) struct Shares {
    pub(super) spread: Credible,
    pub(super) rest: Credible,
    /// By share, largest first.
    pub(super) importance: Vec<Importance>,
    /// By share, largest first.
    pub(super) pairs: Vec<PairImportance>,
    /// Pairs of factors of the design, in its order.
    pub(super) details: Vec<PairDetail>,
}

/// One pair of factors in all draws.
pub(super) struct PairDetail {
    pub(super) factors: [usize; 2],
    /// The pair's share in every draw.
    pub(super) shares: Vec<f64>,
    /// For each level of the first and each of the second what they add beyond the sum.
    pub(super) departures: Vec<Vec<Credible>>,
}

impl Shares {
    /// Whether any choice or pair of choices makes a difference whose sign is known.
    pub(super) fn is_measurable(&self) -> bool {
        self.importance.iter().any(|i| i.effect.is_measurable())
            || self.pairs.iter().any(|p| p.departure.is_measurable())
    }
}

pub(super) fn importance(surrogate: &Surrogate, design: &Design, rng: &mut ChaCha8Rng) -> Shares {
    let draws = surrogate.draws(&design.plans, DRAWS, rng);
    let order = by_importance(design, &draws);
    let anova = Anova::new(design, &order);
    let all: Vec<Decomposed> = draws.iter().map(|d| anova.decompose(d)).collect();
    let share = |part: &dyn Fn(&Decomposed) -> f64| -> Vec<f64> {
        all.iter().map(|d| if d.variance > 0.0 { part(d) / d.variance } else { 0.0 }).collect()
    };
    let mut importance: Vec<Importance> = (0..design.factors.len())
        .map(|f| single(&anova, design, &all, f, of_draws(share(&|d| d.singles[f]))))
        .collect();
    importance.sort_by(|a, b| b.share.mean.total_cmp(&a.share.mean));
    let details: Vec<PairDetail> = (0..anova.pairs.len())
        .map(|p| PairDetail {
            factors: anova.pairs[p],
            shares: share(&|d| d.pairs[p]),
            departures: departures(&anova, design, &all, p),
        })
        .collect();
    let mut pairs: Vec<PairImportance> = details.iter().map(|d| pair(design, d)).collect();
    pairs.sort_by(|a, b| b.share.mean.total_cmp(&a.share.mean));
    let rest = share(&|d| (d.variance - d.singles.iter().chain(&d.pairs).sum::<f64>()).max(0.0));
    Shares {
        spread: of_draws(all.iter().map(|d| d.variance.sqrt()).collect()),
        rest: of_draws(rest),
        importance,
        pairs,
        details,
    }
}

/// The factors by the mean variance that each explains alone.
fn by_importance(design: &Design, draws: &[Vec<f64>]) -> Vec<usize> {
    let alone = Anova::new(design, &[]);
    let mut sums = vec![0.0; design.factors.len()];
    for draw in draws {
        sums.iter_mut().zip(alone.decompose(draw).singles).for_each(|(s, v)| *s += v);
    }
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]));
    order
}

fn single(anova: &Anova<'_>, design: &Design, all: &[Decomposed], factor: usize, share: Credible) -> Importance {
    let effects: Vec<Vec<f64>> = all.iter().map(|d| anova.effects(d, factor)).collect();
    let levels = &design.factors[factor];
    let mean = |level: usize| effects.iter().map(|e| e[level]).sum::<f64>();
    let count = levels.words.len();
    let best = (0..count).max_by(|&a, &b| mean(a).total_cmp(&mean(b))).unwrap_or(0);
    let worst = (0..count).min_by(|&a, &b| mean(a).total_cmp(&mean(b))).unwrap_or(0);
    Importance {
        factor: levels.factor.clone(),
        share,
        best: levels.words[best].clone(),
        worst: levels.words[worst].clone(),
        effect: of_draws(effects.iter().map(|e| e[best] - e[worst]).collect()),
    }
}

fn departures(anova: &Anova<'_>, design: &Design, all: &[Decomposed], pair: usize) -> Vec<Vec<Credible>> {
    let drawn: Vec<Vec<f64>> = all.iter().map(|d| anova.departures(d, pair)).collect();
    let [rows, columns] = anova.pairs[pair].map(|f| design.factors[f].words.len());
    let cell = |i: usize, j: usize| of_draws(drawn.iter().map(|d| d[i * columns + j]).collect());
    (0..rows).map(|i| (0..columns).map(|j| cell(i, j)).collect()).collect()
}

fn pair(design: &Design, detail: &PairDetail) -> PairImportance {
    let [a, b] = detail.factors.map(|f| &design.factors[f]);
    // Rare levels have large and uncertain departures: what counts is how far off a plan is on average.
    let cells =
        detail.departures.iter().enumerate().flat_map(|(i, row)| row.iter().enumerate().map(move |(j, &c)| (i, j, c)));
    let size = |&(i, j, c): &(usize, usize, Credible)| c.mean.abs() * (a.weights[i] * b.weights[j]).sqrt();
    let (i, j, departure) = cells.max_by(|x, y| size(x).total_cmp(&size(y))).unwrap_or((0, 0, Credible::default()));
    PairImportance {
        factors: [a.factor.clone(), b.factor.clone()],
        share: of_draws(detail.shares.clone()),
        levels: [a.words[i].clone(), b.words[j].clone()],
        departure,
    }
}
