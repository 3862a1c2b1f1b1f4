//! Samples through the bank: what is there is taken, only the rest is reserved, drawn, and settled with its samples.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agenttts_core::{CostModel, Request, RequestKey, Usage};
use agenttts_models::{Call, ModelError, ModelErrorKind, Toll};
use agenttts_store::{
    Amounts, LimitedUnit, NewSample, Purpose, Reservation, SampleHome, Settlement, StoreError, StoreErrorKind, Study,
};
use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::budget::{Budget, billed, lock, most_of_attempt};
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

/// The bank of one running study. Every errand to it is a task of its own: whoever sent one may go, and it ends all the
/// same, so that nothing that was paid for is lost.
pub(crate) struct Bank {
    desk: Arc<Desk>,
    errands: Mutex<JoinSet<()>>,
}

/// What errands share.
struct Desk {
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
    /// What calls that are not settled yet were billed so far.
    billed_open: Mutex<Amounts>,
    warned: Mutex<Vec<String>>,
    fingerprints: Mutex<HashMap<String, String>>,
    /// Whether the confirmation runs: it overrides the purpose that most calls are booked under, and errands of the search
    /// begin no further call.
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
        let desk = Desk {
            study,
            models,
            budget,
            observers,
            stop,
            flights: Mutex::default(),
            settled: tokio::sync::Notify::new(),
            usage: Mutex::new(usage),
            billed_open: Mutex::default(),
            warned: Mutex::default(),
            fingerprints: Mutex::default(),
            confirming: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        };
        Bank { desk: Arc::new(desk), errands: Mutex::default() }
    }

    /// Tokens and calls over all sessions.
    pub(crate) fn usage(&self) -> Usage {
        *lock(&self.desk.usage)
    }

    /// From now on, calls are booked as the confirmation's.
    pub(crate) fn begin_confirmation(&self) {
        self.desk.confirming.store(true, Ordering::SeqCst);
        self.desk.settled.notify_waiters();
    }

    /// Awaits the errands that nobody waits for any more, for so long at most; then gives up their calls, which count as
    /// spent in full.
    pub(crate) async fn close(&self, within: Option<Duration>) -> Result<(), EngineError> {
        let mut errands = std::mem::take(&mut *lock(&self.errands));
        let all = async { while errands.join_next().await.is_some() {} };
        match within {
            None => all.await,
            Some(within) => {
                if tokio::time::timeout(within, all).await.is_err() {
                    errands.shutdown().await;
                    self.desk.study.lose_open().await?;
                }
            }
        }
        Ok(())
    }
}

/// What an errand is to bring.
struct Errand {
    model: String,
    request: Request,
    n: u32,
    stream: u64,
    kind: CallKind,
    /// Whether it is the confirmation's.
    confirming: bool,
}

impl Errand {
    fn want(&self) -> Want<'_> {
        Want {
            model: &self.model,
            request: &self.request,
            first: 0,
            n: self.n,
            stream: self.stream,
            kind: self.kind,
            on_text: None,
            listener: None,
        }
    }
}

impl Desk {
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
        (first, n): (u32, u32),
        confirming: bool,
        drawn: &mut Usage,
    ) -> Result<Option<ModelError>, DrawError> {
        let purse = Purse::new(self, want, connected, confirming)?;
        let first_seed = key.seed(want.stream, first);
        let begun = Instant::now();
        let reply = connected.model.draw_paid(Call::new(want.request, n, first_seed), &purse).await;
        let (reservation, actual, halt) = purse.close();
        let Some(reservation) = reservation else {
            let failure = reply.draws.into_iter().find_map(Result::err);
            return halt.map_or(Ok(failure), |halt| Err(DrawError::Halt(halt)));
        };
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
            Err(error) => return Err(DrawError::Halt(self.break_off(error))),
        }
        self.budget.pace().note(want.model, n, begun.elapsed().as_secs_f64());
        self.settled.notify_waiters();
        *lock(&self.usage) += reply.billed;
        *drawn += reply.billed;
        halt.map_or(Ok(failure), |halt| Err(DrawError::Halt(halt)))
    }

    /// Whether another attempt may begin. Asked before each, also by those that had to wait for their reservation.
    fn may_begin(&self, confirming: bool) -> Result<(), Halt> {
        if self.stop.is_stopped() || self.broken.load(Ordering::SeqCst) {
            return Err(Halt::Stopped);
        }
        if confirming != self.confirming.load(Ordering::SeqCst) {
            return Err(Halt::Limit { limit: Limit::Minutes, detail: "the search is over".into() });
        }
        match self.budget.time_is_up() {
            Some(detail) => Err(Halt::Limit { limit: Limit::Minutes, detail }),
            None => Ok(()),
        }
    }

    /// Ends all drawing after a failure of the store: the reservation that it hit stays open, so whoever waits for it to
    /// settle would wait for ever.
    fn break_off(&self, error: StoreError) -> Halt {
        self.broken.store(true, Ordering::SeqCst);
        self.settled.notify_waiters();
        Halt::Fatal(EngineError::from(error))
    }

    fn kind(&self, kind: CallKind) -> &'static str {
        // What judges cost is told apart even there.
        if self.confirming.load(Ordering::SeqCst) && kind != CallKind::Verdict {
            return "confirmation";
        }
        kind.name()
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

