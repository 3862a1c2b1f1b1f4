//! Models in this process, through llama.cpp.
//!
//! * Sampling: see [`Embedded`]. Prompts: the model's own chat template; base models get the plain text.
//! * What messages say is never read as a control token (`<|im_end|>` and the like), so no data can end a turn. A model
//!   whose template marks turns by ordinary words has no such protection, nor has a base model.
//! * A prompt is evaluated once for all samples of a call, and not at all as far as an earlier prompt began alike.
//! * Calls that wait at the same time are decoded together, also for different prompts.
//! * The number of threads follows the cores that are really free.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use agenttts_core::text::hex;
use agenttts_core::{Decoding, ModelIdentity, Request, Usage};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::gguf::GgufFacts;
use crate::{Call, Model, ModelError, ModelErrorKind, PromptTokens, Reply};

mod constraint;
mod control;
mod engine;
mod grammar;
mod kept;
mod lazy;
mod llama;
mod memory;
mod model_file;
mod sampler;
mod slot;
mod template;
mod text;
mod threads;
mod vocabulary;

use engine::{Command, engine};
pub use lazy::LazyEmbedded;
use model_file::{ModelFile, check_memory};
use sampler::Sampling;
use slot::{Job, Outcome};

/// The pinned version of the engine's crate, part of every revision.
const ENGINE_CRATE: &str = "llama-cpp-2 0.1.160";
/// A prompt of more bytes fits no context.
const MAX_PROMPT_BYTES: usize = 64 << 20;

/// How a model file is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The name in identities and messages; the file's stem where absent.
    pub name: Option<String>,
    /// The longest prompt and continuation together, in tokens; at most what the model was trained for. Where absent,
    /// as much as fits a cache of 256 MB, at most 16384.
    pub context: Option<u32>,
    /// The most bytes that the models of this process may take together, weights and caches of keys and values, when this one
    /// is loaded. Others that have nothing to do are given up for it, those used longest ago first, whoever uses them. Where
    /// absent, it is loaded whatever others take.
    pub memory: Option<u64>,
}

/// A GGUF model that runs in this process.
///
/// Sampling: without `top_p` the defaults of llama.cpp apply (the 40 likeliest tokens, of these the nucleus of mass
/// 0.95, of these the ones at least 0.05 times as likely as the likeliest); with `top_p` exactly that nucleus of the
/// whole vocabulary. Then the temperature; 0 takes the likeliest token, and then all samples of a call are the same and
/// drawn once. Sample `j` has its own random numbers, seeded with `first_seed + j`: its text depends on prompt, settings
/// and seed only, up to the floating-point differences between batches of different shapes.
pub struct Embedded {
    file: Option<Arc<ModelFile>>,
    identity: ModelIdentity,
    context: u32,
    memory: Option<u64>,
}

impl Embedded {
    /// Opens a GGUF file: checks it, hashes it (once; the hash is cached beside it) and reads its vocabulary. Takes a second
    /// for large ones, so call it off the async threads. The weights are loaded when samples are drawn.
    ///
    /// # Errors
    /// [`ModelErrorKind::BadFile`] when the file is missing, truncated, not a GGUF or not a model that the engine knows, or
    /// when it takes more memory than all models may.
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Self, ModelError> {
        let file = ModelFile::open(path, options.context)?;
        check_memory(file.facts(), options.context, options.memory)?;
        let name = options.name.unwrap_or_else(|| {
            path.file_stem().map_or_else(|| path.display().to_string(), |s| s.to_string_lossy().into_owned())
        });
        let trained = match file.facts().context {
            0 => u32::MAX,
            n => n,
        };
        let context = options.context.unwrap_or(u32::MAX).min(trained).min(file.size().cells);
        let identity =
            ModelIdentity { model: format!("embedded:{name}"), revision: revision(file.facts(), file.sha256()) };
        Ok(Embedded { file: Some(file), identity, context, memory: options.memory })
    }

    /// What the file says about the model.
    pub fn facts(&self) -> Option<&GgufFacts> {
        self.file.as_deref().map(ModelFile::facts)
    }

    /// The longest prompt and continuation together, in tokens.
    pub fn context(&self) -> u32 {
        self.context
    }

    /// The text that the model is given for a request: its messages in the model's chat template.
    pub fn render(&self, request: &Request) -> Result<String, ModelError> {
        let file = self.file()?;
        if request.messages.is_empty() {
            return Err(self.error(ModelErrorKind::Refused, "the request has no messages"));
        }
        let rendered = file.template().render(&request.messages, &file.model());
        let text = rendered.map_err(|e| self.template_error(&e))?;
        if text.len() > MAX_PROMPT_BYTES {
            let message = format!("the prompt has {} bytes, the context holds {} tokens", text.len(), self.context);
            return Err(self.error(ModelErrorKind::ContextOverflow, message));
        }
        Ok(text)
    }

