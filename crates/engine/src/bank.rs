//! Samples through the bank: what is there is taken, only the rest is reserved, drawn, and settled with its samples.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use agenttts_core::{CallTokens, CostModel, Request, RequestKey, Usage};
use agenttts_models::{Call, ModelError, ModelErrorKind};
use agenttts_store::{
    Amounts, LimitedUnit, NewSample, Purpose, Reservation, SampleHome, Settlement, StoreError, StoreErrorKind, Study,
};
use async_trait::async_trait;

use crate::budget::{Budget, amounts, billed, lock};
use crate::error::EngineError;
use crate::event::{Event, Limit, Observers};
use crate::source::{CallKind, DrawError, Got, GotSample, Halt, Source, Want};
use crate::stop::StopHandle;
use crate::workshop::{Connected, ModelSet};

/// How often the missing draws of a request are asked for before its example counts as failed. Models retry transient
/// failures themselves; this is for single draws that failed within a call.
const ROUNDS: u32 = 3;

/// Held while the missing samples of one request are drawn.
type Flight = Arc<tokio::sync::Mutex<()>>;

/// The bank of one running study.
pub(crate) struct Bank {
    study: Arc<Study>,
    models: ModelSet,
    budget: Arc<Budget>,
    observers: Observers,
    stop: StopHandle,
    /// Requests that are being drawn, so that two examples or stages with one request do not draw it twice.
    flights: Mutex<HashMap<(RequestKey, u64), Flight>>,
    /// Told whenever a reservation is settled.
    settled: tokio::sync::Notify,
    usage: Mutex<Usage>,
    warned: Mutex<Vec<String>>,
    fingerprints: Mutex<HashMap<String, String>>,
    /// Overrides the purpose that most calls are booked under, while the confirmation runs.
    confirming: AtomicBool,
    /// Set when the store failed: nothing more is drawn.
    broken: AtomicBool,
}

