//! One call with its retries, and what it took.

use std::time::{Duration, Instant};

use agenttts_core::{Finish, Request, Usage};

use super::failure::{Failure, Remedy};
use super::hedge;
use super::limits::{Admission, Ended};
use super::model::{OpenaiModel, prompt_bound};
use super::provider::{ContentType, Incoming};
use super::quirks::Warning;
use super::reply::{self, Choice, Completion, Reported, Unusable, excerpt};
use super::stream::Streamed;
use super::usage::{self, Coverage, Verdict};
use super::wire;
use crate::nearest::nearest_first;
use crate::{ModelError, ModelErrorKind, OnText, Toll, TraceContext};

/// What one call asks for.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) request: &'a Request,
    pub(super) n: u32,
    pub(super) seed: u32,
    pub(super) on_text: Option<&'a OnText<'a>>,
    pub(super) trace: Option<&'a TraceContext>,
}

/// What one call, retries included, came to.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) outcome: Result<Answer, Refusal>,
    pub(super) billed: Usage,
    pub(super) warnings: Vec<String>,
}

/// The choices of a successful call.
#[derive(Debug)]
pub(super) struct Answer {
    /// As many as the server sent, in order.
    pub(super) choices: Vec<Result<Measured, String>>,
    pub(super) prompt_tokens: u32,
    pub(super) latency_us: u64,
    pub(super) fingerprint: Option<String>,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
}

/// A choice and its share of the booked tokens.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) text: String,
    pub(super) finish: Finish,
    pub(super) decode_tokens: u32,
}

/// A call that failed for good.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The provider takes at most so many choices a call.
    AtMost(u32, ModelError),
    /// Anything else.
    Failed(ModelError),
}

/// Calls until there is an answer, the failure is no transient one, or the retries are used up.
pub(super) async fn call(model: &OpenaiModel, ask: Ask<'_>, toll: &dyn Toll) -> Called {
    let provider = &model.provider;
    let mut delays = provider.policy.delays(provider.retries);
    let mut billed = Usage::default();
    let mut warnings = Vec::new();
    let mut last: Option<ModelError> = None;
    loop {
        if let Err(failure) = provider.breaker.admit() {
            let wait = if toll.waits() { provider.policy.wait(delays.next(), failure.retry_after) } else { None };
            let Some(wait) = wait else {
                let error = last.unwrap_or_else(|| failure.into_error(&model.subject(), billed.calls));
                return Called { outcome: Err(Refusal::Failed(error)), billed, warnings };
            };
            tokio::time::sleep(wait).await;
            continue;
        }
        if !toll.begin(1, ask.n).await {
            let error = last.unwrap_or_else(ModelError::withheld);
            return Called { outcome: Err(Refusal::Failed(error)), billed, warnings };
        }
        let mut taken = Usage { calls: 1, ..Usage::default() };
        let (attempted, beside) = hedge::attempt(model, ask, toll).await;
        billed += beside;
        let Failed { failure, reported, begun } = match attempted {
            Ok((completion, latency_us)) => {
                let answer = book(model, ask, completion, latency_us, &mut taken, &mut warnings).await;
                toll.end(1, ask.n, taken);
                billed += taken;
                provider.breaker.heard(None);
                return Called { outcome: Ok(answer), billed, warnings };
            }
            Err(failed) => *failed,
        };
        provider.breaker.heard(Some(&failure));
        if let Some(begun) = begun {
            // Another attempt would say something else than what was told already.
            taken += used(model, ask, reported, begun).await;
            toll.end(1, ask.n, taken);
            billed += taken;
            let error = failure.into_error(&model.subject(), billed.calls);
            return Called { outcome: Err(Refusal::Failed(error)), billed, warnings };
        }
        taken += told(reported);
        toll.end(1, ask.n, taken);
        billed += taken;
        last = Some(failure.clone().into_error(&model.subject(), billed.calls));
        if adapt(model, &failure, ask.on_text.is_some(), &mut warnings) {
            continue;
        }
        if failure.kind.is_transient()
            && let Some(wait) = provider.policy.wait(delays.next(), failure.retry_after)
        {
            if failure.kind == ModelErrorKind::RateLimited && failure.retry_after.is_some() {
                model.quirks.pause(wait);
            }
            tracing::debug!(model = %model.id, ?wait, reason = %failure.message, "retrying a call");
            tokio::time::sleep(wait).await;
            continue;
        }
        let remedy = failure.remedy;
        let told = failure.retry_after.filter(|wait| *wait > provider.policy.longest_retry_after);
        let mut error = failure.into_error(&model.subject(), billed.calls);
        if let Some(wait) = told {
            error.message.push_str(&format!("; the server asks to wait {} s", wait.as_secs()));
        }
        if error.kind == ModelErrorKind::UnknownModel {
            error.hint = Some(offered_models(model).await);
        }
        let refusal = match remedy {
            Some(Remedy::FewerChoices(most)) => Refusal::AtMost(most, error),
            _ => Refusal::Failed(error),
        };
        return Called { outcome: Err(refusal), billed, warnings };
    }
}