    fn file(&self) -> Result<&Arc<ModelFile>, ModelError> {
        self.file.as_ref().ok_or_else(|| self.error(ModelErrorKind::Engine, "the model is closed"))
    }

    fn error(&self, kind: ModelErrorKind, message: impl std::fmt::Display) -> ModelError {
        ModelError::new(kind, format!("{}: {message}", self.identity.model))
    }

    fn template_error(&self, error: &str) -> ModelError {
        self.error(ModelErrorKind::Refused, format!("the model's chat template refuses these messages: {error}"))
    }

    fn tokenise(&self, request: &Request) -> Result<Vec<llama_cpp_2::token::LlamaToken>, ModelError> {
        let text = self.render(request)?;
        let tokens = self.file()?.tokenise(&request.messages, &text).map_err(|e| self.template_error(&e))?;
        if tokens.is_empty() {
            return Err(self.error(ModelErrorKind::Refused, "the prompt is empty"));
        }
        Ok(tokens)
    }

    fn prepare(&self, call: &Call<'_>, ways: Ways, started: Instant) -> Result<Job, ModelError> {
        let decoding = &call.request.decoding;
        let sampling = self.sampling(decoding)?;
        let prompt = self.tokenise(call.request)?;
        let needs = prompt.len() as u64 + u64::from(decoding.max_tokens);
        if needs > u64::from(self.context) {
            let message = format!(
                "the prompt has {} tokens and up to {} are to be decoded, together {needs}; the context holds {}",
                prompt.len(),
                decoding.max_tokens,
                self.context
            );
            return Err(self
                .error(ModelErrorKind::ContextOverflow, message)
                .hint("shorten the prompt, lower max_tokens or take a model with a longer context"));
        }
        let file = Arc::clone(self.file()?);
        let grammar = decoding.constraint.as_ref().map(|c| constraint::compile(c, &file)).transpose()?;
        Ok(Job {
            file,
            memory: self.memory,
            prompt,
            sampling,
            grammar,
            stop: decoding.stop.clone(),
            max_tokens: decoding.max_tokens,
            n: call.n,
            first_seed: call.first_seed,
            started,
            on_text: ways.text,
            reply: ways.reply,
        })
    }

    fn sampling(&self, decoding: &Decoding) -> Result<Sampling, ModelError> {
        if decoding.max_tokens == 0 {
            return Err(self.error(ModelErrorKind::Refused, "max_tokens is 0"));
        }
        let top_p = decoding.top_p.map(|p| p as f32);
        if top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err(self.error(ModelErrorKind::Refused, "top_p is not in (0, 1]"));
        }
        Ok(Sampling { temperature: decoding.temperature.get() as f32, top_p })
    }
}

/// Where the engine's thread sends what becomes of a job.
struct Ways {
    text: Option<mpsc::UnboundedSender<String>>,
    reply: oneshot::Sender<Outcome>,
}

#[async_trait]
impl Model for Embedded {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        Ok(PromptTokens::Exact(slot::tokens(self.tokenise(request)?.len())))
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        let started = Instant::now();
        let failed = |error| Reply::failed(call.n, error, Usage::default());
        let (reply, mut receiver) = oneshot::channel();
        let (text, mut told) = mpsc::unbounded_channel::<String>();
        let ways = Ways { text: call.listener().map(|_| text), reply };
        let (job, engine) = match self.prepare(&call, ways, started).and_then(|job| Ok((job, engine()?))) {
            Ok(ready) => ready,
            Err(error) => return failed(error),
        };
        if call.n == 0 {
            return failed(self.error(ModelErrorKind::Refused, "no samples were asked for"));
        }
        // Either error means that the engine's thread is gone.
        let sent = engine.send(Command::Draw(Box::new(job))).await.is_ok();
        let outcome = loop {
            tokio::select! {
                // What was told before the reply is heard before it. The way closes when the job is done.
                biased;
                Some(part) = told.recv() => call.listener().into_iter().for_each(|hear| hear(&part)),
                outcome = &mut receiver => break outcome,
            }
        };
        match (sent, outcome) {
            (true, Ok(Outcome { draws, billed })) => Reply { draws, billed, ..Reply::default() },
            _ => failed(self.error(ModelErrorKind::Engine, "the engine stopped unexpectedly")),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.file.take());
        engine::sweep();
    }
}

/// What pins an embedded model's answers: its file, its template, and the engine with its sampler.
fn revision(facts: &GgufFacts, file_sha256: &str) -> String {
    let template = Sha256::digest(facts.chat_template.as_deref().unwrap_or_default());
    let template = hex(&template[..8]);
    let backend = match (cfg!(feature = "cuda"), cfg!(feature = "metal"), cfg!(feature = "vulkan")) {
        (true, ..) => "cuda",
        (_, true, _) => "metal",
        (.., true) => "vulkan",
        _ => "cpu",
    };
    format!(
        "sha256 {file_sha256}, template {template}, {ENGINE_CRATE} ({}, {backend}), {}",
        llama::engine_version(),
        sampler::SAMPLER_VERSION
    )
}
