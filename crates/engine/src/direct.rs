//! Samples from the models alone, for running a found plan: nothing is stored and nothing is reused, all is metered.

use std::sync::{Arc, Mutex, PoisonError};

use agenttts_core::{ModelSpec, Usage};
use agenttts_models::{Call, OnText, Toll};
use agenttts_store::{Amounts, Limits};
use async_trait::async_trait;

use crate::bank::refusal;
use crate::budget::{billed, lock, most_of_attempt};
use crate::listener::CallBegins;
use crate::source::{DrawError, Got, GotSample, Halt, Source, Want};
use crate::workshop::ModelSet;

/// What answering one input takes, counted while it happens: also for answers that fail, and for those that nobody waits
/// for any more. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Reading>>);

/// What a [`Meter`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Tokens and calls, as billed. A call that was hedged and overtaken counts with the most that it could take.
    pub usage: Usage,
    /// The same in every unit that can be limited. Calls that were given up before their reply was there count with the
    /// most that they could take: what they were billed, nobody knows.
    pub amounts: Amounts,
    /// The part of `amounts` that is such an upper bound.
    pub given_up: Amounts,
    /// What calls under way can take at most.
    open: Amounts,
}

impl Meter {
    /// What was taken until now.
    pub fn read(&self) -> Reading {
        *lock(&self.0)
    }

    /// Reserves the most that an attempt can take, unless that could pass a limit.
    fn open(&self, most: Amounts, limits: &Limits) -> Result<OpenAttempt<'_>, Halt> {
        let mut reading = lock(&self.0);
        if let Some(unit) = limits.passed_by(&reading.amounts.plus(reading.open).plus(most)) {
            return Err(refusal(unit, most));
        }
        reading.open = reading.open.plus(most);
        Ok(OpenAttempt { meter: self, most, settled: false })
    }
}

/// An attempt under way. Dropped before it is settled, it counts in full.
struct OpenAttempt<'a> {
    meter: &'a Meter,
    most: Amounts,
    settled: bool,
}

impl OpenAttempt<'_> {
    fn settle(mut self, model: &ModelSpec, usage: Usage, n: u32) {
        self.settled = true;
        let mut reading = lock(&self.meter.0);
        reading.open = reading.open.minus(self.most);
        reading.usage += usage;
        reading.amounts = reading.amounts.plus(billed(model, &usage, n));
    }
}

impl Drop for OpenAttempt<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let mut reading = lock(&self.meter.0);
            reading.open = reading.open.minus(self.most);
            reading.amounts = reading.amounts.plus(self.most);
            reading.given_up = reading.given_up.plus(self.most);
        }
    }
}

/// Meters the attempts of one call.
struct Metered<'a> {
    source: &'a Direct<'a>,
    model: &'a ModelSpec,
    /// Tokens of the prompt and the most of a sample.
    tokens: (u64, u64),
    attempts: Mutex<Attempts<'a>>,
}

#[derive(Default)]
struct Attempts<'a> {
    /// Those under way, with their numbers of prompts and samples.
    open: Vec<(u32, u32, OpenAttempt<'a>)>,
    /// Why another one was not let begin.
    halt: Option<Halt>,
}

impl Metered<'_> {
    fn open(&self, prompts: u32, samples: u32) -> Result<(), Halt> {
        let most = most_of_attempt(self.model, self.tokens, prompts, samples);
        let attempt = self.source.meter.open(most, &self.source.limits)?;
        lock(&self.attempts).open.push((prompts, samples, attempt));
        Ok(())
    }
}

#[async_trait]
impl Toll for Metered<'_> {
    async fn begin(&self, prompts: u32, samples: u32) -> bool {
        match self.open(prompts, samples) {
            Ok(()) => true,
            Err(halt) => {
                halt.note(&mut lock(&self.attempts).halt);
                false
            }
        }
    }

    async fn begin_spare(&self, prompts: u32, samples: u32) -> bool {
        self.open(prompts, samples).is_ok()
    }

    fn end(&self, prompts: u32, samples: u32, billed: Usage) {
        let mut attempts = lock(&self.attempts);
        let found = attempts.open.iter().position(|(p, n, _)| (*p, *n) == (prompts, samples));
        if let Some(at) = found {
            let (_, _, attempt) = attempts.open.swap_remove(at);
            attempt.settle(self.model, billed, samples);
        }
    }
}

