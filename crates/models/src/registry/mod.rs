//! Model files at hand: what is known, what is there, and how it gets there.
//!
//! A folder holds `NAME.gguf` files; beside each, `NAME.json` tells where it came from and `NAME.gguf.sha256` caches its
//! hash. Files appear under their name only when they are whole and checked.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agenttts_core::Shape;

use crate::gguf::{GgufError, GgufFacts, read_gguf};
use crate::nearest::nearest_first;

mod error;
mod hash;
mod hub;
mod known;
mod packages;
mod pull;
mod sidecar;

pub use error::RegistryError;
pub(crate) use hash::file_sha256;
pub use known::{HubFile, KNOWN, KnownModel, Packages, known};
pub use pull::{Progress, PullOptions};
pub use sidecar::Provenance;

/// A folder of model files.
#[derive(Clone, Debug)]
pub struct Registry {
    dir: PathBuf,
}

/// A model file at hand.
#[derive(Clone, Debug)]
pub struct Found {
    /// The name under which it was found: the registry's, or the file's stem.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What the file says about the model.
    pub facts: GgufFacts,
    /// Where it came from, where that is known.
    pub provenance: Option<Provenance>,
}

impl Found {
    /// Parameters as the FLOPs cost models count them: those outside embedding and output head.
    pub fn non_embedding_params(&self) -> u64 {
        self.facts.non_embedding_params
    }

    /// Layers and width, for the attention term of `flops`.
    pub fn shape(&self) -> Shape {
        Shape { layers: self.facts.layers, width: self.facts.width }
    }
}

/// A line of the list of models.
#[derive(Debug)]
pub struct Listed {
    /// The model's name.
    pub name: String,
    /// What is known of it by name.
    pub known: Option<&'static KnownModel>,
    /// Its file, if it is here; the error tells why a file that is here cannot be used.
    pub file: Option<Result<Found, GgufError>>,
}

impl Registry {
    /// The registry in a folder, which need not exist yet.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Registry { dir: dir.into() }
    }

    /// The usual folder: `$AGENTTTS_MODELS`, else `~/.cache/agenttts/models`. `env` looks up a variable; `None` when
    /// neither it nor `HOME` is set.
    pub fn default_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("AGENTTTS_MODELS").or_else(|| set("HOME").map(|home| home.join(".cache").join("agenttts").join("models")))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the file of a name is or will be.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.gguf"))
    }

    /// The known models and the other files in the folder.
    pub fn list(&self) -> Result<Vec<Listed>, RegistryError> {
        let mut others = Vec::new();
        match fs::read_dir(&self.dir) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(|e| RegistryError::io(&self.dir, e))?.path();
                    let name = stem(&path);
                    if path.extension().is_some_and(|e| e == "gguf") && known(&name).is_none() {
                        others.push(name);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RegistryError::io(&self.dir, error)),
        }
        others.sort();
        let names = KNOWN.iter().map(|k| k.name.to_owned()).chain(others);
        Ok(names
            .map(|name| {
                let path = self.path_of(&name);
                let file = path.exists().then(|| found(&name, &path));
                Listed { known: known(&name), file, name }
            })
            .collect())
    }

    /// The file of a name in the registry, or of a path to a GGUF file.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] with the nearest name, [`RegistryError::NotPulled`], or why the file cannot be used.
    pub fn find(&self, name_or_path: &str) -> Result<Found, RegistryError> {
        if is_plain(name_or_path) {
            let path = self.path_of(name_or_path);
            if path.exists() {
                return Ok(found(name_or_path, &path)?);
            }
            if known(name_or_path).is_some() {
                return Err(RegistryError::NotPulled { name: name_or_path.into(), dir: self.dir.clone() });
            }
        }
        let path = Path::new(name_or_path);
        if path.exists() || path.extension().is_some_and(|e| e == "gguf") {
            return Ok(found(&stem(path), path)?);
        }
        Err(self.unknown(name_or_path))
    }

    /// Takes a GGUF file into the registry under its own name: by a hard link where that works, else by a copy.
    pub fn add(&self, file: &Path) -> Result<Found, RegistryError> {
        let facts = read_gguf(file)?;
        let name = stem(file);
        if !is_plain(&name) {
            return Err(RegistryError::Unknown { nearest: "model".into(), name });
        }
        let target = self.path_of(&name);
        fs::create_dir_all(&self.dir).map_err(|e| RegistryError::io(&self.dir, e))?;
        let sha256 = file_sha256(file).map_err(|e| RegistryError::io(file, e))?;
        if target.exists() {
            let there = file_sha256(&target).map_err(|e| RegistryError::io(&target, e))?;
            if there != sha256 {
                return Err(RegistryError::Exists { name, path: target });
            }
            return Ok(found(&name, &target)?);
        }
        self.take(file, &target, facts.file_bytes)?;
        let source = format!("added from {}", file.canonicalize().unwrap_or_else(|_| file.to_owned()).display());
        let whose = "added by the user".to_owned();
        Provenance::new(source, sha256, facts.file_bytes, facts.licence.clone(), whose).write(&target)?;
        Ok(found(&name, &target)?)
    }

    fn take(&self, file: &Path, target: &Path, bytes: u64) -> Result<(), RegistryError> {
        if !file.is_symlink() && fs::hard_link(file, target).is_ok() {
            return Ok(());
        }
        // A copy appears under its name only when it is whole.
        let failed = |e| RegistryError::io_needing(&self.dir, e, Some(bytes));
        let mut whole = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        let mut source = fs::File::open(file).map_err(|e| RegistryError::io(file, e))?;
        io::copy(&mut source, whole.as_file_mut()).map_err(failed)?;
        pull::persist(whole, target)
    }

    fn unknown(&self, name: &str) -> RegistryError {
        let candidates: Vec<String> = match self.list() {
            Ok(list) => list.into_iter().map(|l| l.name).collect(),
            Err(_) => KNOWN.iter().map(|k| k.name.to_owned()).collect(),
        };
        let nearest = nearest_first(name, candidates).into_iter().next().unwrap_or_default();
        RegistryError::Unknown { name: name.into(), nearest }
    }
}

fn found(name: &str, path: &Path) -> Result<Found, GgufError> {
    let facts = read_gguf(path)?;
    Ok(Found { name: name.into(), path: path.to_owned(), facts, provenance: Provenance::of(path) })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a text can be a model's name, so that it cannot lead out of the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests;
