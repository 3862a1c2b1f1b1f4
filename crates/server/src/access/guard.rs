//! Every request: who sends it, what that allows, and what only a browser that was tricked would send.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Form;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::keys::{KeyFile, Scope};
use crate::api_error::ApiError;

/// Where a browser keeps the key that it signed in with.
const COOKIE: &str = "agenttts_key";

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Access {
    /// The file of keys; without one everybody on this machine may do everything.
    keys: Option<Watched>,
    behind_proxy: bool,
    /// Whether browsers reach it by HTTPS.
    is_secure: bool,
}

/// A file of keys, read again when it changes.
#[derive(Debug)]
struct Watched {
    file: PathBuf,
    state: Mutex<(KeyFile, Option<SystemTime>, Instant)>,
}

/// Whoever sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The key's name, or the address where there are no keys.
    pub(crate) name: String,
}

impl Access {
    pub(crate) fn new(keys: Option<(PathBuf, KeyFile)>, behind_proxy: bool, has_tls: bool) -> Self {
        let watch = |(file, keys): (PathBuf, KeyFile)| {
            let modified = modified(&file);
            Watched { file, state: Mutex::new((keys, modified, Instant::now())) }
        };
        Access { keys: keys.map(watch), behind_proxy, is_secure: behind_proxy || has_tls }
    }

    /// How browsers reach it.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// The client of a request that needs a scope, or a key of any.
    fn client(&self, headers: &HeaderMap, peer: IpAddr, scope: Option<Scope>) -> Result<Client, ApiError> {
        let Some(keys) = &self.keys else {
            return Ok(Client { name: self.address(headers, peer).to_string() });
        };
        let Some(presented) = presented(headers) else {
            return Err(ApiError::unauthorised("this server wants an API key: `Authorization: Bearer KEY`"));
        };
        let Some((name, scopes)) = keys.find(presented) else {
            return Err(ApiError::unauthorised("this API key is not known here"));
        };
        if let Some(scope) = scope.filter(|scope| !scopes.contains(scope)) {
            let message = format!("the key {name:?} does not allow to {}", scope.name());
            return Err(ApiError::forbidden(message));
        }
        Ok(Client { name })
    }

    fn address(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        // The last entry is the one that our proxy wrote, be it in a header line of its own.
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back().filter(|_| self.behind_proxy);
        let last = forwarded.and_then(|v| v.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.unwrap_or(peer)
    }

    /// Without keys only this machine is served, and a page of another site must not reach us through the browser by a
    /// name that it points here.
    fn check_host(&self, host: Option<&str>) -> Result<(), ApiError> {
        if self.keys.is_some() || self.behind_proxy {
            return Ok(());
        }
        let host = host.unwrap_or("localhost");
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let local = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if local { Ok(()) } else { Err(ApiError::forbidden("without API keys this server answers to localhost only")) }
    }
}

impl Watched {
    fn find(&self, presented: &str) -> Option<(String, Vec<Scope>)> {
        const EVERY: Duration = Duration::from_secs(1);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.2.elapsed() > EVERY {
            state.2 = Instant::now();
            let now = modified(&self.file);
            if now != state.1 {
                match KeyFile::read(&self.file) {
                    Ok(keys) => (state.0, state.1) = (keys, now),
                    Err(error) => tracing::error!(%error, "the keys before the change stay in force"),
                }
            }
        }
        state.0.find(presented).map(|key| (key.name.clone(), key.scopes.clone()))
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|m| m.modified()).ok()
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let bearer = bearer.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    bearer.map(|(_, key)| key.trim()).or_else(|| from_cookie(headers))
}

fn from_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The name by which a request reaches us; in HTTP/2 it is a part of the address.
pub(crate) fn host(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(Authority::as_str))
}

