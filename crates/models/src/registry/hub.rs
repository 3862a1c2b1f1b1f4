//! Downloads from a model hub (the Hugging Face API), resumable.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode, Url};

use super::{Progress, RegistryError};
use crate::tls::install_crypto;

/// The hub that is asked unless another is named.
pub(super) const DEFAULT: &str = "https://huggingface.co";

/// Short, so that machines without a way to the hub soon try the next source.
const CONNECT: Duration = Duration::from_secs(5);
/// Without a byte for this long the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 6;

/// Why the hub gave no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum HubError {
    /// The hub cannot be reached or does not have it: another source may.
    #[error("{0}")]
    Hub(String),
    /// Another source would fail as well.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What the hub says of a file that was fetched whole.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// The hash that the hub states.
    pub(super) sha256: Option<String>,
    /// The commit of the repository.
    pub(super) commit: Option<String>,
}

/// Fetches a file to `part`, going on where an earlier attempt for the same contents ended.
pub(super) async fn fetch(
    endpoint: &str,
    repo: &str,
    file: &str,
    token: Option<&str>,
    part: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Fetched, HubError> {
    install_crypto();
    let client = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("agenttts/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| HubError::Hub(plain(&e)))?;
    let address = format!("{}/{repo}/resolve/main/{file}", endpoint.trim_end_matches('/'));
    let url = Url::parse(&address).map_err(|e| HubError::Hub(format!("{address}: {e}")))?;
    let (download, headers) = locate(&client, url, token).await?;
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(|v| v.trim_matches('"').to_owned());
    let sha256 = header("x-linked-etag").filter(|e| e.len() == 64 && e.chars().all(|c| c.is_ascii_hexdigit()));
    let commit = header("x-repo-commit");

    // A part of other contents is of no use.
    let contents = sha256.clone().or_else(|| commit.clone()).unwrap_or_default();
    let mark = mark(part);
    let known = fs::read_to_string(&mark).unwrap_or_default();
    let have = if !contents.is_empty() && known == contents { fs::metadata(part).map_or(0, |m| m.len()) } else { 0 };
    fs::write(&mark, &contents).map_err(|e| RegistryError::io(&mark, e))?;

    let mut request = client.get(download.url);
    if let Some(token) = download.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.send().await.map_err(|e| HubError::Hub(plain(&e)))?;
    match response.status() {
        // Whole already: the hash decides.
        StatusCode::RANGE_NOT_SATISFIABLE => {}
        StatusCode::PARTIAL_CONTENT => save(response, part, have, progress).await?,
        status if status.is_success() => save(response, part, 0, progress).await?,
        status => return Err(refused(status, repo)),
    }
    Ok(Fetched { sha256: sha256.map(|s| s.to_lowercase()), commit })
}

/// Removes a partial download.
pub(super) fn discard(part: &Path) {
    let _ = fs::remove_file(part);
    let _ = fs::remove_file(mark(part));
}

/// Where it is noted which contents a part belongs to.
fn mark(part: &Path) -> PathBuf {
    part.with_extension("part-of")
}

struct Download<'a> {
    url: Url,
    token: Option<&'a str>,
}

/// Follows redirects by hand: the first answer tells hash and commit, and the token must not go to another host.
async fn locate<'a>(client: &Client, url: Url, token: Option<&'a str>) -> Result<(Download<'a>, HeaderMap), HubError> {
    let host = url.host_str().map(str::to_owned);
    let mut at = url;
    let mut told = HeaderMap::new();
    for _ in 0..MOST_REDIRECTS {
        let token = token.filter(|_| at.host_str() == host.as_deref());
        let mut request = client.head(at.clone());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = request.send().await.map_err(|e| HubError::Hub(plain(&e)))?;
        let status = response.status();
        for (name, value) in response.headers() {
            if !told.contains_key(name) {
                told.insert(name.clone(), value.clone());
            }
        }
        if !status.is_redirection() {
            // Signed addresses may answer HEAD with 403; only the hub's own refusal counts.
            if status.is_success() || at.host_str() != host.as_deref() {
                return Ok((Download { url: at, token }, told));
            }
            return Err(refused(status, at.as_str()));
        }
        let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
        at = to.and_then(|to| at.join(to).ok()).ok_or_else(|| HubError::Hub(format!("{at} redirects to nowhere")))?;
    }
    Err(HubError::Hub(format!("{at} redirects too often")))
}

async fn save(
    response: Response,
    part: &Path,
    have: u64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), HubError> {
    let total = response.content_length().map(|n| n + have);
    let failed = |e| RegistryError::io_needing(part, e, total);
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(failed)?;
    if file.try_lock().is_err() {
        return Err(HubError::Hub("another process is fetching the same file".into()));
    }
    file.set_len(have).map_err(failed)?;
    let mut done = have;
    let mut bytes = response.bytes_stream();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|e| HubError::Hub(format!("{}; the next pull goes on from here", plain(&e))))?;
        file.write_all(&chunk).map_err(failed)?;
        done += chunk.len() as u64;
        progress(Progress::Bytes { done, total });
    }
    file.sync_all().map_err(failed)?;
    if total.is_some_and(|total| done < total) {
        return Err(HubError::Hub("the connection was closed early; the next pull goes on from here".into()));
    }
    Ok(())
}

fn refused(status: StatusCode, what: &str) -> HubError {
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "refuses access (HF_TOKEN names a token)",
        StatusCode::NOT_FOUND => "does not have it",
        _ => "fails",
    };
    HubError::Hub(format!("the hub {why}: {what} answers {status}"))
}

/// An error with its causes, without the address (signed ones hold keys).
fn plain(error: &reqwest::Error) -> String {
    let host = error.url().and_then(|u| u.host_str()).unwrap_or("the hub").to_owned();
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() { "cannot be reached" } else { "failed" };
    format!("{host} {what}: {cause}")
}
