//! A model's file without its weights: what it says of itself, its vocabulary and template. Read once per process.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use agenttts_core::Message;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::control::{Controls, Found};
use super::llama::ContextSize;
use super::slot::context_size;
use super::template::ChatTemplate;
use super::vocabulary::Vocabulary;
use crate::gguf::{GgufFacts, read_gguf};
use crate::registry::file_sha256;
use crate::{ModelError, ModelErrorKind};

/// Memory for one model's key-value cache.
const CACHE_BYTES: u64 = 256 << 20;
/// More cells than this make attention slow without letting more samples decode together.
const MOST_CELLS: u64 = 16384;
const LEAST_CELLS: u64 = 2048;

/// The files that somebody uses, by path and hash.
type Open = HashMap<(PathBuf, String), Weak<ModelFile>>;

/// A model's vocabulary and template, and where its weights are.
pub(super) struct ModelFile {
    path: PathBuf,
    /// Without weights.
    model: Arc<LlamaModel>,
    facts: GgufFacts,
    sha256: String,
    template: ChatTemplate,
    controls: Controls,
    /// Made when a constraint first needs it.
    vocabulary: OnceLock<Arc<Vocabulary>>,
    bos: String,
    size: ContextSize,
    shares_prefixes: bool,
}

impl ModelFile {
    /// What is known of a file; the same as long as anybody uses it and the file does not change.
    pub(super) fn open(path: &Path, context: Option<u32>) -> Result<Arc<Self>, ModelError> {
        static OPEN: Mutex<Option<Open>> = Mutex::new(None);
        let facts =
            read_gguf(path).map_err(|e| ModelError::new(ModelErrorKind::BadFile, e.to_string()).hint(e.hint()))?;
        let sha256 = file_sha256(path)
            .map_err(|e| ModelError::new(ModelErrorKind::BadFile, format!("{}: {e}", path.display())))?;
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // Held while reading, so that two callers do not read the same file.
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, file| file.strong_count() > 0);
        let key = (canonical, sha256.clone());
        if let Some(file) = open.get(&key).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let file = Arc::new(Self::read(&key.0, facts, sha256, context)?);
        open.insert(key, Arc::downgrade(&file));
        Ok(file)
    }

    fn read(path: &Path, facts: GgufFacts, sha256: String, context: Option<u32>) -> Result<Self, ModelError> {
        let bad = |what: String| ModelError::new(ModelErrorKind::BadFile, format!("{}: {what}", path.display()));
        let model = load(path, &LlamaModelParams::default().with_vocab_only(true))?;
        let piece = |token: LlamaToken| {
            let bytes = if token.0 < 0 { Vec::new() } else { model.vocab().token_to_piece(token, true, None) };
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (bos, eos) = (piece(model.vocab().bos()), piece(model.vocab().eos()));
        let template = ChatTemplate::new(facts.chat_template.as_deref(), &bos, &eos, &model).map_err(bad)?;
        let controls = Controls::of(&model.vocab());
        Ok(ModelFile {
            path: path.to_owned(),
            size: context_size(cells(&facts, context)),
            shares_prefixes: shared_prefixes_wanted() && !model.is_recurrent() && !model.is_hybrid(),
            model: Arc::new(model),
            facts,
            sha256,
            template,
            controls,
            vocabulary: OnceLock::new(),
            bos,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the weights; takes seconds for large files. The default parameters offload all layers where the build has a GPU
    /// backend.
    pub(super) fn load_weights(&self) -> Result<LlamaModel, ModelError> {
        let unchanged = file_sha256(&self.path).is_ok_and(|hash| hash == self.sha256);
        if !unchanged {
            return Err(changed(&self.path));
        }
        load(&self.path, &LlamaModelParams::default())
    }

    /// The bytes that the loaded model takes; see [`memory`].
    pub(super) fn memory(&self) -> u64 {
        memory(&self.facts, self.size.cells)
    }

    /// The model without its weights.
    pub(super) fn model(&self) -> Arc<LlamaModel> {
        Arc::clone(&self.model)
    }

    /// Its tokens as a tree.
    pub(super) fn vocabulary(&self) -> Arc<Vocabulary> {
        Arc::clone(self.vocabulary.get_or_init(|| Arc::new(Vocabulary::of(&self.model.vocab()))))
    }

    pub(super) fn facts(&self) -> &GgufFacts {
        &self.facts
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn template(&self) -> &ChatTemplate {
        &self.template
    }

    pub(super) fn size(&self) -> ContextSize {
        self.size
    }

    /// Whether part of one prompt's cache can serve another prompt.
    pub(super) fn shares_prefixes(&self) -> bool {
        self.shares_prefixes
    }

    /// The tokens of a conversation, of which `text` is the rendering. Control tokens that messages write are read as
    /// ordinary text, so that nothing said can end a turn or begin one.
    pub(super) fn tokenise(&self, messages: &[Message], text: &str) -> Result<Vec<LlamaToken>, String> {
        let vocabulary = self.model.vocab();
        if !self.template.writes_special_tokens() {
            return Ok(vocabulary.tokenize(text.as_bytes(), true, false));
        }
        let Some(words) = self.template.words(messages, text, &self.model) else {
            return self.tokenise_broken(messages, text);
        };
        let meant = self.meant(text, &words);
        if self.controls.find(text, 0..text.len()) == meant {
            return Ok(self.tokenise_whole(text));
        }
        Ok(self.controls.tokenise(&vocabulary, text, &meant))
    }

    /// The control tokens that the template wrote: those outside of all words.
    fn meant(&self, text: &str, words: &[Range<usize>]) -> Vec<Found> {
        let starts = std::iter::once(0).chain(words.iter().map(|w| w.end));
        let ends = words.iter().map(|w| w.start).chain([text.len()]);
        starts.zip(ends).flat_map(|(start, end)| self.controls.find(text, start..end)).collect()
    }

    /// The tokens of a text in which every control token is meant.
    fn tokenise_whole(&self, text: &str) -> Vec<LlamaToken> {
        let vocabulary = self.model.vocab();
        // A template that writes the beginning-of-text token itself must not get a second one.
        let text = match text.strip_prefix(self.bos.as_str()) {
            Some(rest) if !self.bos.is_empty() && vocabulary.should_add_bos() => rest,
            _ => text,
        };
        vocabulary.tokenize(text.as_bytes(), true, true)
    }

    /// As [`ModelFile::tokenise`] where the template changes words, so that they cannot be found in `text`: control tokens
    /// in them are broken up by a character that takes no room.
    fn tokenise_broken(&self, messages: &[Message], text: &str) -> Result<Vec<LlamaToken>, String> {
        let broken: Vec<Option<String>> = messages.iter().map(|m| self.controls.broken(&m.content)).collect();
        if broken.iter().all(Option::is_none) {
            return Ok(self.tokenise_whole(text));
        }
        let content = |(m, broken): (&Message, Option<String>)| broken.unwrap_or_else(|| m.content.clone());
        let messages: Vec<Message> =
            messages.iter().zip(broken).map(|pair| Message { role: pair.0.role, content: content(pair) }).collect();
        Ok(self.tokenise_whole(&self.template.render(&messages, &self.model)?))
    }
}

/// The cells of a model's cache: as many as fit a fixed memory, or as its context needs.
fn cells(facts: &GgufFacts, context: Option<u32>) -> u32 {
    let fitting = (CACHE_BYTES / facts.kv_bytes_per_token.max(1)).clamp(LEAST_CELLS, MOST_CELLS);
    let trained = if facts.context == 0 { u32::MAX } else { facts.context };
    let wanted = context.map_or(0, |c| u64::from(c.min(trained))).min(1 << 20);
    u32::try_from(fitting.max(wanted).next_multiple_of(256)).unwrap_or(u32::MAX)
}

/// The bytes of a model's weights and of its cache of keys and values. The engine's scratch space is not known before.
fn memory(facts: &GgufFacts, cells: u32) -> u64 {
    facts.file_bytes.saturating_add(u64::from(cells).saturating_mul(facts.kv_bytes_per_token))
}

/// Refuses a model that alone takes more than all may take together.
pub(super) fn check_memory(facts: &GgufFacts, context: Option<u32>, limit: Option<u64>) -> Result<(), ModelError> {
    let need = memory(facts, cells(facts, context));
    match limit {
        Some(limit) if need > limit => {
            let (need, limit) = (need.div_ceil(1 << 20), limit >> 20);
            let message = format!("the model takes {need} MB of memory, and all together may take {limit} MB");
            let hint = "raise the provider's memory_mb, or take a smaller model or a shorter context";
            Err(ModelError::new(ModelErrorKind::BadFile, message).hint(hint))
        }
        _ => Ok(()),
    }
}

/// What is said of a file that is not the one that was opened.
pub(super) fn changed(path: &Path) -> ModelError {
    let message = format!("{} has changed since this program started", path.display());
    ModelError::new(ModelErrorKind::BadFile, message).hint("start again")
}

fn load(path: &Path, parameters: &LlamaModelParams) -> Result<LlamaModel, ModelError> {
    LlamaModel::load_from_file(backend()?, path, parameters).map_err(|e| {
        let message = format!("{}: the engine cannot load it: {e}", path.display());
        ModelError::new(ModelErrorKind::BadFile, message).hint("AGENTTTS_LOG=debug shows the engine's own messages")
    })
}

/// The engine, initialised once, its messages routed to `tracing`.
pub(super) fn backend() -> Result<&'static LlamaBackend, ModelError> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            quiet_logs();
            LlamaBackend::init().ok()
        })
        .as_ref()
        .ok_or_else(|| {
            ModelError::new(
                ModelErrorKind::Engine,
                "the embedded engine was already initialised by other code in this process",
            )
        })
}

fn quiet_logs() {
    send_logs_to_tracing(LogOptions::default());
}

/// `AGENTTTS_SHARE_PREFIXES=0` has every prompt evaluated from its start, to measure what sharing is worth.
fn shared_prefixes_wanted() -> bool {
    std::env::var_os("AGENTTTS_SHARE_PREFIXES").is_none_or(|value| value != "0")
}

#[cfg(test)]
mod tests;
