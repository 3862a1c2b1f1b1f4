//! One run of an outside optimiser: plans as option numbers, and what the process is told of them.

use agenttts_core::{Plan, Space};
use agenttts_search::{InitialRule, initial_plans};
use serde_json::{Map, Value, json};

use crate::contestant::{Fault, Peer};
use crate::peers::PeerProcesses;
use crate::peers::process::Process;

/// Proposals in a row that are no plans at all, after which a process is given up.
const MOST_STRAYS: u32 = 50;

/// The most initial trials: half of the usual 50.
const MOST_INITIAL: usize = 25;

/// The fields of a new study that say what can be proposed: of every stage the options that occur in at least one plan
/// within the budget, by their numbers in the space, and the initial plans, if wanted.
pub(super) fn described(space: &Space, initial: bool) -> Map<String, Value> {
    let mut occurs: Vec<Vec<bool>> = space.stages().iter().map(|s| vec![false; s.options.len()]).collect();
    for options in space.feasible_indices() {
        for (stage, option) in options.into_iter().enumerate() {
            occurs[stage][option] = true;
        }
    }
    let stages = space.stages().iter().zip(&occurs).map(|(stage, occurs)| {
        let options = stage.options.iter().enumerate().filter(|(number, _)| occurs[*number]).map(|(number, option)| {
            let choice = &option.choice;
            json!({
                "option": number,
                "model": choice.model,
                "temperature": choice.temperature.to_string(),
                "aggregator": choice.aggregator.name(),
                "samples": choice.samples,
            })
        });
        json!({ "name": stage.stage.name, "options": options.collect::<Vec<_>>() })
    });
    let plans = if initial { initial_plans(space, InitialRule::Paper, MOST_INITIAL) } else { Vec::new() };
    let plans: Vec<Vec<usize>> = plans.iter().filter_map(|(plan, _)| space.indices(plan)).collect();
    let mut fields = Map::new();
    fields.insert("stages".to_owned(), stages.collect());
    fields.insert("initial".to_owned(), json!(plans));
    fields
}

/// A study in a process, which goes back to the idle ones when the run is over, unless it failed.
pub(super) struct Study<'a> {
    home: &'a PeerProcesses,
    sampler: &'a str,
    process: Option<Process>,
    space: Space,
    /// The plan that was asked for and not told of yet.
    pending: Option<Vec<usize>>,
}

impl<'a> Study<'a> {
    pub(super) fn new(home: &'a PeerProcesses, sampler: &'a str, process: Process, space: &Space) -> Self {
        Study { home, sampler, process: Some(process), space: space.clone(), pending: None }
    }

    /// Asks the process; it is ended where it fails.
    pub(super) fn exchange(&mut self, verb: &str, told: Value) -> Result<Map<String, Value>, Fault> {
        let Some(process) = &mut self.process else {
            return Err(Fault::new("the outside optimiser has failed before"));
        };
        let answer = process.ask(verb, told, self.home.patience.answer);
        if answer.is_err() {
            self.home.note_end(self.sampler, process);
            self.process = None;
        }
        answer
    }

    /// By which share of the budget the plan exceeds it; 1 where it has no cost, because it is not of the space.
    fn violation(&self, options: &[usize]) -> f64 {
        let units = |cost| self.space.cost_model().units(cost);
        let budget = units(self.space.budget());
        match self.space.cost(options) {
            Some(cost) if budget != 0.0 => (units(cost) - budget) / budget.abs(),
            _ => 1.0,
        }
    }

    fn is_plan(&self, options: &[usize]) -> bool {
        let stages = self.space.stages();
        options.len() == stages.len() && options.iter().zip(stages).all(|(&o, s)| o < s.options.len())
    }
}

impl Peer for Study<'_> {
    fn ask(&mut self) -> Result<Option<Plan>, Fault> {
        for _ in 0..MOST_STRAYS {
            let answer = self.exchange("ask", json!({}))?;
            if answer.contains_key("done") {
                return Ok(None);
            }
            let plan = answer.get("plan").cloned().unwrap_or_default();
            let numbers: Option<Vec<usize>> = serde_json::from_value(plan.clone()).ok();
            if let Some(options) = numbers.filter(|options| self.is_plan(options)) {
                let plan = self.space.plan(&options);
                self.pending = Some(options);
                return Ok(Some(plan));
            }
            self.exchange("tell", json!({ "plan": plan, "violation": 1.0 }))?;
        }
        self.process = None;
        Err(Fault::new(format!("the outside optimiser proposed {MOST_STRAYS} times in a row what is no plan at all")))
    }

    fn tell(&mut self, plan: &Plan, score: Option<f64>) -> Result<(), Fault> {
        let Some(options) = self.pending.take().filter(|options| &self.space.plan(options) == plan) else {
            return Err(Fault::new("the outside optimiser was to be told of a plan that it did not propose"));
        };
        let told = match score {
            Some(score) => json!({ "plan": options, "score": score }),
            None if self.space.fits(&options) => json!({ "plan": options }),
            None => json!({ "plan": options, "violation": self.violation(&options) }),
        };
        self.exchange("tell", told).map(|_| ())
    }
}

impl Drop for Study<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.home.give_back(process);
        }
    }
}
