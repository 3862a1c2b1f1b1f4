//! Samples from the models alone, for running a found plan: nothing is stored and nothing is reused, all is metered.

use std::sync::{Arc, Mutex};

use agenttts_core::{ModelSpec, Usage};
use agenttts_models::{Call, OnText};
use agenttts_store::{Amounts, Limits};
use async_trait::async_trait;

use crate::bank::{refusal, upper_bound};
use crate::budget::{amounts, billed, lock};
use crate::listener::CallBegins;
use crate::source::{DrawError, Got, GotSample, Source, Want};
use crate::workshop::ModelSet;

/// What answering one input takes, counted while it happens: also for answers that fail, and for those that nobody waits
/// for any more. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Reading>>);

/// What a [`Meter`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Tokens and calls, as billed.
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

    /// Reserves the most that a call can take, unless that could pass a limit.
    fn open(&self, most: Amounts, limits: &Limits) -> Result<OpenCall<'_>, DrawError> {
        let mut reading = lock(&self.0);
        if let Some(unit) = limits.passed_by(&reading.amounts.plus(reading.open).plus(most)) {
            return Err(DrawError::Halt(refusal(unit, most)));
        }
        reading.open = reading.open.plus(most);
        Ok(OpenCall { meter: self, most, settled: false })
    }
}

/// A call under way. Dropped before it is settled, it counts in full.
struct OpenCall<'a> {
    meter: &'a Meter,
    most: Amounts,
    settled: bool,
}

impl OpenCall<'_> {
    fn settle(mut self, model: &ModelSpec, usage: Usage, n: u32) {
        self.settled = true;
        let mut reading = lock(&self.meter.0);
        reading.open = reading.open.minus(self.most);
        reading.usage += usage;
        reading.amounts = reading.amounts.plus(billed(model, &usage, n));
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let mut reading = lock(&self.meter.0);
            reading.open = reading.open.minus(self.most);
            reading.amounts = reading.amounts.plus(self.most);
            reading.given_up = reading.given_up.plus(self.most);
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
        let bound = upper_bound(connected, want.request, want.n).map_err(DrawError::of_model)?;
        let call = self.meter.open(amounts(&connected.spec, &bound), &self.limits)?;
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
        let reply = connected
            .model
            .draw(Call {
                on_text: want.on_text.map(|_| &hear as &OnText<'_>),
                trace: heard.as_ref().and_then(|heard| heard.trace()),
                ..Call::new(want.request, want.n, first_seed)
            })
            .await;
        heard.iter().for_each(|heard| heard.end(&reply));
        call.settle(&connected.spec, reply.billed, want.n);
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
