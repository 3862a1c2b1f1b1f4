//! Where the store and the models are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The store's file below the folder that it serves.
const STORE: &str = ".agenttts/store.db";

/// The store: the named one, else the nearest in the current folder or above it, else a new one in the current folder.
pub(crate) fn store(named: Option<&Path>, current: &Path) -> PathBuf {
    match named {
        Some(path) => path.to_owned(),
        None => {
            let existing = current.ancestors().map(|dir| dir.join(STORE)).find(|path| path.is_file());
            existing.unwrap_or_else(|| current.join(STORE))
        }
    }
}

/// The folder of models: the named one, else `agenttts/models` in the user's cache. `env` looks up a variable; `None`
/// when it knows no home.
pub(crate) fn models(named: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("agenttts").join("models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_store_is_used_and_a_new_one_is_made_here() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(store(None, &inner), inner.join(STORE));
        std::fs::create_dir_all(root.path().join(".agenttts")).unwrap();
        std::fs::write(root.path().join(STORE), b"").unwrap();
        assert_eq!(store(None, &inner), root.path().join(STORE));
        assert_eq!(store(Some(Path::new("x.db")), &inner), Path::new("x.db"));
    }

    #[test]
    fn models_are_in_the_users_cache() {
        let env = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(models(None, env(&[("HOME", "/h")])), Some("/h/.cache/agenttts/models".into()));
        assert_eq!(models(None, env(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")])), Some("/c/agenttts/models".into()));
        assert_eq!(models(None, env(&[("XDG_CACHE_HOME", "not/absolute")])), None);
        assert_eq!(models(Some(Path::new("m")), env(&[])), Some("m".into()));
    }
}
