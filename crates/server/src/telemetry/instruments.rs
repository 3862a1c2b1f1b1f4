//! The instruments of the conventions, with the boundaries that they advise.

use opentelemetry::metrics::{Histogram, Meter};

/// Seconds, as the conventions for generative AI advise.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Seconds, as the conventions for HTTP advise.
const HTTP_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What is measured.
pub(super) struct Instruments {
    /// Tokens of a call to a model, by kind.
    pub(super) tokens: Histogram<u64>,
    /// Seconds of a call to a model, with its retries.
    pub(super) call_seconds: Histogram<f64>,
    /// Seconds until the first part of a streamed call.
    pub(super) call_first: Histogram<f64>,
    /// Seconds of a request to a plan.
    pub(super) plan_seconds: Histogram<f64>,
    /// Seconds until the first part of an answer.
    pub(super) plan_first: Histogram<f64>,
    /// Seconds of a request, also of one that was refused.
    pub(super) http_seconds: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str, boundaries: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(boundaries.to_vec()).build()
        };
        // Powers of 4 from 1 to 67,108,864.
        let tokens = (0..14).map(|power| 4_f64.powi(power)).collect();
        Instruments {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of calls to models, as billed")
                .with_boundaries(tokens)
                .build(),
            call_seconds: seconds("gen_ai.client.operation.duration", "Calls to models, with their retries", &SECONDS),
            call_first: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                "The first part of a streamed call",
                &SECONDS,
            ),
            plan_seconds: seconds("gen_ai.server.request.duration", "Answers of plans", &SECONDS),
            plan_first: seconds("gen_ai.server.time_to_first_token", "The first part of a streamed answer", &SECONDS),
            http_seconds: seconds(
                "http.server.request.duration",
                "Requests, until their answers are there",
                &HTTP_SECONDS,
            ),
        }
    }
}
