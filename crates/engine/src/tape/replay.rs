//! Models that a tape plays: to a study they are models like others, and give what was recorded, or say that it was not.

use std::collections::HashMap;
use std::sync::Arc;

use agenttts_core::{Draw, ModelIdentity, Pipeline, Request, RequestKey, Usage};
use agenttts_models::{Call, Model, ModelError, ModelErrorKind, PromptTokens, Reply};
use async_trait::async_trait;

use super::{Recorded, Tape};
use crate::error::EngineError;
use crate::source::{DrawError, Got, GotSample, Source, Want};
use crate::streams::{Purpose, stream};
use crate::workshop::{Connected, ModelSet};

/// How the revision of every model begins that a tape plays.
pub(crate) const TAPE: &str = "tape ";

/// The models of a pipeline, played from a tape.
///
/// Every study has the tape's draws in its shared stream and in its confirmation's, whatever its seed. Their identity
/// names the tape, so that a bank never takes them for live draws.
pub(crate) fn connect(tape: &Arc<Tape>, pipeline: &Pipeline) -> Result<ModelSet, EngineError> {
    let digest = tape.digest();
    let mut models = HashMap::new();
    for spec in &pipeline.models {
        let Some(recorded) = tape.models.get(&spec.name) else {
            let names: Vec<&str> = tape.models.keys().map(String::as_str).collect();
            let message = format!("model {:?} is not on the tape", spec.name);
            return Err(EngineError::input(message, format!("the tape has {}", names.join(", "))));
        };
        let identity = ModelIdentity {
            model: recorded.model.clone(),
            revision: format!("{TAPE}{digest} of {}", recorded.revision),
        };
        let seed = pipeline.search.seed;
        let model = Played {
            name: spec.name.clone(),
            tape: tape.clone(),
            recorded: recorded.clone(),
            identity,
            streams: [Purpose::Trial(0), Purpose::Confirmation].map(|purpose| stream(seed, purpose)),
        };
        models.insert(spec.name.clone(), Connected { spec: spec.clone(), model: Arc::new(model) });
    }
    Ok(ModelSet::recorded(models))
}

/// A model that a tape plays.
struct Played {
    name: String,
    tape: Arc<Tape>,
    /// The identity under which its draws were recorded.
    recorded: ModelIdentity,
    /// The identity that it shows.
    identity: ModelIdentity,
    /// The streams that it plays.
    streams: [u64; 2],
}

impl Played {
    fn request(&self, request: &Request) -> Option<&Recorded> {
        self.tape.requests.get(&request.key(&self.recorded))
    }

    /// The index of the draw with that seed, in any of the streams that are played.
    fn index(&self, key: &RequestKey, seed: u32, held: usize) -> Option<u32> {
        let offsets = self.streams.iter().filter_map(|&stream| seed.checked_sub(key.seed(stream, 0)));
        offsets.filter(|&offset| offset as usize <= held).min()
    }
}

#[async_trait]
impl Model for Played {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        let recorded = self.request(request).ok_or_else(|| missing(&self.name, "this request"))?;
        let tokens = recorded.draws.iter().map(|d| d.prompt_tokens).max().unwrap_or(0);
        // A recorded provider that did not share prompts bills them all, which only an upper bound allows for.
        Ok(if shared_by(&recorded.draws) == 0 { PromptTokens::Exact(tokens) } else { PromptTokens::AtMost(tokens) })
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        let failed = |error| Reply::failed(call.n, error, Usage::default());
        let Some(recorded) = self.request(call.request) else { return failed(missing(&self.name, "this request")) };
        let Some(first) = self.index(&call.request.key(&self.identity), call.first_seed, recorded.draws.len()) else {
            return failed(missing(&self.name, "this stream of draws"));
        };
        match recorded.range(&self.name, first, call.n) {
            Ok(draws) => Reply {
                billed: bill(draws),
                draws: draws.iter().cloned().map(Ok).collect(),
                warnings: Vec::new(),
                fingerprint: None,
            },
            Err(error) => failed(error),
        }
    }
}

impl Recorded {
    /// The draws `first..first + n`.
    fn range(&self, model: &str, first: u32, n: u32) -> Result<&[Draw], ModelError> {
        let (first, end) = (first as usize, first as usize + n as usize);
        match (self.draws.get(first..end), &self.failure) {
            (Some(draws), _) => Ok(draws),
            // What failed when it was recorded fails again.
            (None, Some(failure)) => Err(ModelError::new(ModelErrorKind::Refused, failure.clone())),
            (None, None) => Err(missing(model, &format!("{end} draws of this request"))),
        }
    }
}

/// The fewest samples that shared a prompt when these were drawn; 0 = all do.
fn shared_by(draws: &[Draw]) -> u32 {
    draws.iter().map(|d| d.prompt_shared_by).filter(|&by| by > 0).min().unwrap_or(0)
}

/// What drawing these samples of one request in one go costs.
pub(super) fn bill(draws: &[Draw]) -> Usage {
    let prompts = match (draws.len() as u32, shared_by(draws)) {
        (0, _) => 0,
        (_, 0) => 1,
        (n, by) => n.div_ceil(by),
    };
    Usage {
        prompt: u64::from(draws.iter().map(|d| d.prompt_tokens).max().unwrap_or(0)) * u64::from(prompts),
        cached_prompt: 0,
        decode: draws.iter().map(|d| u64::from(d.decode_tokens)).sum(),
        calls: u64::from(prompts),
    }
}

fn missing(model: &str, what: &str) -> ModelError {
    ModelError::new(ModelErrorKind::NotOnTape, format!("{model}: {what} cannot be played: not on the tape"))
        .hint("search the pipeline that was recorded, unchanged, or record it again with `agenttts bench record`")
}

/// Takes samples from the tape alone, whatever the stream, without books: for playing plans outside a study.
pub(crate) struct TapeSource<'a> {
    pub(crate) tape: &'a Tape,
}

#[async_trait]
impl Source for TapeSource<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let lacking = || DrawError::of_model(missing(want.model, "this request"));
        let identity = self.tape.models.get(want.model).ok_or_else(lacking)?;
        let recorded = self.tape.requests.get(&want.request.key(identity)).ok_or_else(lacking)?;
        let draws = recorded.range(want.model, 0, want.n).map_err(DrawError::of_model)?;
        let samples = draws.iter().map(|draw| GotSample { id: None, draw: draw.clone() }).collect();
        Ok(Got { samples, drawn: Usage::default() })
    }
}
