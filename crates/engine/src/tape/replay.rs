//! Models that a tape plays: to a study they are models like others, and give what was recorded, or say that it was not.

use std::collections::HashMap;
use std::sync::Arc;

use agenttts_core::{Draw, ModelIdentity, Pipeline, Request, Usage};
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
/// With the tape of a grid, every study has its draws in the shared stream and in the confirmation's, whatever its seed.
/// With the tape of a study, a stream has the draws of the stream that was for the same. Their identity names the tape, so
/// that a bank never takes them for live draws.
pub(crate) fn connect(tape: &Arc<Tape>, pipeline: &Pipeline) -> Result<ModelSet, EngineError> {
    let digest = tape.digest();
    let seed = pipeline.search.seed;
    let streams: Vec<(u64, Purpose)> = match &tape.studied {
        Some(studied) => studied.streams.keys().map(|&purpose| (stream(seed, purpose), purpose)).collect(),
        None => [Purpose::Trial(0), Purpose::Confirmation].map(|purpose| (stream(seed, purpose), purpose)).into(),
    };
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
        let model = Played {
            name: spec.name.clone(),
            tape: tape.clone(),
            recorded: recorded.clone(),
            identity,
            streams: streams.clone(),
        };
        models.insert(spec.name.clone(), Connected { spec: spec.clone(), model: Arc::new(model) });
    }
    Ok(ModelSet::played(models, tape.clone()))
}

/// A model that a tape plays.
struct Played {
    name: String,
    tape: Arc<Tape>,
    /// The identity under which its draws were recorded.
    recorded: ModelIdentity,
    /// The identity that it shows.
    identity: ModelIdentity,
    /// The streams that it plays, and what they are for.
    streams: Vec<(u64, Purpose)>,
}

/// What the tape has of a call.
enum Held<'a> {
    /// The request's draws in the call's stream, and the index that the call begins with.
    Draws(&'a Recorded, u32),
    /// Why the call failed.
    Failure(&'a str),
    /// Nothing of that stream.
    OtherStreams,
    /// Nothing of that request.
    Nothing,
}

impl Played {
    /// The request's draws in every stream that has any.
    fn everywhere(&self, request: &Request) -> Vec<(u64, &Recorded)> {
        let key = request.key(&self.recorded);
        let of = |&(number, purpose): &(u64, Purpose)| {
            let requests = match &self.tape.studied {
                Some(studied) => &studied.streams.get(&purpose)?.requests,
                None => &self.tape.requests,
            };
            Some((number, requests.get(&key)?))
        };
        self.streams.iter().filter_map(of).collect()
    }

    /// The stream is told by the seed: indices in it are small, and other streams begin far away.
    fn held(&self, request: &Request, first_seed: u32) -> Held<'_> {
        let key = request.key(&self.identity);
        let all = self.everywhere(request);
        let index = |&(number, recorded): &(u64, &Recorded)| {
            first_seed.checked_sub(key.seed(number, 0)).filter(|&i| i as usize <= recorded.draws.len())
        };
        let begun = all.iter().filter_map(|held| Some((held.1, index(held)?)));
        if let Some((recorded, first)) = begun.min_by_key(|(_, first)| *first) {
            return Held::Draws(recorded, first);
        }
        let failed = self.streams.iter().filter(|(number, _)| key.seed(*number, 0) == first_seed);
        let failures = failed.filter_map(|(_, purpose)| self.silence(*purpose));
        match (failures.into_iter().next(), all.is_empty()) {
            (Some(failure), _) => Held::Failure(failure),
            (None, false) => Held::OtherStreams,
            (None, true) => Held::Nothing,
        }
    }

    /// Why the only request of a stream has no draw.
    fn silence(&self, purpose: Purpose) -> Option<&str> {
        self.tape.studied.as_ref()?.streams.get(&purpose)?.failure.as_deref()
    }

    fn missing(&self, what: &str) -> ModelError {
        missing(&self.tape, &self.name, what)
    }
}

