//! An environment with a search split of its own size: a plan has that many examples and no more.

use std::collections::HashMap;

use agenttts_core::{Measurement, Plan, Space, Span};

use crate::environment::{Environment, Session, Unit};

/// An environment of which methods get the first `examples` examples. Trials run on all of them where a method does not
/// choose; a plan that was tried on all has nothing left to ask.
pub(super) struct Split {
    pub(super) inner: Box<dyn Environment>,
    /// Examples of the split, at most as many as the environment has.
    pub(super) examples: u32,
    /// The usual search budget, in the environment's unit.
    pub(super) budget: f64,
}

impl Environment for Split {
    fn space(&self) -> &Space {
        self.inner.space()
    }

    fn pool(&self) -> Option<u32> {
        Some(self.examples)
    }

    fn unit(&self) -> Unit {
        self.inner.unit()
    }

    fn usual_budget(&self) -> f64 {
        self.budget
    }

    fn usual_examples(&self) -> u32 {
        self.examples
    }

    fn session(&self, seed: u64) -> Box<dyn Session + '_> {
        Box::new(Part { inner: self.inner.session(seed), examples: self.examples, tried: HashMap::new() })
    }
}

struct Part<'a> {
    inner: Box<dyn Session + 'a>,
    examples: u32,
    /// On how many examples each plan was tried.
    tried: HashMap<Plan, u32>,
}

impl Session for Part<'_> {
    fn price(&self, plan: &Plan, examples: u32) -> f64 {
        match self.examples - self.tried.get(plan).copied().unwrap_or(0) {
            0 => f64::INFINITY,
            left => self.inner.price(plan, examples.min(left)),
        }
    }

    fn measure(&mut self, plan: &Plan, stream: u32, span: Span) -> Option<Measurement> {
        if stream > 0 || span.end() > self.examples {
            return None;
        }
        let measurement = self.inner.measure(plan, stream, span)?;
        let tried = self.tried.entry(plan.clone()).or_insert(0);
        *tried = span.end().max(*tried);
        Some(measurement)
    }
}
