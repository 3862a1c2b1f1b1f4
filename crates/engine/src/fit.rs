//! Whether a prompt, with the tokens that are to be decoded, fits into the context of its model; and what is left out of
//! it where the stage says so.
//!
//! A pure function of the prompt, the model and the stage, so that every command renders the same prompts. On a tape
//! stands what did not fit when it was recorded, since a tape has no tokenizer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use agenttts_core::{Decoding, Example, Message, Request, RequestKey, Temperature};
use agenttts_models::{ModelError, ModelErrorKind, PromptTokens};
use agenttts_stage::{CompiledStage, RenderError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::budget::lock;
use crate::workshop::{Connected, ModelSet};

/// A template's writing may add this many tokens to a prompt, and this many to each of its messages, beyond one for each
/// byte that messages hold. Only to pass by what is surely short enough without loading a model: nothing is refused by it.
const PER_PROMPT: usize = 512;
const PER_MESSAGE: usize = 16;

/// How a prompt fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fit {
    /// As it is.
    Whole,
    /// Perhaps not, but only a bound of its length is known: it is sent as it is, and the server decides.
    Perhaps,
    /// With only so many items or characters of what the stage shortens.
    Shortened(u32),
    /// Not at all, and why.
    TooLong(String),
}

/// A prompt that was fitted.
pub(crate) enum Fitted {
    Messages {
        messages: Vec<Message>,
        left_out: Option<LeftOut>,
        /// Whether it fits for sure.
        is_sure: bool,
    },
    /// It does not fit; why, in words.
    TooLong(String),
}

/// What was left out of a prompt that was too long: items of a list, or characters of a text. More is above less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct LeftOut {
    /// How many.
    pub count: u32,
    /// Of how many.
    pub of: u32,
}

/// Why a prompt could not be fitted.
#[derive(Debug)]
pub(crate) enum FitError {
    Render(Box<RenderError>),
    Model(ModelError),
}

impl From<Box<RenderError>> for FitError {
    fn from(error: Box<RenderError>) -> Self {
        FitError::Render(error)
    }
}

/// A prompt to be: who answers it, how, and what it is rendered from.
pub(crate) struct Prompt<'a> {
    pub(crate) stage: &'a CompiledStage,
    pub(crate) model: &'a str,
    pub(crate) decoding: &'a Decoding,
    pub(crate) example: &'a Example,
    pub(crate) outputs: &'a BTreeMap<String, Value>,
}

/// What is known of prompts already.
#[derive(Default)]
pub(crate) struct Fits {
    known: Mutex<HashMap<RequestKey, Fit>>,
}

/// How many tokens a request takes.
enum Length {
    Fits,
    /// More than there is room for; whether that was counted, and in words.
    Above {
        is_counted: bool,
        words: String,
    },
}

impl Fits {
    /// The messages of a prompt as its model can take them. `render` gives them from an example and outputs.
    ///
    /// # Errors
    /// Where they cannot be rendered, or the model cannot count.
    pub(crate) fn fit(&self, models: &ModelSet, prompt: &Prompt<'_>, render: &Render<'_>) -> Result<Fitted, FitError> {
        let messages = render(prompt.example, prompt.outputs)?;
        let connected = models
            .get(prompt.model)
            .map_err(|e| FitError::Model(ModelError::new(ModelErrorKind::UnknownModel, e.to_string())))?;
        let room = Room { connected, decoding: prompt.decoding };
        let length = prompt.stage.length(prompt.example, prompt.outputs);
        let key = room.key(prompt.stage.name(), length, &messages, models);
        let fit = match models.tape() {
            Some(tape) => tape.fits.get(&key).cloned().unwrap_or(Fit::Whole),
            None => self.find(key, || room.find(prompt, length, &messages, render))?,
        };
        Ok(match fit {
            Fit::Whole => Fitted::Messages { messages, left_out: None, is_sure: true },
            Fit::Perhaps => Fitted::Messages { messages, left_out: None, is_sure: false },
            Fit::TooLong(reason) => Fitted::TooLong(reason),
            Fit::Shortened(kept) => {
                let (example, outputs) = prompt.stage.shortened(prompt.example, prompt.outputs, kept as usize);
                let of = u32::try_from(length).unwrap_or(u32::MAX);
                let left_out = Some(LeftOut { count: of.saturating_sub(kept), of });
                Fitted::Messages { messages: render(&example, &outputs)?, left_out, is_sure: true }
            }
        })
    }

