//! One request through a plan: admitted, limited in time and cost, and booked whatever becomes of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agenttts_core::Choice;
use agenttts_engine::{Answer, EngineError, EngineErrorKind, Limits, Listener, Meter, RunOptions, StageListener};
use agenttts_models::ModelErrorKind;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::api_error::ApiError;
use crate::app::{App, Identity};
use crate::plans::{AnswerFacts, Ended, Gate, Pass, Refused, Served};
use crate::telemetry::RequestSpan;

/// A request that is ready for its plan.
pub(crate) struct Asked {
    pub(crate) plan: Arc<Served>,
    pub(crate) fields: Map<String, Value>,
    /// How many answers.
    pub(crate) answers: u32,
    /// The number of the first one's draws.
    pub(crate) first_draw: u32,
    pub(crate) limits: Limits,
    /// Seconds from its arrival, at most what the server grants.
    pub(crate) deadline: Option<f64>,
    pub(crate) client: String,
    pub(crate) identity: Identity,
}

/// A request that was admitted.
pub(crate) struct Admitted {
    asked: Asked,
    deadline: Duration,
    arrived: Instant,
    booking: Booking,
    _pass: Pass,
}

impl Asked {
    /// Waits until it is this request's turn.
    ///
    /// # Errors
    /// Fields that are missing, a full queue, a deadline that passed while waiting.
    pub(crate) async fn admit(self, app: &Arc<App>) -> Result<Admitted, ApiError> {
        let arrived = Instant::now();
        if let Some(missing) = self.plan.inputs.iter().find(|field| !self.fields.contains_key(*field)) {
            let wanted: Vec<&str> = self.plan.inputs.iter().map(String::as_str).collect();
            let message = format!("the input has no field {missing:?}; the plan reads {}", wanted.join(", "));
            return Err(ApiError::invalid(message).param("input"));
        }
        let most = app.limits.deadline.as_secs_f64();
        let seconds = match self.deadline {
            Some(seconds) if !(seconds > 0.0 && seconds.is_finite()) => {
                return Err(ApiError::invalid("a deadline is a positive number of seconds").param("deadline_seconds"));
            }
            Some(seconds) => seconds.min(most),
            None => most,
        };
        let deadline = Duration::from_secs_f64(seconds);
        self.identity.span.iter().for_each(|span| span.goes_to(&self.plan));
        let mut booking = Booking::new(app.clone(), &self);
        match enter(&app.gate, &self.client, deadline).await {
            Ok(pass) => Ok(Admitted { asked: self, deadline, arrived, booking, _pass: pass }),
            Err(refused) => {
                booking.end(refused.outcome(), Vec::new());
                Err(refused)
            }
        }
    }
}

/// Waits for a place among all that is answered.
///
/// # Errors
/// A full queue, a server that ends, a deadline that passed while waiting.
pub(crate) async fn enter(gate: &Gate, client: &str, deadline: Duration) -> Result<Pass, ApiError> {
    match tokio::time::timeout(deadline, gate.enter(client)).await {
        Ok(Ok(pass)) => Ok(pass),
        Ok(Err(Refused::Full(seconds))) => Err(ApiError::busy(seconds)),
        Ok(Err(Refused::Closed)) => Err(ApiError::ending()),
        Err(_) => Err(ApiError::deadline(deadline.as_secs_f64())),
    }
}

/// The next part of an answer, and which of a request's answers it is.
pub(crate) type Part = (u32, String);

/// Tells the parts of one answer, and traces what is done for it.
struct Teller {
    index: u32,
    parts: Option<mpsc::UnboundedSender<Part>>,
    span: Option<Arc<RequestSpan>>,
}

impl Listener for Teller {
    fn text(&self, part: &str) {
        if let Some(parts) = &self.parts {
            self.span.iter().for_each(|span| span.text());
            // Nobody hears it where the request was given up.
            let _ = parts.send((self.index, part.to_owned()));
        }
    }

    fn hears_text(&self) -> bool {
        self.parts.is_some()
    }

