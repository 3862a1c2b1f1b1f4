//! What is kept about a model file, beside it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RegistryError;

/// The version of the sidecar's format. A reader ignores sidecars of other versions: they only tell, nothing depends on
/// them.
const VERSION: u32 = 1;

/// Where a model file came from: `NAME.json` beside `NAME.gguf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    version: u32,
    /// Where the bytes came from, such as `hub: OWNER/REPO/FILE at COMMIT`.
    pub source: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Who made the file, and what is known of it.
    pub provenance: String,
}

impl Provenance {
    pub(super) fn new(source: String, sha256: String, bytes: u64, licence: Option<String>, provenance: String) -> Self {
        Provenance { version: VERSION, source, sha256, bytes, licence, provenance }
    }

    /// The sidecar of a model file, if it has one that can be read.
    pub fn of(model: &Path) -> Option<Self> {
        let bytes = fs::read(path(model)).ok()?;
        serde_json::from_slice::<Self>(&bytes).ok().filter(|p| p.version == VERSION)
    }

    pub(super) fn write(&self, model: &Path) -> Result<(), RegistryError> {
        let path = path(model);
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(&path, text + "\n").map_err(|e| RegistryError::io(&path, e))
    }
}

fn path(model: &Path) -> PathBuf {
    model.with_extension("json")
}