/// Pays for the attempts of one call. While it waits for room it holds no more than what was billed already, so waiting
/// calls cannot block each other.
struct Purse<'a> {
    desk: &'a Desk,
    purpose: Purpose,
    connected: &'a Connected,
    /// Tokens of the prompt and the most of a sample.
    prompt: u64,
    decode: u64,
    confirming: bool,
    /// The row of the ledger, once there is one. Attempts that begin at once take turns.
    row: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    reservation: Option<Reservation>,
    /// What attempts were billed.
    billed: Amounts,
    /// What is reserved and no longer needed.
    surplus: Amounts,
    /// Why another attempt was not let begin.
    halt: Option<Halt>,
}

impl<'a> Purse<'a> {
    fn new(desk: &'a Desk, want: &Want<'_>, connected: &'a Connected, confirming: bool) -> Result<Self, DrawError> {
        let prompt = connected.model.prompt_tokens(want.request).map_err(DrawError::of_model)?.upper_bound();
        Ok(Purse {
            desk,
            purpose: Purpose { kind: desk.kind(want.kind).into(), model: want.model.into() },
            connected,
            prompt: u64::from(prompt),
            decode: u64::from(want.request.decoding.max_tokens),
            confirming,
            row: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// The most that an attempt can take: every prompt, and every sample decoded to its end.
    fn most(&self, prompts: u32, samples: u32) -> Amounts {
        most_of_attempt(&self.connected.spec, (self.prompt, self.decode), prompts, samples)
    }

    /// Reserves; where only what other calls have reserved stands in the way, waits for them to settle: they usually take
    /// far less than they reserved.
    async fn reserve(&self, most: Amounts) -> Result<(), Halt> {
        let _turn = self.row.lock().await;
        loop {
            let settled = self.desk.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.reserve_now(most).await? {
                return Ok(());
            }
            let billed = *lock(&self.desk.billed_open);
            let spent = self.desk.study.spent().plus(billed);
            if let Some(unit) = self.desk.budget.limits().passed_by(&spent.plus(most)) {
                return Err(refusal(unit, most));
            }
            // Every settlement since the refusal is heard: the ear was open before.
            settled.await;
        }
    }

    /// Reserves if there is room beside what is reserved now.
    async fn reserve_now(&self, most: Amounts) -> Result<bool, Halt> {
        self.desk.may_begin(self.confirming)?;
        let limits = self.desk.budget.limits();
        let study = &self.desk.study;
        let reservation = lock(&self.held).reservation.take();
        let reserved = match reservation {
            None => {
                let reserved = study.reserve(self.purpose.clone(), most, &limits).await;
                reserved.map(|room| room.map(|reservation| lock(&self.held).reservation = Some(reservation)))
            }
            Some(mut reservation) => {
                let grown = study.grow(&mut reservation, most, &limits).await;
                lock(&self.held).reservation = Some(reservation);
                self.give_back();
                grown
            }
        };
        match reserved {
            Ok(room) => Ok(room.is_ok()),
            Err(error) => Err(self.desk.break_off(error)),
        }
    }

    /// Gives back what other attempts of the call left, unless the reservation is just being grown.
    fn give_back(&self) {
        let mut held = lock(&self.held);
        let Held { reservation, surplus, .. } = &mut *held;
        if let Some(reservation) = reservation {
            self.desk.study.give_back(reservation, std::mem::take(surplus));
        }
    }

    /// The reservation, what was billed under it, and why another attempt was not let begin.
    fn close(self) -> (Option<Reservation>, Amounts, Option<Halt>) {
        let Held { reservation, billed, halt, .. } = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Before it is settled: counted twice for a moment, it could seem that a limit was reached.
        let mut open = lock(&self.desk.billed_open);
        *open = open.minus(billed);
        (reservation, billed, halt)
    }
}

#[async_trait]
impl Toll for Purse<'_> {
    /// What to do while a provider is down is decided for the whole study.
    fn waits(&self) -> bool {
        false
    }

    async fn begin(&self, prompts: u32, samples: u32) -> bool {
        match self.reserve(self.most(prompts, samples)).await {
            Ok(()) => true,
            Err(halt) => {
                halt.note(&mut lock(&self.held).halt);
                false
            }
        }
    }

    async fn begin_spare(&self, prompts: u32, samples: u32) -> bool {
        // Whoever has the turn waits for room.
        let Ok(_turn) = self.row.try_lock() else { return false };
        match self.reserve_now(self.most(prompts, samples)).await {
            Ok(reserved) => reserved,
            // The study is over then, and says why.
            Err(halt @ Halt::Fatal(_)) => {
                halt.note(&mut lock(&self.held).halt);
                false
            }
            Err(_) => false,
        }
    }

    fn end(&self, prompts: u32, samples: u32, usage: Usage) {
        let (most, billed) = (self.most(prompts, samples), billed(&self.connected.spec, &usage, samples));
        {
            let mut held = lock(&self.held);
            held.billed = held.billed.plus(billed);
            held.surplus = held.surplus.plus(most.minus(billed));
            let mut open = lock(&self.desk.billed_open);
            *open = open.plus(billed);
        }
        self.give_back();
        self.desk.settled.notify_waiters();
    }
}

#[async_trait]
impl Source for Bank {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let connected = self.desk.models.get(want.model)?;
        let key = want.request.key(connected.model.identity());
        let stored = self.desk.stored(&key, &want)?;
        if stored.gaps().is_empty() {
            return Ok(Got { samples: stored.complete(), drawn: Usage::default() });
        }
        let errand = Errand {
            model: want.model.to_owned(),
            request: want.request.clone(),
            n: want.n,
            stream: want.stream,
            kind: want.kind,
            confirming: self.desk.confirming.load(Ordering::SeqCst),
        };
        let desk = self.desk.clone();
        let (bring, brought) = tokio::sync::oneshot::channel();
        {
            let mut errands = lock(&self.errands);
            while errands.try_join_next().is_some() {}
            errands.spawn(async move {
                let got = desk.run(&errand, key).await;
                // Its share in the study must be gone before whoever waits goes on.
                drop(desk);
                let _ = bring.send(got);
            });
        }
        brought.await.unwrap_or_else(|_| Err(EngineError::Internal("a call ended without a result".into()).into()))
    }
}

impl Desk {
    /// Draws what is missing.
    async fn run(&self, errand: &Errand, key: RequestKey) -> Result<Got, DrawError> {
        let want = errand.want();
        let connected = self.models.get(want.model)?;
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
            for gap in gaps {
                if let Some(error) = self.draw(&want, connected, key, gap, errand.confirming, &mut drawn).await? {
                    // That it is down is no failure of the request.
                    if error.kind.may_be_outage() && connected.model.outage().is_some() {
                        return Err(EngineError::Model(error).into());
                    }
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

pub(crate) fn refusal(unit: LimitedUnit, most: Amounts) -> Halt {
    let next = |amount: String| format!("the next call could take up to {amount}");
    let (limit, detail) = match unit {
        LimitedUnit::Tokens => (Limit::Tokens, next(format!("{} tokens", most.tokens))),
        LimitedUnit::Usd => (Limit::Usd, next(CostModel::Usd.display(most.usd))),
        LimitedUnit::Flops => (Limit::Flops, next(CostModel::Flops.display(most.flops))),
        LimitedUnit::Calls => {
            (Limit::Calls, next(format!("{} call{}", most.calls, if most.calls == 1 { "" } else { "s" })))
        }
    };
    Halt::Limit { limit, detail }
}