/// A completion with at least one usable choice and the microseconds that it took, or the failure and what it was billed.
pub(super) type Attempted = Result<(Completion, u64), Box<Failed>>;

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// What the server said that it took.
    reported: Option<Reported>,
    /// The beginning of a choice, where some of it was told.
    begun: Option<Choice>,
}

impl Failed {
    /// What the attempt took, as far as the server said.
    pub(super) fn taken(&self) -> Usage {
        let mut taken = told(self.reported);
        taken.calls = 1;
        taken
    }
}

/// The tokens that a server said.
fn told(reported: Option<Reported>) -> Usage {
    reported.map_or(Usage::default(), |reported| Usage {
        prompt: reported.prompt,
        cached_prompt: reported.cached_prompt,
        decode: reported.completion,
        calls: 0,
    })
}

/// What a choice took that broke off: what the server said before, or a bound from what came of it.
async fn used(model: &OpenaiModel, ask: Ask<'_>, reported: Option<Reported>, begun: Choice) -> Usage {
    let begun = [Choice { finish: Finish::Other, ..begun }];
    let counted = usage::count(&begun, ask.request.decoding.max_tokens, tokenized(model, reported, &begun).await);
    Usage {
        prompt: reported.map(|r| r.prompt).filter(|p| *p > 0).unwrap_or(u64::from(prompt_bound(ask.request))),
        cached_prompt: reported.map_or(0, |r| r.cached_prompt),
        decode: reported.map_or(0, |r| r.completion).max(counted.iter().sum()),
        calls: 0,
    }
}

/// Waits until an attempt may be made.
pub(super) async fn admit<'a>(model: &'a OpenaiModel, ask: Ask<'_>) -> Admission<'a> {
    let tokens = u64::from(prompt_bound(ask.request)) + u64::from(ask.n) * u64::from(ask.request.decoding.max_tokens);
    model.quirks.pause_over().await;
    model.provider.limits.admit(tokens).await
}

/// One attempt, once it may be made.
pub(super) async fn exchange_timed(model: &OpenaiModel, ask: Ask<'_>, admission: Admission<'_>) -> Attempted {
    let start = Instant::now();
    let exchanged = exchange(model, ask).await;
    let latency_us = microseconds(start.elapsed());
    admission.end(match &exchanged {
        Ok(completion) => Ended::Answered(work(completion)),
        Err(failed) if failed.failure.kind.is_overload() => Ended::Refused,
        Err(_) => Ended::Otherwise,
    });
    let completion = exchanged?;
    match completion.choices.iter().find_map(|choice| choice.as_ref().err()) {
        Some(why) if completion.choices.iter().all(Result::is_err) => {
            let failure = Failure::new(ModelErrorKind::BadReply, model.provider.redact(why));
            Err(Box::new(Failed { failure, reported: completion.usage, begun: None }))
        }
        _ => Ok((completion, latency_us)),
    }
}

pub(super) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A request and its reply.
async fn exchange(model: &OpenaiModel, ask: Ask<'_>) -> Result<Completion, Box<Failed>> {
    if ask.request.is_embedding() {
        let sent = model.provider.embed(&wire::embedding(&model.id, ask.request), ask.trace).await;
        let (body, content_type) = sent.map_err(unbegun)?;
        return reply::parse_embedding(&body).map_err(|unusable| useless(model, ask, unusable, &content_type, &body));
    }
    let dialect = model.quirks.dialect();
    let mut body = wire::body(&model.id, ask.request, ask.n, ask.seed, dialect);
    let hear = ask.on_text.filter(|_| !dialect.no_stream);
    if hear.is_some() {
        body = wire::streamed(body, dialect);
    }
    let mut incoming = model.provider.complete(&body, ask.n, ask.trace).await.map_err(unbegun)?;
    match hear {
        Some(hear) if incoming.content_type.is_events() => listen(model, ask, &mut incoming, hear).await,
        // A server that knows nothing of streams sends the whole.
        _ => {
            let body = incoming.rest().await.map_err(unbegun)?;
            reply::parse(&body).map_err(|unusable| useless(model, ask, unusable, &incoming.content_type, &body))
        }
    }
}