    fn find(&self, key: RequestKey, fit: impl FnOnce() -> Result<Fit, FitError>) -> Result<Fit, FitError> {
        if let Some(known) = lock(&self.known).get(&key) {
            return Ok(known.clone());
        }
        let fit = fit()?;
        lock(&self.known).insert(key, fit.clone());
        Ok(fit)
    }

    /// What did not fit as it was, for a tape.
    pub(crate) fn noted(&self) -> HashMap<RequestKey, Fit> {
        let known = lock(&self.known);
        let changes = |fit: &Fit| matches!(fit, Fit::Shortened(_) | Fit::TooLong(_));
        known.iter().filter(|(_, fit)| changes(fit)).map(|(key, fit)| (*key, fit.clone())).collect()
    }
}

/// Renders messages from an example and the outputs of earlier stages.
pub(crate) type Render<'r> =
    dyn Fn(&Example, &BTreeMap<String, Value>) -> Result<Vec<Message>, Box<RenderError>> + Sync + 'r;

/// A model's context, and what is to be decoded in it.
struct Room<'a> {
    connected: &'a Connected,
    decoding: &'a Decoding,
}

impl Room<'_> {
    fn request(&self, messages: Vec<Message>) -> Request {
        // The length does not depend on the temperature, nor shall what is noted of it.
        Request { messages, decoding: Decoding { temperature: Temperature::GREEDY, ..self.decoding.clone() } }
    }

    /// What tells a prompt from others.
    fn key(&self, stage: &str, length: usize, messages: &[Message], models: &ModelSet) -> RequestKey {
        let spec = &self.connected.spec;
        let recorded = models.tape().and_then(|tape| tape.models.get(&spec.name));
        let identity = recorded.unwrap_or(self.connected.model.identity());
        let mut hasher = Sha256::new();
        hasher.update(self.request(messages.to_vec()).key(identity).0);
        // Models of the same weights may have contexts of different length.
        hasher.update(spec.context.unwrap_or(0).to_le_bytes());
        hasher.update((length as u64).to_le_bytes());
        hasher.update(stage);
        RequestKey(hasher.finalize().into())
    }

    fn find(
        &self,
        prompt: &Prompt<'_>,
        length: usize,
        messages: &[Message],
        render: &Render<'_>,
    ) -> Result<Fit, FitError> {
        let Length::Above { is_counted, words } = self.measure(messages.to_vec())? else { return Ok(Fit::Whole) };
        // One item or character is kept at least.
        if length < 2 {
            return Ok(if is_counted { Fit::TooLong(words) } else { Fit::Perhaps });
        }
        let (mut fits, mut above) = (0, length);
        let mut least = (is_counted, words);
        while above - fits > 1 {
            let kept = fits + (above - fits) / 2;
            let (example, outputs) = prompt.stage.shortened(prompt.example, prompt.outputs, kept);
            match self.measure(render(&example, &outputs)?)? {
                Length::Fits => fits = kept,
                Length::Above { is_counted, words } => {
                    above = kept;
                    least = (is_counted, words);
                }
            }
        }
        Ok(match (fits, least) {
            // A bound says less than the server will, so the shortest prompt is sent all the same.
            (0, (false, _)) => Fit::Shortened(1),
            (0, (true, words)) => Fit::TooLong(format!("{words}, though shortened as far as can be")),
            (kept, _) => Fit::Shortened(u32::try_from(kept).unwrap_or(u32::MAX)),
        })
    }

    fn measure(&self, messages: Vec<Message>) -> Result<Length, FitError> {
        let Connected { spec, model } = self.connected;
        let Some(context) = spec.context else { return Ok(Length::Fits) };
        let decoded = u64::from(self.decoding.max_tokens);
        let needs = |prompt: u64| prompt + decoded;
        let request = self.request(messages);
        let sure = request.prompt_bytes() + PER_PROMPT + PER_MESSAGE * request.messages.len();
        if needs(sure as u64) <= u64::from(context) {
            return Ok(Length::Fits);
        }
        let (is_counted, prompt) = match model.prompt_tokens(&request) {
            Ok(PromptTokens::Exact(n)) => (true, n),
            Ok(PromptTokens::AtMost(n)) => (false, n),
            Err(error) if error.kind == ModelErrorKind::ContextOverflow => {
                return Ok(Length::Above { is_counted: true, words: error.to_string() });
            }
            Err(error) => return Err(FitError::Model(error)),
        };
        if needs(u64::from(prompt)) <= u64::from(context) {
            return Ok(Length::Fits);
        }
        let words = format!(
            "the prompt has {prompt} tokens and up to {decoded} are to be decoded, together {}; the context of {} holds \
             {context}",
            needs(u64::from(prompt)),
            spec.name
        );
        Ok(Length::Above { is_counted, words })
    }
}
