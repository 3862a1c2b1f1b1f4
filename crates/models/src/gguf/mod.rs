//! What a GGUF file says about itself, read without the engine.
//!
//! The reader is safe on hostile bytes: every count and length is checked against the size of the file, nothing is
//! allocated on a mere claim, and arrays (vocabularies) are skipped, not kept. It checks that every tensor lies within
//! the file, which is how a download that was cut off shows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

mod parse;

use parse::{Header, parse};

/// Facts about a model, from the header of its GGUF file.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufFacts {
    /// The architecture's name, such as `llama` or `qwen2`.
    pub architecture: String,
    /// The name that the file's author gave the model.
    pub name: Option<String>,
    /// The licence that the file states.
    pub licence: Option<String>,
    /// Elements of all weight tensors.
    pub params: u64,
    /// Of these, the ones outside the token embedding and the output head: the `M` of the FLOPs cost models.
    pub non_embedding_params: u64,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Longest context that the model was trained for, in tokens; 0 where the file does not say.
    pub context: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u64,
    /// Bytes of keys and values that one token needs in a 16-bit cache.
    pub kv_bytes_per_token: u64,
    /// The model's chat template (Jinja); base models have none.
    pub chat_template: Option<String>,
    /// Size of the file in bytes.
    pub file_bytes: u64,
}

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not begin like a GGUF.
    #[error("{}: not a GGUF file (it begins with {found}, not with `GGUF`)", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// Its first bytes, for a person to read.
        found: String,
    },
    /// A version of the format that is not understood.
    #[error("{}: GGUF version {version} is not supported (2 and 3 are)", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The file ends before what its header announces.
    #[error("{}: truncated: {what} ends at byte {needs}, the file has {has}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is cut off.
        what: String,
        /// The bytes that the file would have at least.
        needs: u64,
        /// The bytes that it has.
        has: u64,
    },
    /// The header contradicts itself.
    #[error("{}: damaged GGUF header near byte {at}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from the start.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// A sound GGUF that is no language model, or one without what is needed to run it.
    #[error("{}: not a usable model: {what}", path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
}

impl GgufError {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            GgufError::Io { .. } => "check the path and its permissions",
            GgufError::NotGguf { .. } => "embedded models are GGUF files; `agenttts models list` shows those at hand",
            GgufError::NoModel { .. } => "take a GGUF of a whole language model, with its vocabulary",
            GgufError::Version { .. } => "take a current GGUF of the model",
            GgufError::Truncated { .. } | GgufError::Malformed { .. } => {
                "fetch the file again: it is incomplete or damaged"
            }
        }
    }
}

/// Reads the header of a GGUF file and checks that all its tensors lie within the file.
pub fn read_gguf(path: &Path) -> Result<GgufFacts, GgufError> {
    let io = |source| GgufError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let header = parse(BufReader::with_capacity(1 << 16, file), meta.len()).map_err(|e| e.at_path(path))?;
    facts(&header, meta.len()).map_err(|what| GgufError::NoModel { path: path.to_owned(), what })
}

fn facts(header: &Header, file_bytes: u64) -> Result<GgufFacts, String> {
    let text = |key: &str| header.text(key).filter(|t| !t.trim().is_empty()).map(str::to_owned);
    let architecture = text("general.architecture").ok_or("`general.architecture` is missing")?;
    let number = |key: &str| header.number(&format!("{architecture}.{key}"));
    let needed = |key: &str| {
        number(key)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0)
            .ok_or_else(|| format!("`{architecture}.{key}` is missing or zero"))
    };
    let layers = needed("block_count")?;
    let width = needed("embedding_length")?;
    let vocabulary = header.array_len("tokenizer.ggml.tokens").filter(|n| *n > 0).ok_or("the vocabulary is missing")?;
    if header.tensors.is_empty() {
        return Err("there are no tensors: this is a vocabulary, not a model".into());
    }

    let elements = |keep: &dyn Fn(&str) -> bool| {
        header.tensors.iter().filter(|t| keep(&t.name)).map(|t| t.elements).fold(0u64, u64::saturating_add)
    };
    let params = elements(&|name| name != "rope_freqs.weight");
    let embedding = elements(&|name| name.starts_with("token_embd") || name == "output.weight");

    let heads = number("attention.head_count").filter(|n| *n > 0).unwrap_or(1);
    let kv_heads = number("attention.head_count_kv").filter(|n| *n > 0).unwrap_or(heads);
    let head_width = |key: &str| number(key).unwrap_or(u64::from(width) / heads);
    let per_layer = head_width("attention.key_length").saturating_add(head_width("attention.value_length"));
    let kv_bytes_per_token =
        2u64.saturating_mul(u64::from(layers)).saturating_mul(kv_heads).saturating_mul(per_layer).max(1);

    Ok(GgufFacts {
        name: text("general.name"),
        licence: text("general.license"),
        params,
        non_embedding_params: params.saturating_sub(embedding),
        layers,
        width,
        context: number("context_length").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        vocabulary,
        kv_bytes_per_token,
        chat_template: text("tokenizer.chat_template"),
        architecture,
        file_bytes,
    })
}

/// Scalars and array lengths by key.
type Metadata = BTreeMap<String, parse::Value>;

#[cfg(test)]
pub(crate) mod tests;
