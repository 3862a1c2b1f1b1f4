//! API keys: a file of their hashes. A key is 256 random bits, so a plain hash keeps it.

use std::path::{Path, PathBuf};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Sending requests to plans.
    Use,
    /// Looking at studies, traffic and metrics.
    View,
    /// Stopping studies, loading plans again, and all else that changes something.
    Administrate,
}

impl Scope {
    /// All scopes with their names.
    pub const ALL: [(&'static str, Scope); 3] =
        [("use", Scope::Use), ("view", Scope::View), ("administrate", Scope::Administrate)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Use => "use",
            Scope::View => "view",
            Scope::Administrate => "administrate",
        }
    }
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Whose it is; shown in logs and metrics.
    pub name: String,
    /// SHA-256 of the key, hexadecimal.
    pub sha256: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// A file of keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The keys.
    #[serde(default, rename = "key")]
    pub keys: Vec<ApiKey>,
}

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", file.display())]
pub struct KeyFileError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub message: String,
}

impl KeyFile {
    /// Reads a file of keys; one that is not there holds none.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(file: &Path) -> Result<Self, KeyFileError> {
        let wrong = |message: String| KeyFileError { file: file.to_owned(), message };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(KeyFile::default()),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let found: KeyFile = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match found.keys.iter().find(|k| k.sha256.len() != 64 || !k.sha256.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(key) => Err(wrong(format!("the key {:?} has no SHA-256: `agenttts keys new` writes one", key.name))),
            None => Ok(found),
        }
    }

    /// Makes a key, adds its hash, and returns the key: nobody can read it again.
    ///
    /// # Errors
    /// A name that is taken or empty.
    pub fn issue(&mut self, name: &str, scopes: &[Scope]) -> Result<String, String> {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err("a key needs a name of plain characters".into());
        }
        if self.keys.iter().any(|k| k.name == name) {
            return Err(format!("there is a key {name:?} already"));
        }
        let secret: [u8; 32] = rand::rng().random();
        let key = format!("atts-{}", hex(&secret));
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        self.keys.push(ApiKey { name: name.to_owned(), sha256: digest(&key), scopes });
        Ok(key)
    }

    /// Takes a key away; whether it was there.
    pub fn revoke(&mut self, name: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|k| k.name != name);
        self.keys.len() < before
    }

    /// Writes the file, for its owner alone, whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), KeyFileError> {
        let wrong = |message: String| KeyFileError { file: file.to_owned(), message };
        let text = toml::to_string_pretty(self).map_err(|e| wrong(e.to_string()))?;
        let text = format!("# Keys of agenttts serve, as hashes. Written by `agenttts keys`.\n{text}");
        let beside = file.with_extension("tmp");
        write_private(&beside, &text).and_then(|()| std::fs::rename(&beside, file)).map_err(|e| wrong(e.to_string()))
    }

    /// The key that was presented. Comparing hashes leaks nothing of a key through time.
    pub(crate) fn find(&self, presented: &str) -> Option<&ApiKey> {
        let hash = digest(presented);
        self.keys.iter().find(|k| k.sha256.eq_ignore_ascii_case(&hash))
    }
}

#[cfg(unix)]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(file, text)
}

fn digest(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_once_and_kept_as_a_hash() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys.toml");
        let mut keys = KeyFile::read(&file).unwrap();
        let key = keys.issue("ci", &[Scope::View, Scope::Use, Scope::Use]).unwrap();
        keys.write(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&key) && !text.contains(&key[5..]));
        let keys = KeyFile::read(&file).unwrap();
        assert_eq!(keys.find(&key).unwrap().scopes, [Scope::Use, Scope::View]);
        assert!(keys.find(&key[..key.len() - 1]).is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn names_are_unique_and_keys_can_be_taken_away() {
        let mut keys = KeyFile::default();
        let key = keys.issue("a", &[Scope::Use]).unwrap();
        assert!(keys.issue("a", &[Scope::Use]).unwrap_err().contains("already"));
        assert!(keys.revoke("a") && !keys.revoke("a"));
        assert!(keys.find(&key).is_none());
    }

    #[test]
    fn a_file_of_something_else_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys.toml");
        std::fs::write(&file, "[[key]]\nname = \"a\"\nsha256 = \"plain-secret\"\nscopes = [\"use\"]").unwrap();
        let error = KeyFile::read(&file).unwrap_err().to_string();
        assert!(error.contains("keys.toml") && error.contains("agenttts keys new"), "{error}");
    }
}
