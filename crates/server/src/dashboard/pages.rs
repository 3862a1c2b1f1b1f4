//! The pages: one shell, which the files in `assets/` fill; a plain list for browsers without JavaScript; reports.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use agenttts_core::text::escaped;
use agenttts_engine::{Glance, Said, glances};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::error::Fault;
use super::query::Path;
use super::view::{DashboardState, blocking};

/// How long a report may take: nobody looks at half of one.
const REPORT: Duration = Duration::from_secs(60);

/// Where the shell has the list for browsers without JavaScript.
const PLAIN: &str = "<!--plain-->";

const SHELL: &str = include_str!("../../assets/index.html");

/// A file of the pages, as `web/` builds it.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    packed: OnceLock<Packed>,
}

/// What is sent of a file.
struct Packed {
    etag: HeaderValue,
    gzip: Option<Vec<u8>>,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../../assets/", $name)),
            packed: OnceLock::new(),
        }
    };
}

static ASSETS: [Asset; 5] = [
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("charts.js", "text/javascript; charset=utf-8"),
    asset!("app.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("licences.txt", "text/plain; charset=utf-8"),
];

/// The page of every address: its script looks at the address.
pub(super) async fn shell(State(state): State<DashboardState>) -> Response {
    let plain = match blocking(move || plain(&state)).await {
        Ok(plain) => plain,
        Err(fault) => format!("<p>{}</p>", escaped(&fault.words())),
    };
    let page = SHELL.replacen(PLAIN, &plain, 1);
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

/// The essentials without JavaScript: studies, the best plan of each, and the way to its report.
fn plain(state: &DashboardState) -> Result<String, Fault> {
    let studies = match state.stores()? {
        Some(stores) => glances(&stores.pages)?,
        None => Vec::new(),
    };
    if studies.is_empty() {
        return Ok("<p>No studies yet: <code>agenttts search PIPELINE</code> begins one.</p>".into());
    }
    let rows: String = studies.iter().rev().map(plain_row).collect();
    Ok(format!(
        "<table><caption>Studies, the newest first</caption><thead><tr><th>Study</th><th>State</th><th>Trials</th>\
         <th>Best so far</th><th>Its plan</th></tr></thead><tbody>{rows}</tbody></table>"
    ))
}

fn plain_row(study: &Glance) -> String {
    let name = escaped(&study.name);
    let state = serde_json::to_value(study.state).unwrap_or_default();
    let (best, plan) = match &study.leader {
        Some(l) => (format!("{:.3}", l.objective.mean), l.plan.to_string()),
        None => ("-".into(), "-".into()),
    };
    format!(
        "<tr><td><a href=\"/studies/{name}/report\">{name}</a></td><td>{}</td><td>{}</td><td>{best}</td><td>{}</td></tr>",
        state.as_str().unwrap_or("-"),
        study.trials,
        escaped(&plan)
    )
}

/// A study's report: the page that `agenttts report` writes.
pub(super) async fn report(State(state): State<DashboardState>, Path(study): Path<String>) -> Result<Response, Fault> {
    let page = state.look(study, |view| {
        let Said::Summary(summary) = view.summary(Some(REPORT))? else {
            let hint = format!("`agenttts report {}` writes its report", view.name());
            return Err(Fault::conflict(format!("the study {} is too large to report on here", view.name()), hint));
        };
        Ok(agenttts_report::html(&summary))
    });
    let page = page.await?;
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src {}; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        script_hash(&page).unwrap_or_else(|| "'none'".into())
    );
    Ok(([(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store".into())], Html(page))
        .into_response())
}

/// The hash by which a page's own script is told from any other.
fn script_hash(page: &str) -> Option<String> {
    let (_, rest) = page.rsplit_once("<script>")?;
    let (script, _) = rest.split_once("</script>")?;
    Some(format!("'sha256-{}'", base64(&Sha256::digest(script.as_bytes()))))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A file of the pages; its name stays, so it is asked for again, and sent only where it changed.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Fault> {
    let Some(asset) = ASSETS.iter().find(|a| a.name == name) else {
        return Err(Fault::missing(format!("there is no file {name:?}"), "load the page again"));
    };
    let packed = asset.packed.get_or_init(|| pack(asset));
    let common = [
        (header::ETAG, packed.etag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&packed.etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let takes_gzip =
        headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let kind = [(header::CONTENT_TYPE, asset.kind)];
    Ok(match &packed.gzip {
        Some(gzip) if takes_gzip => {
            (common, kind, [(header::CONTENT_ENCODING, "gzip")], gzip.as_slice()).into_response()
        }
        _ => (common, kind, asset.bytes).into_response(),
    })
}

fn pack(asset: &Asset) -> Packed {
    let hash = base64(&Sha256::digest(asset.bytes));
    let etag = HeaderValue::try_from(format!("\"{}\"", &hash[..22])).unwrap_or(HeaderValue::from_static("\"-\""));
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let gzip = writer.write_all(asset.bytes).and_then(|()| writer.finish()).ok();
    Packed { etag, gzip: gzip.filter(|gzip| gzip.len() < asset.bytes.len()) }
}

/// An address of the API that is none.
pub(super) async fn no_such_answer() -> Fault {
    Fault::missing("there is nothing at this address", "docs/dashboard.md lists the addresses of the API")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_by_the_standard() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
