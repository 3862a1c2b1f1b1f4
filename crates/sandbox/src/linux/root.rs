//! The root folder of a run in namespaces: the runtime, read-only, and the program's own files, in memory.
//!
//! ```text
//! /            read-only
//! /usr ...     the runtime, read-only, setuid programs without effect
//! /dev         null, zero, full, random, urandom; shm
//! /work        the job's files
//! /tmp
//! ```
//! There is no /proc: it would show more of the system than of the run.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use super::files;
use super::mode::Mode;
use crate::wire::Spec;

/// Where the system's root folder is while the new one is built.
const OLD: &str = "/old";

/// The devices that every program expects.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Why there is no root folder.
pub(super) enum Failure {
    /// The system does not let us.
    System(String),
    /// The job's files are at fault.
    Job(String),
}

/// Moves this process, which must be alone in new namespaces, into a root folder of its own.
pub(super) fn enter(spec: &Spec, mode: &Mode) -> Result<(), Failure> {
    let system = |what: &'static str| move |error: Errno| Failure::System(format!("{what}: {error}"));
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(system("private mounts"))?;
    memory("/tmp", 1 << 20).map_err(system("a file system in memory"))?;
    folder("/tmp/old")?;
    pivot_root("/tmp", "/tmp/old").map_err(system("pivot_root"))?;
    chdir("/").map_err(system("chdir"))?;

    for path in &spec.read_only {
        show(path)?;
    }
    folder("/dev")?;
    for device in DEVICES {
        bind(&old(Path::new(device)), Path::new(device)).map_err(system(device))?;
    }
    folder("/etc")?;
    let users = "root:x:0:0::/:/bin/false\nuser:x:1000:1000::/work:/bin/sh\n";
    fs::write("/etc/passwd", users).map_err(|error| Failure::System(format!("/etc/passwd: {error}")))?;

    own_files(spec, mode)?;

    umount2(OLD, MntFlags::MNT_DETACH).map_err(system("leaving the system's root folder"))?;
    fs::remove_dir(OLD).map_err(|error| Failure::System(format!("{OLD}: {error}")))?;
    let read_only =
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, "/", none, read_only, none).map_err(system("a read-only root folder"))
}

/// The folders that the program may write, in one file system of limited size.
fn own_files(spec: &Spec, mode: &Mode) -> Result<(), Failure> {
    const SCRATCH: &str = "/scratch";
    let system = |error: Errno| Failure::System(format!("the program's folder: {error}"));
    folder(SCRATCH)?;
    memory(SCRATCH, spec.limits.disk_bytes.max(1 << 16)).map_err(system)?;
    for (name, target) in [("work", "/work"), ("tmp", "/tmp"), ("shm", "/dev/shm")] {
        let source = Path::new(SCRATCH).join(name);
        folder(&source)?;
        if name == "work" {
            files::fill(spec, Path::new(OLD), &source).map_err(Failure::Job)?;
        }
        if let Some(id) = mode.switch_to {
            files::give(&source, id).map_err(|error| Failure::System(format!("the program's folder: {error}")))?;
        }
        folder(target)?;
        bind_folder(&source, Path::new(target)).map_err(system)?;
    }
    umount2(SCRATCH, MntFlags::MNT_DETACH).map_err(system)?;
    fs::remove_dir(SCRATCH).map_err(|error| Failure::System(format!("{SCRATCH}: {error}")))
}

/// Makes a folder or file of the system visible under its own name. What the system does not have is left out.
fn show(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::System(format!("{}: {error}", path.display()));
    let source = old(path);
    let Ok(data) = source.symlink_metadata() else { return Ok(()) };
    // Something that was shown before may hold it already.
    if path.symlink_metadata().is_ok_and(|there| !there.is_dir()) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    if data.is_symlink() {
        return fs::read_link(&source).and_then(|link| symlink(link, path)).map_err(failed);
    }
    let shown = if data.is_dir() {
        fs::create_dir_all(path).map_err(failed)?;
        bind_folder(&source, path)
    } else {
        bind(&source, path)
    };
    shown.and_then(|()| make_read_only(path)).map_err(|error| failed(error.into()))
}

fn old(path: &Path) -> std::path::PathBuf {
    Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path))
}

fn folder(path: impl AsRef<Path>) -> Result<(), Failure> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(|error| Failure::System(format!("{}: {error}", path.display())))
}

fn memory(path: &str, bytes: u64) -> nix::Result<()> {
    // A file takes at least a page, so that more nodes than pages serve nobody.
    let options = format!("mode=755,size={bytes},nr_inodes={}", (bytes / 4096).max(256));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options.as_str()))
}

/// Binds a file, which is made if needed.
fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    File::create(target).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    bind_folder(source, target)
}

fn bind_folder(source: &Path, target: &Path) -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
}

/// Makes a mount and all mounts below it read-only. The older way of `mount` reaches the topmost one only.
fn make_read_only(path: &Path) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path ends with a zero byte, and the attributes live until the call returns and have the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}