/// What a page of another site could make a browser send: a change that carries the browser's cookie, or comes from
/// elsewhere by its own word.
fn is_forged(method: &Method, headers: &HeaderMap) -> bool {
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    changes && site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// Lets a request through that its sender may send, with the [`Client`] noted.
pub(crate) async fn guard(
    State((access, scope)): State<(Arc<Access>, Option<Scope>)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let checked = access.check_host(host(&request)).and_then(|()| access.client(headers, peer.ip(), scope));
    let client = match checked {
        Ok(client) => client,
        Err(error) => {
            let wants_page = headers.get(header::ACCEPT).is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
            if wants_page && error.status == StatusCode::UNAUTHORIZED {
                return Redirect::to("/login").into_response();
            }
            return error.into_response();
        }
    };
    if is_forged(request.method(), headers) {
        return ApiError::forbidden("a page of another site sent this").into_response();
    }
    request.extensions_mut().insert(client);
    next.run(request).await
}

/// The page that asks for a key.
pub(crate) async fn login_page() -> Response {
    page("")
}

/// What the page sends.
#[derive(Deserialize)]
pub(crate) struct Login {
    key: String,
}

/// Keeps the key in the browser, where no script can read it.
pub(crate) async fn login(State(access): State<Arc<Access>>, headers: HeaderMap, Form(login): Form<Login>) -> Response {
    if is_forged(&Method::POST, &headers) {
        return ApiError::forbidden("a page of another site sent this").into_response();
    }
    let key = login.key.trim();
    if access.keys.as_ref().is_some_and(|keys| keys.find(key).is_none()) {
        return (StatusCode::UNAUTHORIZED, page("This key is not known here.")).into_response();
    }
    let secure = if access.is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={key}; Path=/; HttpOnly; SameSite=Strict{secure}");
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn page(problem: &str) -> Response {
    let mut response = Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>agenttts: sign in</title><main><h1>agenttts</h1><p role=alert>{problem}</p><form method=post \
         action=/login><label>API key <input name=key type=password autocomplete=current-password required autofocus>\
         </label> <button>Sign in</button></form><p>Keys are made by <code>agenttts keys new NAME</code>.</p></main>"
    ))
    .into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_str(v).unwrap()));
        pairs.collect()
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    #[test]
    fn keys_open_what_their_scopes_say_from_header_or_cookie() {
        let mut keys = KeyFile::default();
        let key = keys.issue("ci", &[Scope::Use]).unwrap();
        let access = Access::new(Some(("keys.toml".into(), keys)), false, false);
        let by_header = headers(&[("authorization", &format!("bearer {key}"))]);
        let by_cookie = headers(&[("cookie", &format!("a=b; agenttts_key={key}"))]);
        for sent in [&by_header, &by_cookie] {
            assert_eq!(access.client(sent, PEER, Some(Scope::Use)).unwrap().name, "ci");
            let refused = access.client(sent, PEER, Some(Scope::Administrate)).unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN);
        }
        for sent in [headers(&[]), headers(&[("authorization", "Bearer nonsense")])] {
            assert_eq!(access.client(&sent, PEER, Some(Scope::Use)).unwrap_err().status, StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn without_keys_only_names_of_this_machine_are_answered() {
        let access = Access::new(None, false, false);
        for host in ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"] {
            assert!(access.check_host(Some(host)).is_ok(), "{host}");
        }
        for host in ["evil.example:8080", "localhost.evil.example", "10.0.0.9"] {
            assert!(access.check_host(Some(host)).is_err(), "{host}");
        }
    }

    #[test]
    fn a_proxy_is_believed_only_where_there_is_one() {
        let sent = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]);
        assert_eq!(Access::new(None, true, false).address(&sent, PEER).to_string(), "2.2.2.2");
        assert_eq!(Access::new(None, false, false).address(&sent, PEER), PEER);
        let mut lines = sent;
        lines.append("x-forwarded-for", HeaderValue::from_static("3.3.3.3"));
        assert_eq!(Access::new(None, true, false).address(&lines, PEER).to_string(), "3.3.3.3");
    }

    #[test]
    fn changes_that_another_site_sends_are_forged() {
        let from = |site| headers(&[("sec-fetch-site", site)]);
        assert!(is_forged(&Method::POST, &from("cross-site")) && is_forged(&Method::DELETE, &from("same-site")));
        assert!(!is_forged(&Method::POST, &from("same-origin")) && !is_forged(&Method::GET, &from("cross-site")));
        assert!(!is_forged(&Method::POST, &headers(&[])), "programs say nothing of sites");
    }
}
