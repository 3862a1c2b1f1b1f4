//! A way in for fuzzing: what reads the bodies of requests, without a server.

/// Reads bytes as the body of every kind of request.
pub fn request_body(body: &[u8]) {
    crate::openai::fuzzing::read(body);
    crate::run::read(body);
}
