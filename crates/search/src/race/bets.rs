//! Evidence against "on all planned examples the plan scores at least as much as the leader", by betting.
//!
//! Let `d` be the leader's score of an example less the plan's. The planned examples are finitely many and come in a
//! random order. If the sentence is true, their `d` sum to at most 0 (or to at most what earlier examples leave), so the
//! mean of those that are still to come is at most what the sum leaves over them. A gambler who bets at every example that its `d`
//! is above that mean cannot expect to gain; by Ville's inequality her capital ever exceeds `1/e` times what she began
//! with only with probability `e`, however often one looks and whenever one stops. (Waudby-Smith and Ramdas,
//! "Estimating means of bounded random variables by betting", JRSS B 86, 2024: section 5, sampling without replacement.)
//!
//! The leader's scores of all planned examples are known, and so is their mean `x̄`. So besides `d` one may bet on
//! `x̄ - plan's score`, which has the same sum: the first is sharper where plans fail on the same examples, the second
//! where they do not. Several gamblers who share the first capital are one gambler.
//!
//! Where even full marks on all examples to come would not be enough, no chance is involved at all.

/// How much of the difference to the mean is kept of the leader's score of an example: `x̄ + KEPT * (x - x̄)` stands for `x`.
const KEPT: [f64; 2] = [0.0, 1.0];

/// The share of the capital that is lost where a bet turns out worst.
const STAKES: [f64; 3] = [0.25, 0.5, 0.75];

/// Sums are compared up to rounding.
const ROUNDING: f64 = 1e-9;

pub(super) struct Bets {
    /// The leader's mean over the planned examples.
    mean: f64,
    /// Planned examples to come.
    left: f64,
    /// The most that `d` may sum to, over those to come, if the sentence is true.
    room: f64,
    /// The least that it can sum to over those to come.
    least: f64,
    gamblers: Vec<Gambler>,
    /// The highest capital so far, in multiples of the first.
    highest: f64,
}

struct Gambler {
    kept: f64,
    stake: f64,
    /// As [`Bets::room`], in terms of what she bets on.
    room: f64,
    log_capital: f64,
}

impl Bets {
    /// Bets on examples of which the leader has these scores (none where it has not seen the example: such are not
    /// bet on), where the sum of `d` over them may be at most `room`.
    pub(super) fn new(theirs: &[Option<f64>], room: f64) -> Self {
        let scores: Vec<f64> = theirs.iter().flatten().copied().collect();
        let sum: f64 = scores.iter().sum();
        let gamblers =
            KEPT.into_iter().flat_map(|kept| STAKES.map(|stake| Gambler { kept, stake, room, log_capital: 0.0 }));
        Bets {
            mean: sum / scores.len().max(1) as f64,
            left: scores.len() as f64,
            room,
            least: sum - scores.len() as f64,
            gamblers: gamblers.collect(),
            highest: 1.0,
        }
    }

    /// The next example: what the leader scored and what the plan did, both in 0..=1.
    pub(super) fn see(&mut self, theirs: f64, mine: f64) {
        let (theirs, mine) = (theirs.clamp(0.0, 1.0), mine.clamp(0.0, 1.0));
        self.gamblers.iter_mut().for_each(|g| g.bet(self.mean, self.left, theirs, mine));
        self.left -= 1.0;
        self.room -= theirs - mine;
        self.least -= theirs - 1.0;
        let capital = self.gamblers.iter().map(|g| g.log_capital.exp()).sum::<f64>() / self.gamblers.len() as f64;
        self.highest = self.highest.max(capital);
    }

    /// Whether the sentence is refuted: impossible by now, or so unlikely that an error is made with at most this probability.
    pub(super) fn refute(&self, error: f64) -> bool {
        self.least > self.room + ROUNDING || self.highest >= 1.0 / error
    }
}

impl Gambler {
    fn bet(&mut self, mean: f64, left: f64, theirs: f64, mine: f64) {
        let fair = self.room / left;
        let d = mean + self.kept * (theirs - mean) - mine;
        // The least that `d` can be: the leader fails where the plan does not.
        let lowest = mean * (1.0 - self.kept) - 1.0;
        let worst = fair - lowest;
        if worst > ROUNDING {
            self.log_capital += (self.stake * (d - fair) / worst).ln_1p();
        }
        self.room -= d;
    }
}