/// Hears a completion while it is decoded.
async fn listen(
    model: &OpenaiModel,
    ask: Ask<'_>,
    incoming: &mut Incoming<'_>,
    hear: &OnText<'_>,
) -> Result<Completion, Box<Failed>> {
    let mut streamed = Streamed::default();
    let mut has_told = false;
    let failed = |failure, so_far: &serde_json::Value, has_told: bool| {
        let begun = reply::of_value(so_far).ok().and_then(|completion| completion.choices.into_iter().next()?.ok());
        let begun = begun.filter(|_| has_told);
        Box::new(Failed { failure, reported: reply::reported(so_far), begun })
    };
    loop {
        let chunk = match incoming.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(failure) => return Err(failed(failure, &streamed.so_far(), has_told)),
        };
        let read = streamed.push(chunk.as_ref(), &mut |part| {
            has_told = true;
            hear(part);
        });
        if let Err(problem) = read {
            return Err(failed(unusable_event(model, problem, ask.n), &streamed.so_far(), has_told));
        }
        // Some servers hold the connection open after that.
        if streamed.has_ended() {
            break;
        }
    }
    let whole = streamed.whole();
    let completion = whole.problem.map_or_else(|| reply::of_value(&whole.value), Err);
    completion.map_err(|problem| failed(unusable_event(model, problem, ask.n), &whole.value, has_told))
}

fn unbegun(failure: Failure) -> Box<Failed> {
    Box::new(Failed { failure, reported: None, begun: None })
}

/// What is wrong with a reply that came whole.
fn useless(
    model: &OpenaiModel,
    ask: Ask<'_>,
    unusable: Unusable,
    content_type: &ContentType,
    body: &[u8],
) -> Box<Failed> {
    let failure = match unusable {
        Unusable::Malformed(why) => {
            let why = match content_type.other_than_json() {
                Some(kind) => format!("a reply of type {}, {why}", excerpt(kind)),
                None => why,
            };
            let mut failure = Failure::new(ModelErrorKind::BadReply, model.provider.redact(&why));
            failure.hint = Some("check the provider's `base_url`: it usually ends with /v1".into());
            failure
        }
        Unusable::Error { status, message } => reported_error(model, status, message, body, ask.n),
    };
    Box::new(Failed { failure, reported: reply::usage_of(body), begun: None })
}

/// What is wrong with an event, or with the completion that all events together are.
fn unusable_event(model: &OpenaiModel, unusable: Unusable, asked: u32) -> Failure {
    match unusable {
        Unusable::Malformed(why) => Failure::new(ModelErrorKind::BadReply, model.provider.redact(&why)),
        Unusable::Error { status, message } => {
            let body = serde_json::json!({"error": {"message": &message}}).to_string();
            reported_error(model, status, message, body.as_bytes(), asked)
        }
    }
}

/// What a call was to the provider, roughly in decoded tokens: ten tokens of a prompt are read in the time of one.
fn work(completion: &Completion) -> f64 {
    let Some(Reported { prompt, completion, .. }) = completion.usage else { return 1.0 };
    1.0 + completion as f64 + prompt as f64 / 10.0
}

/// An error that a reply reports under a status of success.
fn reported_error(model: &OpenaiModel, status: Option<u16>, message: String, body: &[u8], asked: u32) -> Failure {
    let status = status.and_then(|status| reqwest::StatusCode::from_u16(status).ok());
    let failure = match status.filter(|status| status.as_u16() >= 400) {
        Some(status) => super::failure::from_status(status, &Default::default(), body, asked),
        None => Failure::new(ModelErrorKind::Server, message),
    };
    let message = model.provider.redact(&failure.message);
    Failure { message, ..failure }
}

/// Changes how requests are written where a refusal suggests it. True if the request is worth sending again.
fn adapt(model: &OpenaiModel, failure: &Failure, streams: bool, warnings: &mut Vec<String>) -> bool {
    let dialect = model.quirks.dialect();
    match failure.remedy {
        Some(Remedy::MaxCompletionTokens) if !dialect.max_completion_tokens => {
            model.quirks.say_max_completion_tokens();
            true
        }
        Some(Remedy::NoSeed) if !dialect.no_seed => {
            model.quirks.leave_seed_out();
            if model.quirks.first_time(Warning::NoSeed) {
                warnings.push(format!("{} refuses `seed`: its draws cannot be reproduced", model.subject()));
            }
            true
        }
        Some(Remedy::NoStreamOptions) if streams && !dialect.no_stream_options => {
            model.quirks.leave_stream_options_out();
            true
        }
        Some(Remedy::NoStream) if streams && !dialect.no_stream => {
            model.quirks.ask_for_no_stream();
            true
        }
        _ => false,
    }
}