/// Draws every sample afresh, for one input.
pub(crate) struct Direct<'a> {
    pub(crate) models: &'a ModelSet,
    pub(crate) meter: &'a Meter,
    /// What this input may take.
    pub(crate) limits: Limits,
}

#[async_trait]
impl Source for Direct<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let connected = self.models.get(want.model)?;
        let prompt = connected.model.prompt_tokens(want.request).map_err(DrawError::of_model)?.upper_bound();
        let metered = Metered {
            source: self,
            model: &connected.spec,
            tokens: (u64::from(prompt), u64::from(want.request.decoding.max_tokens)),
            attempts: Mutex::default(),
        };
        let first_seed = want.request.key(connected.model.identity()).seed(want.stream, want.first);
        let heard = want.listener.and_then(|listener| {
            listener.call(&CallBegins {
                model: &connected.spec,
                purpose: want.kind.name(),
                request: want.request,
                samples: want.n,
                first_seed,
                is_heard: want.on_text.is_some(),
            })
        });
        let hear = |part: &str| {
            heard.iter().for_each(|heard| heard.text());
            want.on_text.iter().for_each(|hear| hear(part));
        };
        let call = Call {
            on_text: want.on_text.map(|_| &hear as &OnText<'_>),
            trace: heard.as_ref().and_then(|heard| heard.trace()),
            ..Call::new(want.request, want.n, first_seed)
        };
        let reply = connected.model.draw_paid(call, &metered).await;
        heard.iter().for_each(|heard| heard.end(&reply));
        let Attempts { halt, .. } = metered.attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(halt) = halt {
            return Err(DrawError::Halt(halt));
        }
        let mut samples = Vec::with_capacity(reply.draws.len());
        for draw in reply.draws {
            samples.push(GotSample { id: None, draw: draw.map_err(DrawError::of_model)? });
        }
        Ok(Got { samples, drawn: reply.billed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Amounts {
        Amounts { tokens, calls: 1, ..Amounts::default() }
    }

    #[tokio::test]
    async fn every_attempt_of_a_call_is_reserved_and_the_one_without_room_is_not_begun() {
        let (models, meter) = (ModelSet::default(), Meter::default());
        let limits = Limits { tokens: Some(100), ..Limits::default() };
        let source = Direct { models: &models, meter: &meter, limits };
        let model = ModelSpec::named("m", "p", "m");
        let metered = Metered { source: &source, model: &model, tokens: (20, 10), attempts: Mutex::default() };
        assert!(metered.begin(1, 2).await);
        metered.end(1, 2, Usage { prompt: 15, decode: 10, calls: 1, ..Usage::default() });
        assert!(metered.begin(1, 2).await && !metered.begin_spare(1, 2).await, "25 are taken, 40 open");
        assert!(metered.begin(1, 1).await && !metered.begin(1, 1).await);
        drop(metered);
        let reading = meter.read();
        assert_eq!((reading.usage.tokens(), reading.amounts.tokens, reading.given_up.tokens), (25, 95, 70));
    }

    #[test]
    fn a_call_that_could_pass_a_limit_is_refused_before_it_begins() {
        let meter = Meter::default();
        let limits = Limits { tokens: Some(100), ..Limits::default() };
        let first = meter.open(tokens(70), &limits).ok().unwrap();
        assert!(meter.open(tokens(31), &limits).is_err(), "70 are open");
        assert!(meter.open(tokens(30), &limits).is_ok(), "which is dropped at once, and so counts");
        drop(first);
        let reading = meter.read();
        assert_eq!((reading.amounts.tokens, reading.given_up.tokens, reading.usage.tokens()), (100, 100, 0));
    }
}
