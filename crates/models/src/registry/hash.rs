//! SHA-256 of files, computed once: the result is cached beside the file under its size and modification time.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use agenttts_core::text::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Cached {
    version: u32,
    size: u64,
    modified_ns: u64,
    sha256: String,
}

const VERSION: u32 = 1;

/// The SHA-256 of a file in lower-case hexadecimal, from the cache beside it where that fits the file.
///
/// # Errors
/// Whatever reading the file gives; a cache that cannot be read or written is no error.
pub(crate) fn file_sha256(path: &Path) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    let modified_ns = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0));
    let cache = cache_path(path);
    let known = fs::read(&cache).ok().and_then(|bytes| serde_json::from_slice::<Cached>(&bytes).ok());
    if let Some(c) = known
        && (c.version, c.size, c.modified_ns) == (VERSION, meta.len(), modified_ns)
        && modified_ns != 0
    {
        return Ok(c.sha256);
    }
    let sha256 = hash(path)?;
    let cached = Cached { version: VERSION, size: meta.len(), modified_ns, sha256: sha256.clone() };
    if let Ok(bytes) = serde_json::to_vec(&cached) {
        let _ = fs::write(cache, bytes);
    }
    Ok(sha256)
}

/// Where a file's hash is cached.
pub(crate) fn cache_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".sha256");
    path.with_file_name(name)
}

/// The SHA-256 of a file, always computed.
pub(super) fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_hashed_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file_sha256(&path).unwrap(), abc);
        assert_eq!(file_sha256(&path).unwrap(), abc);
        fs::write(&path, "abcd").unwrap();
        assert_ne!(file_sha256(&path).unwrap(), abc);
        fs::write(cache_path(&path), "{broken").unwrap();
        assert_ne!(file_sha256(&path).unwrap(), abc);
    }
}