/// Books a completion: checks the reported usage against the choices and gives every choice its tokens.
async fn book(
    model: &OpenaiModel,
    ask: Ask<'_>,
    completion: Completion,
    latency_us: u64,
    billed: &mut Usage,
    warnings: &mut Vec<String>,
) -> Answer {
    let quirks = &model.quirks;
    let mut warn = |warning, text: String| {
        if quirks.first_time(warning) {
            warnings.push(text);
        }
    };
    let usable: Vec<Choice> = completion.choices.iter().filter_map(|choice| choice.as_ref().ok().cloned()).collect();
    let max_tokens = ask.request.decoding.max_tokens;
    let reported = completion.usage;
    // Nothing is decoded for an embedding, so there is nothing to check.
    let (verdict, certain) = match ask.request.is_embedding() {
        true => (Verdict::Trusted(0), None),
        false => usage::judge(reported, &usable, max_tokens, quirks.coverage()),
    };
    if let Some(coverage) = certain {
        quirks.covers(coverage);
    }
    let shares = match verdict {
        Verdict::Trusted(total) => usage::share(total, &usable),
        Verdict::Count => {
            if reported.is_none() {
                let text = format!("{} reports no usage: booked is an upper bound from bytes", model.subject());
                warn(Warning::NoUsage, text);
            } else if certain == Some(Coverage::One) {
                let text = format!(
                    "{} reports the tokens of one choice for n = {}: all choices are booked",
                    model.subject(),
                    usable.len()
                );
                warn(Warning::UsageOfOne, text);
            }
            let counted = usage::count(&usable, max_tokens, tokenized(model, reported, &usable).await);
            let total = counted.iter().sum::<u64>();
            match reported {
                Some(reported) if reported.completion > total => usage::share(reported.completion, &usable),
                _ => counted,
            }
        }
    };
    if completion.choices.len() > ask.n as usize {
        let text = format!(
            "{} sends {} choices where {} were asked for: the others are dropped, though billed",
            model.subject(),
            completion.choices.len(),
            ask.n
        );
        warn(Warning::MoreChoices, text);
    }
    // A prompt without tokens is no measurement either.
    let prompt = reported.map(|r| r.prompt).filter(|p| *p > 0).unwrap_or(u64::from(prompt_bound(ask.request)));
    *billed +=
        Usage { prompt, cached_prompt: reported.map_or(0, |r| r.cached_prompt), decode: shares.iter().sum(), calls: 0 };
    let mut shares = shares.into_iter();
    let mut measured = |choice: Choice| Measured {
        text: choice.text,
        finish: choice.finish,
        decode_tokens: u32::try_from(shares.next().unwrap_or(0)).unwrap_or(u32::MAX),
    };
    Answer {
        choices: completion.choices.into_iter().map(|choice| choice.map(&mut measured)).collect(),
        prompt_tokens: u32::try_from(prompt).unwrap_or(u32::MAX),
        latency_us,
        fingerprint: completion.fingerprint,
        id: completion.id,
        model: completion.model,
    }
}

/// Counts the texts with the server's tokenizer where the server is llama.cpp's, the one known to report one choice.
async fn tokenized(model: &OpenaiModel, reported: Option<Reported>, choices: &[Choice]) -> Option<u64> {
    reported?.one_slot?;
    if !model.quirks.has_tokenizer() {
        return None;
    }
    let text = usage::text_to_tokenize(choices);
    if text.is_empty() {
        return None;
    }
    let tokens = model.provider.tokenize(&text).await;
    if tokens.is_none() {
        model.quirks.lacks_tokenizer();
    }
    tokens
}

/// What to do about a model that the provider does not know.
async fn offered_models(model: &OpenaiModel) -> String {
    const SHOWN: usize = 5;
    let Ok(offered) = model.provider.list_models().await else {
        return "check the model's `id` and the provider's `base_url`, which usually ends with /v1".into();
    };
    if offered.contains(&model.id) {
        return format!(
            "the provider lists this model, so check that {}/chat/completions is the right address",
            model.provider.base_url()
        );
    }
    if offered.is_empty() {
        return "the provider offers no model at all".into();
    }
    let more = offered.len().saturating_sub(SHOWN);
    let nearest = nearest_first(&model.id, offered);
    let shown = nearest.iter().take(SHOWN).map(|id| excerpt(id)).collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the provider offers: {shown}{more}")
}
