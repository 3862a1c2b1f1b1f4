//! Functional analysis of variance over a design: single choices, pairs, and the rest.
//!
//! Levels are coded by contrasts that are orthonormal under the levels' weights. Over a whole grid weighted by the
//! product of these weights the least-squares coefficients are then exactly the effects of the decomposition of
//! Hooker (2007), and a part's variance is the sum of its squared coefficients. Over a sample of the grid they estimate
//! them, and what the unexplained rest adds to such a sum by chance is taken off.

use super::design::Design;
use crate::surrogate::cholesky::{Cholesky, dot};

/// A least-squares decomposition of functions over a design.
pub(super) struct Anova<'a> {
    design: &'a Design,
    /// For each factor its contrasts: a value for every level.
    contrasts: Vec<Vec<Vec<f64>>>,
    /// Pairs of factors that are looked at.
    pub(super) pairs: Vec<[usize; 2]>,
    /// One column for each coefficient, the constant first, times its point's weight.
    weighted: Vec<Vec<f64>>,
    columns: Vec<Vec<f64>>,
    factor: Cholesky,
}

/// One function, decomposed.
pub(super) struct Decomposed {
    /// Its variance over the plans.
    pub(super) variance: f64,
    /// The variance of each factor's effect.
    pub(super) singles: Vec<f64>,
    /// The variance of each pair's.
    pub(super) pairs: Vec<f64>,
    coefficients: Vec<f64>,
}

impl<'a> Anova<'a> {
    /// With all pairs of the factors, most important first, that the design can tell apart.
    pub(super) fn new(design: &'a Design, by_importance: &[usize]) -> Self {
        let contrasts: Vec<Vec<Vec<f64>>> = design.factors.iter().map(|f| contrasts(&f.weights)).collect();
        let mut room = design.points.len() / if design.whole { 1 } else { 2 };
        room = room.saturating_sub(1 + contrasts.iter().map(Vec::len).sum::<usize>());
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for (i, &a) in by_importance.iter().enumerate() {
            for &b in &by_importance[..i] {
                let size = contrasts[a].len() * contrasts[b].len();
                if size <= room {
                    room -= size;
                    pairs.push([a.min(b), a.max(b)]);
                }
            }
        }
        pairs.sort_unstable();
        let mut columns = vec![vec![1.0; design.points.len()]];
        for (f, of) in contrasts.iter().enumerate() {
            columns.extend(of.iter().map(|c| design.points.iter().map(|p| c[p[f]]).collect()));
        }
        for &[a, b] in &pairs {
            for x in &contrasts[a] {
                columns.extend(contrasts[b].iter().map(|y| design.points.iter().map(|p| x[p[a]] * y[p[b]]).collect()));
            }
        }
        let weighted: Vec<Vec<f64>> =
            columns.iter().map(|c: &Vec<f64>| c.iter().zip(&design.weights).map(|(x, w)| x * w).collect()).collect();
        let mut factor = Cholesky::default();
        for (i, column) in columns.iter().enumerate() {
            let row: Vec<f64> = weighted[..i].iter().map(|w| dot(w, column)).collect();
            factor.push(&row, dot(&weighted[i], column));
        }
        Anova { design, contrasts, pairs, weighted, columns, factor }
    }

    /// Decomposes a function given by its value at every point of the design.
    pub(super) fn decompose(&self, values: &[f64]) -> Decomposed {
        let right: Vec<f64> = self.weighted.iter().map(|w| dot(w, values)).collect();
        let coefficients = self.factor.solve_transposed(&self.factor.solve(&right));
        let mean = right[0];
        let variance: f64 = values.iter().zip(&self.design.weights).map(|(v, w)| w * (v - mean).powi(2)).sum();
        let chance = if self.design.whole { 0.0 } else { self.unexplained(values, &coefficients) };
        let mut next = 1;
        let mut part = |size: usize| {
            let squares: f64 = coefficients[next..next + size].iter().map(|c| c * c).sum();
            next += size;
            (squares - size as f64 * chance).max(0.0)
        };
        let singles: Vec<f64> = self.contrasts.iter().map(|c| part(c.len())).collect();
        let pairs: Vec<f64> =
            self.pairs.iter().map(|&[a, b]| part(self.contrasts[a].len() * self.contrasts[b].len())).collect();
        let explained = singles.iter().chain(&pairs).sum::<f64>();
        Decomposed { variance: variance.max(explained), singles, pairs, coefficients }
    }

