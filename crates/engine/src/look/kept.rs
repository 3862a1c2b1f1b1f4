//! Things that are dear to make and change now and then.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LookError;
use crate::budget::lock;
use crate::error::EngineError;

/// A thing that was made of a state of the store, and how long that took.
struct Made<T> {
    of: i64,
    thing: Arc<T>,
    at: Instant,
    took: Duration,
}

struct Slot<T> {
    made: Option<Made<T>>,
    /// Why the last try to make it failed.
    fault: Option<LookError>,
    is_making: bool,
}

/// Keeps a thing until the store has moved on; and then for five times as long as making it takes, so that a study under
/// way does not keep this process busy.
pub(super) struct Kept<T> {
    slot: Arc<(Mutex<Slot<T>>, Condvar)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let slot = Slot { made: None, fault: None, is_making: false };
        Kept { slot: Arc::new((Mutex::new(slot), Condvar::new())) }
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// The thing of this state of the store, or the last one where making it takes longer than `patience`; `None` where
    /// there is none yet. It is made all the same, once for all who ask meanwhile.
    pub(super) fn get(
        &self,
        state: i64,
        patience: Duration,
        make: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<Option<Arc<T>>, LookError> {
        let (slot, changed) = &*self.slot;
        let mut kept = lock(slot);
        if let Some(made) = kept.made.as_ref().filter(|m| m.of == state || is_recent(m.at.elapsed(), m.took)) {
            return Ok(Some(made.thing.clone()));
        }
        if !kept.is_making {
            kept.is_making = true;
            let slot = self.slot.clone();
            std::thread::spawn(move || {
                let start = Instant::now();
                let made = make();
                let mut kept = lock(&slot.0);
                kept.is_making = false;
                match made {
                    Ok(thing) => {
                        let (thing, at, took) = (Arc::new(thing), Instant::now(), start.elapsed());
                        (kept.made, kept.fault) = (Some(Made { of: state, thing, at, took }), None);
                    }
                    Err(fault) => kept.fault = Some(Arc::new(fault)),
                }
                slot.1.notify_all();
            });
        }
        let waited = changed.wait_timeout_while(kept, patience, |kept| kept.is_making);
        let kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        match &kept.fault {
            Some(fault) if !kept.is_making => Err(fault.clone()),
            _ => Ok(kept.made.as_ref().map(|m| m.thing.clone())),
        }
    }
}

/// Whether a thing of this age, which took so long to make, need not be made again yet.
fn is_recent(age: Duration, took: Duration) -> bool {
    age < took * 5
}