impl Bank {
    pub(crate) fn new(
        study: Arc<Study>,
        models: ModelSet,
        budget: Arc<Budget>,
        observers: Observers,
        stop: StopHandle,
        usage: Usage,
    ) -> Self {
        Bank {
            study,
            models,
            budget,
            observers,
            stop,
            flights: Mutex::default(),
            settled: tokio::sync::Notify::new(),
            usage: Mutex::new(usage),
            warned: Mutex::default(),
            fingerprints: Mutex::default(),
            confirming: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    /// Tokens and calls over all sessions.
    pub(crate) fn usage(&self) -> Usage {
        *lock(&self.usage)
    }

    /// From now on, calls are booked as the confirmation's.
    pub(crate) fn begin_confirmation(&self) {
        self.confirming.store(true, Ordering::Relaxed);
    }

    fn flight(&self, key: RequestKey, stream: u64) -> Flight {
        let mut flights = lock(&self.flights);
        // Finished flights are swept now and then, so that the map stays as small as what is under way.
        if flights.len() > 4_096 {
            flights.retain(|_, f| Arc::strong_count(f) > 1);
        }
        flights.entry((key, stream)).or_default().clone()
    }

    fn stored(&self, key: &RequestKey, want: &Want<'_>) -> Result<Stored, DrawError> {
        let samples = self.study.store().samples(key, want.stream, want.n).map_err(EngineError::from)?;
        let mut stored = Stored { samples: (0..want.n).map(|_| None).collect() };
        for sample in samples {
            let index = sample.index as usize;
            stored.samples[index] = Some(GotSample { id: Some(sample.id), draw: sample.draw });
        }
        Ok(stored)
    }

    /// Draws the samples `first..first + n`; the first failure of a single draw is returned, the others are stored.
    async fn draw(
        &self,
        want: &Want<'_>,
        connected: &Connected,
        key: RequestKey,
        first: u32,
        n: u32,
        drawn: &mut Usage,
    ) -> Result<Option<ModelError>, DrawError> {
        let bound = upper_bound(connected, want.request, n).map_err(DrawError::of_model)?;
        let reservation = self.reserve(want, amounts(&connected.spec, &bound)).await?;
        let first_seed = key.seed(want.stream, first);
        let reply = connected.model.draw(Call { request: want.request, n, first_seed }).await;
        reply.warnings.iter().for_each(|w| self.warn(w));
        self.check_fingerprint(want.model, reply.fingerprint.as_deref());
        let mut failure = None;
        let mut samples = Vec::with_capacity(n as usize);
        for (offset, draw) in reply.draws.into_iter().enumerate() {
            match draw {
                Ok(draw) => samples.push(NewSample {
                    index: first + offset as u32,
                    draw,
                    fingerprint: reply.fingerprint.clone(),
                }),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let actual = billed(&connected.spec, &reply.billed, n);
        let settlement =
            Settlement { amounts: actual, usage: reply.billed, error: failure.as_ref().map(|e| e.message.clone()) };
        let home = SampleHome {
            key,
            stream: want.stream,
            identity: connected.model.identity().clone(),
            request: want.request.clone(),
        };
        match self.study.settle(reservation, settlement, Some((home, samples))).await {
            Ok(_) => {}
            // Another study of this store drew the same stream in the meantime. Its samples are as good; the bill is
            // booked, and what is still missing is found when the bank is read again.
            Err(error) if error.kind == StoreErrorKind::SampleTaken => {}
            Err(error) => return Err(self.break_off(error)),
        }
        self.settled.notify_waiters();
        *lock(&self.usage) += reply.billed;
        *drawn += reply.billed;
        Ok(failure)
    }

    /// Whether another call may begin. Asked before each, also by those that had to wait for their reservation.
    fn may_begin(&self) -> Result<(), DrawError> {
        if self.stop.is_stopped() || self.broken.load(Ordering::SeqCst) {
            return Err(DrawError::Halt(Halt::Stopped));
        }
        match self.budget.time_is_up() {
            Some(detail) => Err(DrawError::Halt(Halt::Limit { limit: Limit::Minutes, detail })),
            None => Ok(()),
        }
    }

    /// Ends all drawing after a failure of the store: the reservation that it hit stays open, so whoever waits for it to
    /// settle would wait for ever.
    fn break_off(&self, error: StoreError) -> DrawError {
        self.broken.store(true, Ordering::SeqCst);
        self.settled.notify_waiters();
        EngineError::from(error).into()
    }

    /// Reserves what a call may take at most. Where only other calls' open reservations stand in the way, waits for them
    /// to settle: they usually take far less than they reserved.
    async fn reserve(&self, want: &Want<'_>, most: Amounts) -> Result<Reservation, DrawError> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            self.may_begin()?;
            let purpose = Purpose { kind: self.kind(want.kind).into(), model: want.model.into() };
            let limits = self.budget.limits();
            match self.study.reserve(purpose, most, &limits).await {
                Ok(Ok(reservation)) => return Ok(reservation),
                Ok(Err(_)) => {}
                Err(error) => return Err(self.break_off(error)),
            }
            if let Some(unit) = limits.passed_by(&self.study.spent().plus(most)) {
                return Err(refusal(unit, most));
            }
            // Every settlement since the refusal is heard: the ear was open before.
            settled.await;
        }
    }

    fn kind(&self, kind: CallKind) -> &'static str {
        // What judges cost is told apart even there.
        if self.confirming.load(Ordering::Relaxed) && kind != CallKind::Verdict {
            return "confirmation";
        }
        match kind {
            CallKind::Verdict => "verdict",
            CallKind::Sample => "sample",
            CallKind::Fusion => "fusion",
            CallKind::Judge => "judge",
            CallKind::Embedding => "embedding",
            CallKind::Agent => "agent",
        }
    }

    fn warn(&self, message: &str) {
        let mut warned = lock(&self.warned);
        if !warned.iter().any(|w| w == message) {
            warned.push(message.to_owned());
            self.observers.send(Event::Warning { message: message.to_owned() });
        }
    }

    /// Says so when a provider changes weights under a running study: earlier and later draws are then not exchangeable.
    fn check_fingerprint(&self, model: &str, fingerprint: Option<&str>) {
        let Some(fingerprint) = fingerprint else { return };
        let before = lock(&self.fingerprints).insert(model.to_owned(), fingerprint.to_owned());
        if let Some(before) = before.filter(|b| b != fingerprint) {
            self.warn(&format!(
                "{model}: the provider's fingerprint changed from {before} to {fingerprint}; declare a new `revision` \
                 for the model to keep old and new draws apart"
            ));
        }
    }
}

/// The samples of a request that the bank holds, by index.
struct Stored {
    samples: Vec<Option<GotSample>>,
}

impl Stored {
    /// The runs of missing indices: where each begins and how long it is.
    fn gaps(&self) -> Vec<(u32, u32)> {
        let mut gaps: Vec<(u32, u32)> = Vec::new();
        for (index, _) in self.samples.iter().enumerate().filter(|(_, s)| s.is_none()) {
            match gaps.last_mut() {
                Some((first, n)) if *first + *n == index as u32 => *n += 1,
                _ => gaps.push((index as u32, 1)),
            }
        }
        gaps
    }

    fn complete(self) -> Vec<GotSample> {
        self.samples.into_iter().flatten().collect()
    }
}

#[async_trait]
impl Source for Bank {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let connected = self.models.get(want.model)?;
        let key = want.request.key(connected.model.identity());
        let stored = self.stored(&key, &want)?;
        if stored.gaps().is_empty() {
            return Ok(Got { samples: stored.complete(), drawn: Usage::default() });
        }
        let flight = self.flight(key, want.stream);
        let _alone = flight.lock().await;
        let mut drawn = Usage::default();
        let mut failure = None;
        for _ in 0..ROUNDS {
            let stored = self.stored(&key, &want)?;
            let gaps = stored.gaps();
            if gaps.is_empty() {
                return Ok(Got { samples: stored.complete(), drawn });
            }
            for (first, n) in gaps {
                if let Some(error) = self.draw(&want, connected, key, first, n, &mut drawn).await? {
                    match DrawError::of_model(error) {
                        DrawError::Failed(error) => failure = Some(error),
                        halt @ DrawError::Halt(_) => return Err(halt),
                    }
                }
            }
            if failure.as_ref().is_some_and(|e| !e.kind.is_transient()) {
                break;
            }
        }
        let stored = self.stored(&key, &want)?;
        if stored.gaps().is_empty() {
            return Ok(Got { samples: stored.complete(), drawn });
        }
        Err(DrawError::Failed(failure.unwrap_or_else(|| {
            ModelError::new(ModelErrorKind::BadReply, format!("{}: some samples could not be drawn", want.model))
        })))
    }
}

/// The most that a call can take: the prompt once per call that may be needed, every sample decoded to its end.
pub(crate) fn upper_bound(connected: &Connected, request: &Request, n: u32) -> Result<CallTokens, ModelError> {
    let tokens = connected.model.prompt_tokens(request)?;
    // Only a counted prompt comes from an engine that is sure to share it; a provider may turn out to ignore `n`.
    let prompts = match (tokens, connected.model.prompt_shared_by()) {
        (agenttts_models::PromptTokens::Exact(_), 0) => 1,
        (agenttts_models::PromptTokens::Exact(_), by) => n.div_ceil(by),
        (agenttts_models::PromptTokens::AtMost(_), _) => n,
    };
    Ok(CallTokens {
        prompt: u64::from(tokens.upper_bound()),
        cached_prompt: 0,
        prompts,
        samples: n,
        decode: u64::from(request.decoding.max_tokens) * u64::from(n),
        latency_us: Some(0),
    })
}

pub(crate) fn refusal(unit: LimitedUnit, most: Amounts) -> DrawError {
    let next = |amount: String| format!("the next call could take up to {amount}");
    let (limit, detail) = match unit {
        LimitedUnit::Tokens => (Limit::Tokens, next(format!("{} tokens", most.tokens))),
        LimitedUnit::Usd => (Limit::Usd, next(CostModel::Usd.display(most.usd))),
        LimitedUnit::Flops => (Limit::Flops, next(CostModel::Flops.display(most.flops))),
        LimitedUnit::Calls => {
            (Limit::Calls, next(format!("{} call{}", most.calls, if most.calls == 1 { "" } else { "s" })))
        }
    };
    DrawError::Halt(Halt::Limit { limit, detail })
}