    fn stage(&self, name: &str, choice: &Choice) -> Option<Box<dyn StageListener>> {
        let span = self.span.as_ref()?;
        Some(Box::new(span.stage(name, choice)))
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Admitted {
    /// How many answers there will be.
    pub(crate) fn answers(&self) -> u32 {
        self.asked.answers
    }

    /// Answers. Dropped before that, its calls are given up and what they may have taken is booked.
    ///
    /// Parts of answers that are there before the whole are sent; what is still missing is in the answers.
    ///
    /// # Errors
    /// What went wrong, as a client may read it; the log has it whole.
    pub(crate) async fn answer(mut self, parts: Option<mpsc::UnboundedSender<Part>>) -> Result<Vec<Answer>, ApiError> {
        let left = self.deadline.saturating_sub(self.arrived.elapsed());
        let Asked { plan, fields, answers, first_draw, limits, identity, .. } = &self.asked;
        let Identity { id, span } = identity;
        let trace = span.as_ref().map(|span| span.trace_id());
        let meter = &self.booking.meter;
        let adaptive = self.booking.app.adaptive;
        let one = |index: u32| {
            let draw = first_draw.wrapping_add(index);
            let teller = Teller { index, parts: parts.clone(), span: span.clone() };
            let is_heard = teller.parts.is_some() || teller.span.is_some();
            let listener = is_heard.then(|| Arc::new(teller) as Arc<dyn Listener>);
            let options = RunOptions { draw, limits: *limits, meter: meter.clone(), adaptive, listener };
            let fields = fields.clone();
            async move { plan.runner.run_with(fields, &options).await }
        };
        let all = futures::future::try_join_all((0..*answers).map(one));
        // What others log meanwhile, such as calls that are tried again, is found by the request.
        let inner = tracing::info_span!("answering", request = id, trace_id = trace);
        let result = tokio::time::timeout(left, all).instrument(inner).await;
        let (outcome, result) = match result {
            Ok(Ok(answers)) => ("ok", Ok(answers)),
            Ok(Err(error)) => {
                let told = ApiError::of(&error);
                let status = told.status.as_u16();
                tracing::warn!(request = id, trace_id = trace, plan = plan.id, status, %error, "a request failed");
                (outcome(&error), Err(told))
            }
            Err(_) => ("deadline", Err(ApiError::deadline(self.deadline.as_secs_f64()))),
        };
        let of_answer =
            |answer: &Answer| AnswerFacts { cost: answer.cost, agreement: answer.agreement(), unread: answer.unread() };
        let answers = result.iter().flatten().map(of_answer).collect();
        self.booking.end(outcome, answers);
        if let (Some(examples), Ok([first, ..])) = (&self.booking.app.examples, result.as_deref()) {
            examples.keep(plan, fields, first);
        }
        result
    }
}

fn outcome(error: &EngineError) -> &'static str {
    match error.kind() {
        EngineErrorKind::Input => "no-answer",
        EngineErrorKind::Limit => "limit",
        EngineErrorKind::Model(ModelErrorKind::ContextOverflow) => "invalid",
        EngineErrorKind::Model(kind) if kind.is_transient() => "upstream",
        _ => "failed",
    }
}

/// Books the request when it ends: by what became of it, or as cancelled where nobody waited for that.
struct Booking {
    app: Arc<App>,
    plan: Arc<Served>,
    client: String,
    identity: Identity,
    meter: Meter,
    since: Instant,
    ended: bool,
}

impl Booking {
    fn new(app: Arc<App>, asked: &Asked) -> Self {
        Booking {
            app,
            plan: asked.plan.clone(),
            client: asked.client.clone(),
            identity: asked.identity.clone(),
            meter: Meter::default(),
            since: Instant::now(),
            ended: false,
        }
    }

    fn end(&mut self, outcome: &'static str, answers: Vec<AnswerFacts>) {
        self.ended = true;
        let ended = Ended { outcome, seconds: self.since.elapsed().as_secs_f64(), took: self.meter.read(), answers };
        self.plan.traffic.book(&ended);
        self.app.metrics.book(&self.plan, &ended);
        let Identity { id, span } = &self.identity;
        span.iter().for_each(|span| span.ends(outcome, ended.took.usage));
        tracing::info!(
            request = id,
            trace_id = span.as_ref().map(|span| span.trace_id()),
            plan = self.plan.id,
            client = self.client,
            outcome,
            seconds = ended.seconds,
            prompt_tokens = ended.took.usage.prompt,
            decode_tokens = ended.took.usage.decode,
            calls = ended.took.usage.calls,
            "request"
        );
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        if !self.ended {
            self.end("cancelled", Vec::new());
        }
    }
}