    /// The variance that chance gives each coefficient: that of the residuals over the number of points.
    fn unexplained(&self, values: &[f64], coefficients: &[f64]) -> f64 {
        let points = values.len() as f64;
        let free = points - coefficients.len() as f64;
        let mut residuals = values.to_vec();
        for (column, c) in self.columns.iter().zip(coefficients) {
            residuals.iter_mut().zip(column).for_each(|(r, x)| *r -= c * x);
        }
        dot(&residuals, &residuals) / free.max(1.0) / points
    }

    /// What each level of a factor adds to the mean.
    pub(super) fn effects(&self, of: &Decomposed, factor: usize) -> Vec<f64> {
        let start = 1 + self.contrasts[..factor].iter().map(Vec::len).sum::<usize>();
        let contrasts = &self.contrasts[factor];
        let effect = |level| contrasts.iter().zip(&of.coefficients[start..]).map(|(x, c)| c * x[level]).sum();
        (0..self.design.factors[factor].words.len()).map(effect).collect()
    }

    /// What each combination of a pair's levels adds beyond the sum of both, the second factor counting fastest.
    pub(super) fn departures(&self, of: &Decomposed, pair: usize) -> Vec<f64> {
        let size = |&[a, b]: &[usize; 2]| self.contrasts[a].len() * self.contrasts[b].len();
        let singles: usize = self.contrasts.iter().map(Vec::len).sum();
        let start = 1 + singles + self.pairs[..pair].iter().map(size).sum::<usize>();
        let [a, b] = self.pairs[pair];
        let mut all = Vec::new();
        for i in 0..self.design.factors[a].words.len() {
            for j in 0..self.design.factors[b].words.len() {
                let products =
                    self.contrasts[a].iter().flat_map(|x| self.contrasts[b].iter().map(move |y| x[i] * y[j]));
                all.push(products.zip(&of.coefficients[start..]).map(|(x, c)| c * x).sum());
            }
        }
        all
    }
}

/// Contrasts that are orthonormal among each other and to the constant under the weights: one fewer than levels.
fn contrasts(weights: &[f64]) -> Vec<Vec<f64>> {
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).zip(weights).map(|((x, y), w)| x * y * w).sum::<f64>();
    let mut basis = vec![vec![1.0; weights.len()]];
    for level in 1..weights.len() {
        let mut vector = vec![0.0; weights.len()];
        vector[level] = 1.0;
        for other in &basis {
            let along = inner(&vector, other);
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
        }
        let length = inner(&vector, &vector).sqrt();
        if length > 1e-9 {
            vector.iter_mut().for_each(|v| *v /= length);
            basis.push(vector);
        }
    }
    basis.split_off(1)
}

#[cfg(test)]
mod tests {
    use agenttts_core::{Factor, Part};

    use super::super::design::Levels;
    use super::*;

    /// Two factors with levels of these weights, all combinations.
    fn design(a: &[f64], b: &[f64]) -> Design {
        let levels = |stage: usize, weights: &[f64]| Levels {
            factor: Factor { stage: format!("s{stage}"), part: Part::Model },
            stage,
            words: weights.iter().map(f64::to_string).collect(),
            weights: weights.to_vec(),
        };
        let points: Vec<Vec<usize>> = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| vec![i, j])).collect();
        Design {
            factors: vec![levels(0, a), levels(1, b)],
            weights: points.iter().map(|p| a[p[0]] * b[p[1]]).collect(),
            plans: points.clone(),
            points,
            whole: true,
        }
    }

    #[test]
    fn an_additive_function_by_hand() {
        // f = 4 [second level of a] + 2 [second level of b], weights 1/4 and 1/2:
        // variances 16 * 3/16 = 3 and 4 * 1/4 = 1.
        let design = design(&[0.75, 0.25], &[0.5, 0.5]);
        let anova = Anova::new(&design, &[0, 1]);
        let of = anova.decompose(&[0.0, 2.0, 4.0, 6.0]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(of.singles[0], 3.0) && near(of.singles[1], 1.0) && near(of.variance, 4.0), "{:?}", of.singles);
        assert!(near(of.pairs[0], 0.0));
        assert!(anova.effects(&of, 0).iter().zip([-1.0, 3.0]).all(|(a, b)| near(*a, b)));
    }

    #[test]
    fn an_exclusive_or_is_all_pair() {
        let design = design(&[0.5, 0.5], &[0.5, 0.5]);
        let anova = Anova::new(&design, &[1, 0]);
        let of = anova.decompose(&[0.0, 1.0, 1.0, 0.0]);
        assert!(of.singles.iter().all(|v| *v < 1e-9) && (of.pairs[0] - 0.25).abs() < 1e-9);
        assert!(anova.departures(&of, 0).iter().zip([-0.5, 0.5, 0.5, -0.5]).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
