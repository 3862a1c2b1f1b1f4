//! Things that are dear to make and change now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thing that was made of a state of the store, and how long that took.
struct Made<T> {
    of: i64,
    thing: Arc<T>,
    at: Instant,
    took: Duration,
}

/// Keeps a thing until the store has moved on; and then for five times as long as making it takes, so that a study under
/// way does not keep this process busy.
pub(super) struct Kept<T>(Mutex<Option<Made<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// The thing of this state of the store, or a recent one. Others who ask meanwhile wait, and get the same.
    pub(super) fn get<E>(&self, state: i64, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = lock(&self.0);
        if let Some(made) = kept.as_ref().filter(|m| m.of == state || is_recent(m.at.elapsed(), m.took)) {
            return Ok(made.thing.clone());
        }
        let start = Instant::now();
        let thing = Arc::new(make()?);
        *kept = Some(Made { of: state, thing: thing.clone(), at: Instant::now(), took: start.elapsed() });
        Ok(thing)
    }
}

/// Whether a thing of this age, which took so long to make, need not be made again yet.
fn is_recent(age: Duration, took: Duration) -> bool {
    age < took * 5
}

/// The lock, whatever became of who held it: what it guards is replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_made_once_for_a_state() {
        let kept = Kept::default();
        assert_eq!(kept.get(1, || Err::<u32, _>("no")), Err("no"));
        let get = |thing| *kept.get::<()>(1, || Ok(thing)).unwrap();
        assert_eq!((get(10), get(11)), (10, 10));
    }

    #[test]
    fn making_takes_a_sixth_of_the_time_at_most() {
        let second = Duration::from_secs(1);
        assert!(is_recent(second * 4, second));
        assert!(!is_recent(second * 5, second));
        assert!(!is_recent(second, Duration::ZERO));
    }
}
