//! What keeps the dashboard from being used by other pages: headers of every answer, and checks of requests that change
//! something, beside those that `access::guard` makes of every request.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Fault;
use crate::access::host;

/// A header that pages of elsewhere cannot send without being asked first.
const OURS: &str = "x-agenttts";

/// Pages load from here and nowhere else; what they show may be nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The API: nothing of it is kept or guessed at, and what changes something must come from our own page.
pub(super) async fn api(request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe && let Err(fault) = is_ours(&request) {
        return fault.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    secure(headers);
    set(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    set(headers, header::CACHE_CONTROL, "no-store");
    response
}

/// Pages and their files.
pub(super) async fn pages(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    secure(headers);
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        set(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    }
    response
}

fn is_ours(request: &Request) -> Result<(), Fault> {
    let text = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let refused = |why: &str| {
        let hint = format!("send the header {OURS}: 1, and no Origin but the server's own");
        Err(Fault::new(StatusCode::FORBIDDEN, format!("the request is refused: {why}"), hint))
    };
    if text(OURS).is_none() {
        return refused("it does not come from the dashboard's own page");
    }
    let host = host(request);
    let origin = text("origin").map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    if origin.is_some() && origin != host {
        return refused("its origin is another");
    }
    Ok(())
}

/// Beside what every answer of the server has.
fn secure(headers: &mut HeaderMap) {
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
