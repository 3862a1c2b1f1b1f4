//! How long calls take, as measured, and how long work will take by that.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::budget::lock;

/// How long calls have taken, retries and waiting for their turn included.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// By model and number of samples.
    calls: Mutex<HashMap<String, BTreeMap<u32, Mean>>>,
}

/// A mean that forgets: of about the last fifty values.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: f64,
    mean: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        const REMEMBERED: f64 = 50.0;
        self.count = (self.count + 1.0).min(REMEMBERED);
        self.mean += (value - self.mean) / self.count;
    }
}

impl Pace {
    /// Notes the seconds of a call for so many samples.
    pub(crate) fn note(&self, model: &str, samples: u32, seconds: f64) {
        let mut calls = lock(&self.calls);
        let of_model = match calls.get_mut(model) {
            Some(known) => known,
            None => calls.entry(model.to_owned()).or_default(),
        };
        of_model.entry(samples).or_default().add(seconds);
    }

    /// Seconds of such a call, rather too many than too few: as for more samples, in proportion to fewer, or as slow as the
    /// slowest model where this one was not called yet. `None` where none was.
    pub(crate) fn call(&self, model: &str, samples: u32) -> Option<f64> {
        let calls = lock(&self.calls);
        let of_model = |known: &BTreeMap<u32, Mean>| {
            if let Some((_, mean)) = known.range(samples..).next() {
                return Some(mean.mean);
            }
            let (&most, mean) = known.last_key_value()?;
            Some(mean.mean * f64::from(samples) / f64::from(most.max(1)))
        };
        match calls.get(model) {
            Some(known) => of_model(known),
            None => calls.values().filter_map(of_model).max_by(f64::total_cmp),
        }
    }

    /// Seconds after which calls that are under way will mostly have ended; 0 where nothing is known.
    pub(crate) fn typical(&self) -> f64 {
        let calls = lock(&self.calls);
        let all = calls.values().flat_map(BTreeMap::values);
        let (count, sum) = all.fold((0.0, 0.0), |(count, sum), m| (count + m.count, sum + m.count * m.mean));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

/// Calls that examples make one after another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Work {
    /// How many examples.
    pub(crate) examples: f64,
    /// Of each example: the model, the samples of a call, and how many such calls.
    pub(crate) calls: Vec<(String, u32, f64)>,
}

impl Work {
    /// Seconds that it takes where `width` examples run side by side; `None` where no call was measured yet.
    pub(crate) fn seconds(&self, pace: &Pace, width: usize) -> Option<f64> {
        let mut chain = 0.0;
        for (model, samples, times) in &self.calls {
            chain += pace.call(model, *samples)? * times;
        }
        Some((self.examples / width.max(1) as f64).ceil() * chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_rather_taken_for_slow() {
        let pace = Pace::default();
        assert_eq!((pace.call("a", 1), pace.typical()), (None, 0.0));
        pace.note("a", 4, 2.0);
        pace.note("b", 1, 5.0);
        assert_eq!(pace.call("a", 4), Some(2.0));
        assert_eq!(pace.call("a", 1), Some(2.0), "fewer samples may take as long");
        assert_eq!(pace.call("a", 8), Some(4.0), "or in proportion");
        assert_eq!(pace.call("c", 1), Some(5.0), "the slowest model");
        for _ in 0..200 {
            pace.note("a", 4, 1.0);
        }
        assert!((pace.call("a", 4).unwrap() - 1.0).abs() < 0.05, "what was long ago is forgotten");
    }

    #[test]
    fn work_takes_as_many_rounds_as_examples_need() {
        let pace = Pace::default();
        pace.note("a", 1, 2.0);
        let work = Work { examples: 10.0, calls: vec![("a".into(), 1, 1.0), ("a".into(), 1, 0.5)] };
        assert_eq!(work.seconds(&pace, 4), Some(9.0), "three rounds of three seconds");
        assert_eq!(work.seconds(&Pace::default(), 4), None);
    }
}
