//! Ways in for fuzzing: what reads bytes of providers, without a connection.

use reqwest::StatusCode;

use super::failure::from_status;
use super::reply;
use super::stream::Streamed;

/// Reads bytes as every kind of reply that comes whole.
pub fn whole(body: &[u8]) {
    let _ = reply::parse(body);
    let _ = reply::parse_embedding(body);
    let _ = reply::usage_of(body);
    for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR] {
        let _ = from_status(status, &Default::default(), body, 8);
    }
}

/// Reads parts of a streamed reply: what was told of it, and what it came to, in words.
pub fn streamed(parts: &[&[u8]]) -> String {
    let mut streamed = Streamed::default();
    let mut told = String::new();
    for part in parts {
        if let Err(problem) = streamed.push(part, &mut |text| told.push_str(text)) {
            return format!("{told:?}, then {problem:?} after {}", streamed.so_far());
        }
    }
    let whole = streamed.whole();
    format!("{told:?}, then {:?} {:?}", whole.problem, reply::of_value(&whole.value))
}
