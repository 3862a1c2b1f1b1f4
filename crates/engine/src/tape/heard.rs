//! A source that only looks samples up in a store, and remembers which were asked for: what it gives, a tape must hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use agenttts_core::{RequestKey, Usage};
use agenttts_models::{ModelError, ModelErrorKind};
use agenttts_store::Store;
use async_trait::async_trait;

use crate::budget::lock;
use crate::error::EngineError;
use crate::source::{CallKind, DrawError, Got, GotSample, Source, Want};
use crate::streams::{Purpose, stream};
use crate::workshop::ModelSet;

/// Samples that were asked for, by what their stream is for and the key of their request.
pub(super) type Samples = BTreeMap<Purpose, HashMap<RequestKey, Heard>>;

/// What was asked for of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The most samples that were given, in order of their index.
    pub(super) samples: Vec<GotSample>,
    /// Why there were no more.
    pub(super) failure: Option<String>,
    /// What it was for.
    pub(super) kind: Option<CallKind>,
}

/// All that is heard of a study's samples.
pub(super) struct Ear<'a> {
    store: &'a Store,
    models: &'a ModelSet,
    /// What each stream of the study is for.
    streams: HashMap<u64, Purpose>,
    heard: Mutex<Samples>,
}

impl<'a> Ear<'a> {
    /// For a study with this seed and the streams of trials below `trials`.
    pub(super) fn new(store: &'a Store, models: &'a ModelSet, seed: u32, trials: u32) -> Self {
        let purposes = (0..trials).map(Purpose::Trial).chain([Purpose::Confirmation]);
        let streams = purposes.map(|purpose| (stream(seed, purpose), purpose)).collect();
        Ear { store, models, streams, heard: Mutex::default() }
    }

    /// A source for a run that ended well, or failed for this reason.
    pub(super) fn source(&'a self, failure: Option<String>) -> impl Source + 'a {
        Overheard { ear: self, failure }
    }

    /// Takes samples that were asked for elsewhere.
    pub(super) fn take(&self, purpose: Purpose, key: RequestKey, heard: Heard) {
        lock(&self.heard).entry(purpose).or_default().insert(key, heard);
    }

    /// All that was heard.
    pub(super) fn heard(&self) -> Samples {
        lock(&self.heard).clone()
    }
}

struct Overheard<'a> {
    ear: &'a Ear<'a>,
    failure: Option<String>,
}

#[async_trait]
impl Source for Overheard<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let key = want.request.key(self.ear.models.get(want.model)?.model.identity());
        let Some(&purpose) = self.ear.streams.get(&want.stream) else {
            return Err(EngineError::Internal("a stream that the study does not have was asked for".into()).into());
        };
        let stored = self.ear.store.samples(&key, want.stream, want.n).map_err(EngineError::from)?;
        let whole = (0..).zip(stored).take_while(|(index, sample)| *index == sample.index);
        let samples: Vec<GotSample> = whole.map(|(_, s)| GotSample { id: Some(s.id), draw: s.draw }).collect();
        let lacking = samples.len() < want.n as usize;
        let mut all = lock(&self.ear.heard);
        let heard = all.entry(purpose).or_default().entry(key).or_default();
        heard.kind = Some(want.kind);
        if heard.samples.len() < samples.len() {
            heard.samples = samples.clone();
        }
        if !lacking {
            return Ok(Got { samples, drawn: Usage::default() });
        }
        heard.failure = heard.failure.take().or_else(|| self.failure.clone());
        let message = self.failure.clone().unwrap_or_else(|| "the store has no such samples".into());
        Err(DrawError::Failed(ModelError::new(ModelErrorKind::Refused, message)))
    }
}
