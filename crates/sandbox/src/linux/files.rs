//! The program's own files: copied before it starts, removed after.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Component, Path};

use crate::wire::Spec;

/// Writes the job's files into the new, empty folder `into`. `system` is where the system's root folder is found.
///
/// The job's single files come first and what is there is never replaced, so that no link out of the job's folder can be
/// followed.
pub(super) fn fill(spec: &Spec, system: &Path, into: &Path) -> Result<(), String> {
    for (name, contents) in &spec.files {
        let path = Path::new(name);
        let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !stays || name.is_empty() {
            return Err(format!(
                "the file name `{name}` leaves the program's folder; give a relative path without `..`"
            ));
        }
        write(&into.join(path), contents.as_bytes()).map_err(|error| format!("the file `{name}`: {}", say(&error)))?;
    }
    if let Some(folder) = &spec.folder {
        let from = system.join(folder.strip_prefix("/").unwrap_or(folder));
        copy(&from, into).map_err(|(path, error)| {
            let path = path.strip_prefix(&from).unwrap_or(&path);
            format!("copying {}: {}", folder.join(path).display(), say(&error))
        })?;
    }
    Ok(())
}

/// Makes `id` the owner of `path` and of everything below it.
pub(super) fn give(path: &Path, id: u32) -> io::Result<()> {
    lchown(path, Some(id), Some(id))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), id)?;
        }
    }
    Ok(())
}

/// Makes everything below `path` removable: a program may have closed its folders.
pub(super) fn open_up(path: &Path) {
    if path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            open_up(&entry.path());
        }
    }
}

fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(contents)
}

type Failure = (std::path::PathBuf, io::Error);

fn copy(from: &Path, into: &Path) -> Result<(), Failure> {
    let at = |error| (from.to_path_buf(), error);
    for entry in fs::read_dir(from).map_err(at)? {
        let entry = entry.map_err(at)?;
        let (source, target) = (entry.path(), into.join(entry.file_name()));
        let kind = entry.file_type().map_err(at)?;
        let copied = if kind.is_dir() {
            match fs::create_dir(&target) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ if target.symlink_metadata().is_ok_and(|data| data.is_dir()) => {
                    copy(&source, &target)?;
                    Ok(())
                }
                _ => Ok(()),
            }
        } else if kind.is_symlink() {
            fs::read_link(&source).and_then(|link| symlink(link, &target))
        } else if kind.is_file() {
            copy_file(&source, &target)
        } else {
            Err(io::Error::other("only files, folders and symbolic links can be copied"))
        };
        match copied {
            // A single file of the job goes before one of the same name in its folder.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(|error| (source, error))?,
        }
    }
    Ok(())
}

fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    let mut from = File::open(source)?;
    let mut to = OpenOptions::new().write(true).create_new(true).open(target)?;
    io::copy(&mut from, &mut to)?;
    let runs = from.metadata()?.permissions().mode() & 0o111 != 0;
    to.set_permissions(Permissions::from_mode(if runs { 0o755 } else { 0o644 }))
}

fn say(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "there is no room left; raise the limit of disk space".to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::wire::Layers;

    fn spec(folder: Option<&Path>, files: &[(&str, &str)]) -> Spec {
        Spec {
            program: "/bin/true".into(),
            args: Vec::new(),
            env: std::collections::BTreeMap::new(),
            folder: folder.map(Path::to_path_buf),
            files: files.iter().map(|(name, text)| ((*name).to_string(), (*text).to_string())).collect(),
            stdin: Vec::new(),
            read_only: Vec::new(),
            limits: Limits::default(),
            layers: Layers { namespaces: false, landlock: false, seccomp: false },
            allow_weaker: false,
        }
    }

    #[test]
    fn a_file_name_cannot_leave_the_folder() {
        let into = tempfile::tempdir().unwrap();
        for name in ["../x", "/x", "a/../../x", ""] {
            let error = fill(&spec(None, &[(name, "")]), Path::new("/"), into.path()).unwrap_err();
            assert!(error.contains("leaves the program's folder"), "{name}: {error}");
        }
    }

    #[test]
    fn a_link_in_the_folder_is_never_written_through() {
        let (outside, folder, into) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), folder.path().join("a")).unwrap();
        fill(&spec(Some(folder.path()), &[("a/b", "text")]), Path::new("/"), into.path()).unwrap();
        assert_eq!(fs::read_to_string(into.path().join("a/b")).unwrap(), "text");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
