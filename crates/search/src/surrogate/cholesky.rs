//! Cholesky factors of small covariance matrices, with one row at a time appended.

/// A lower-triangular factor, stored row by row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

/// The least variance that an appended row may have left: keeps near-duplicates from dividing by nothing.
const FLOOR: f64 = 1e-9;

impl Cholesky {
    /// Appends a row of the matrix: its covariances with the rows so far, and its variance.
    pub(crate) fn push(&mut self, covariances: &[f64], variance: f64) {
        let mut row = self.solve(covariances);
        let left = variance - dot(&row, &row);
        row.push(left.max(FLOOR).sqrt());
        self.rows.push(row);
    }

    /// `L⁻¹ b`, for a `b` of at most as many entries as there are rows.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = Vec::with_capacity(b.len() + 1);
        for (row, &value) in self.rows.iter().zip(b) {
            let i = x.len();
            x.push((value - dot(&row[..i], &x)) / row[i]);
        }
        x
    }

    /// `L z`: with standard normal `z`, a draw with the matrix as its covariance.
    pub(crate) fn times(&self, z: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|row| dot(row, z)).collect()
    }

    /// `L⁻ᵀ b`: with `b = L⁻¹ a`, the solution `x` of the whole matrix times `x` = `a`.
    pub(crate) fn solve_transposed(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in (0..self.rows.len().min(x.len())).rev() {
            let row = &self.rows[i];
            x[i] /= row[i];
            for j in 0..i {
                x[j] -= row[j] * x[i];
            }
        }
        x
    }

    /// The logarithm of the determinant of the matrix.
    pub(crate) fn log_determinant(&self) -> f64 {
        self.rows.iter().filter_map(|r| r.last()).map(|d| 2.0 * d.ln()).sum()
    }
}

/// Sums that run side by side in [`dot`].
const LANES: usize = 8;

/// The sum of products, as long as the shorter of the two. In lanes: one sum would have to wait for each addition before
/// the next, as floating-point additions may not be reordered.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (a[..n].chunks_exact(LANES), b[..n].chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    let mut lanes = [0.0; LANES];
    for (a, b) in a.zip(b) {
        for (sum, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_and_solves_by_hand() {
        // [[4, 2], [2, 5]] = L Lᵀ with L = [[2, 0], [1, 2]]; its determinant is 16.
        let mut factor = Cholesky::default();
        factor.push(&[], 4.0);
        factor.push(&[2.0], 5.0);
        assert_eq!(factor.solve(&[2.0, 5.0]), vec![1.0, 2.0]);
        assert_eq!(factor.times(&[1.0, 2.0]), vec![2.0, 5.0]);
        assert_eq!(factor.solve_transposed(&[1.0, 2.0]), vec![0.0, 1.0]);
        assert!((factor.log_determinant() - 16f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn products_of_any_length_are_summed_whole() {
        for n in [0, 1, 7, 8, 9, 40] {
            let ones: Vec<f64> = vec![1.0; n];
            let numbers: Vec<f64> = (1..=n + 3).map(|i| i as f64).collect();
            assert_eq!(dot(&ones, &numbers), (n * (n + 1) / 2) as f64);
            assert_eq!(dot(&numbers, &ones), (n * (n + 1) / 2) as f64);
        }
    }

    #[test]
    fn an_exact_duplicate_does_not_divide_by_nothing() {
        let mut factor = Cholesky::default();
        factor.push(&[], 1.0);
        factor.push(&[1.0], 1.0);
        assert!(factor.solve(&[1.0, 1.0]).iter().all(|x| x.is_finite()));
    }
}