#[async_trait]
impl Model for Played {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        let all = self.everywhere(request);
        if all.is_empty() && !self.streams.iter().any(|(_, purpose)| self.silence(*purpose).is_some()) {
            return Err(self.missing("this request"));
        }
        let draws = || all.iter().flat_map(|(_, recorded)| &recorded.draws);
        let tokens = draws().map(|d| d.prompt_tokens).max().unwrap_or(0);
        // A recorded provider that did not share prompts bills them all, which only an upper bound allows for.
        Ok(if shared_by(draws()) == 0 { PromptTokens::Exact(tokens) } else { PromptTokens::AtMost(tokens) })
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        let failed = |error| Reply::failed(call.n, error, Usage::default());
        match self.held(call.request, call.first_seed) {
            Held::Draws(recorded, first) => self.play(recorded, first, call.n),
            Held::Failure(message) => failed(ModelError::new(ModelErrorKind::Refused, message)),
            Held::OtherStreams => failed(self.missing("this stream of draws")),
            Held::Nothing => failed(self.missing("this request")),
        }
    }
}

impl Played {
    /// The draws `first..first + n`. Where drawing them failed, those that came are given and the others fail again.
    fn play(&self, recorded: &Recorded, first: u32, n: u32) -> Reply {
        let (from, end) = (first as usize, first as usize + n as usize);
        let there = recorded.draws.get(from..end.min(recorded.draws.len())).unwrap_or_default();
        let error = (there.len() < n as usize).then(|| recorded.lacking(&self.tape, &self.name, end));
        if let Some(error) = error.as_ref().filter(|error| error.kind == ModelErrorKind::NotOnTape) {
            return Reply::failed(n, error.clone(), Usage::default());
        }
        let others = error.into_iter().cycle().take(n as usize - there.len());
        // What was there before the study was paid for by others.
        let paid = (recorded.there as usize).saturating_sub(from).min(there.len());
        Reply {
            billed: bill(&there[paid..]),
            draws: there.iter().cloned().map(Ok).chain(others.map(Err)).collect(),
            ..Reply::default()
        }
    }
}

impl Recorded {
    /// The draws `0..n`.
    fn first(&self, tape: &Tape, model: &str, n: u32) -> Result<&[Draw], ModelError> {
        self.draws.get(..n as usize).ok_or_else(|| self.lacking(tape, model, n as usize))
    }

    /// Why there are fewer draws than this: what failed when it was recorded fails again.
    fn lacking(&self, tape: &Tape, model: &str, wanted: usize) -> ModelError {
        match &self.failure {
            Some(failure) => ModelError::new(ModelErrorKind::Refused, failure.clone()),
            None => missing(tape, model, &format!("{wanted} draws of this request ({} are)", self.draws.len())),
        }
    }
}

/// The fewest samples that shared a prompt when these were drawn; 0 = all do.
fn shared_by<'a>(draws: impl Iterator<Item = &'a Draw>) -> u32 {
    draws.map(|d| d.prompt_shared_by).filter(|&by| by > 0).min().unwrap_or(0)
}

/// What drawing these samples of one request in one go costs.
pub(super) fn bill(draws: &[Draw]) -> Usage {
    let prompts = match (draws.len() as u32, shared_by(draws.iter())) {
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

fn missing(tape: &Tape, model: &str, what: &str) -> ModelError {
    let message = format!("{model}: {what} cannot be played: not on the tape");
    ModelError::new(ModelErrorKind::NotOnTape, message).hint(match tape.study() {
        Some(study) => format!(
            "the tape holds what the study {study} drew before it ended: replay it as it was searched, with `agenttts search \
             --tape` and no other options, or record all plans with `agenttts bench record`"
        ),
        None => "search the pipeline that was recorded, unchanged, or record it again with `agenttts bench record`".into(),
    })
}

/// Takes samples from the tape alone, whatever the stream, without books: for playing plans outside a study.
pub(crate) struct TapeSource<'a> {
    pub(crate) tape: &'a Tape,
}

#[async_trait]
impl Source for TapeSource<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let lacking = || DrawError::of_model(missing(self.tape, want.model, "this request"));
        let identity = self.tape.models.get(want.model).ok_or_else(lacking)?;
        let recorded = self.tape.requests.get(&want.request.key(identity)).ok_or_else(lacking)?;
        let draws = recorded.first(self.tape, want.model, want.n).map_err(DrawError::of_model)?;
        let samples = draws.iter().map(|draw| GotSample { id: None, draw: draw.clone() }).collect();
        Ok(Got { samples, drawn: Usage::default() })
    }
}
