//! One run: a contestant in an environment, asked until its budget is spent, and judged after every round.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agenttts_core::{Archive, Cost, Estimate, Exchange, Measurement, Plan, Span, Trial, TrialState};
use agenttts_search::{Ask, Proposal, Race, Settings, Step, TaskText, place};
use serde::Serialize;

use crate::contestant::{Contestant, Entry, Fault, Player};
use crate::environment::{Arena, Session, Unit};

/// Rounds without a trial after which a method is stopped.
const MOST_FRUITLESS_ROUNDS: u32 = 50;

/// The same for rounds that a language model was asked for: another minute of it will not find what fits either.
const MOST_FRUITLESS_ANSWERS: u32 = 3;

/// Questions between two proposals after which a method is stopped.
const MOST_QUESTIONS: u32 = 50;

/// A recommendation that stays at or above this share of the best plan's score has arrived.
pub const ARRIVED: f64 = 0.98;

/// One run to make.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// Where.
    pub arena: &'a Arena,
    /// Who.
    pub contestant: &'a dyn Contestant,
    /// Everything random derives from it.
    pub seed: u64,
    /// Examples of a trial; `None` where the contestant chooses.
    pub examples: Option<u32>,
    /// What may be spent, in the environment's unit.
    pub budget: f64,
    /// Where recommendations are judged: ascending amounts of the environment's unit.
    pub checkpoints: &'a [f64],
    /// Whether trials end early once their plan has fallen behind, where the contestant's may.
    pub racing: bool,
    /// The most trials, where they too are limited.
    pub most_trials: Option<u32>,
}

/// What became of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The judgement at each checkpoint.
    pub points: Vec<Point>,
    /// The ratio of the recommendation whenever it changed, with what was spent by then; the first is 0 at 0.
    pub path: Vec<(f64, f64)>,
    /// What was spent when the recommendation came to stay at or above [`ARRIVED`]; `None` if it did not.
    pub arrived: Option<f64>,
    /// How many trials had been run by then.
    pub arrived_after: Option<u32>,
    /// The outcomes of the last recommended plan on the examples that no trial uses; empty where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<f64>,
    /// What was spent.
    pub spent: f64,
    /// Trials that were run.
    pub trials: u32,
    /// Examples evaluated by them, whatever the budget counts.
    pub evaluated: u64,
    /// Trials of them that were raced out.
    #[serde(skip_serializing_if = "is_zero")]
    pub raced_out: u32,
    /// Proposals that cost nothing because they were outside the space, the plan budget or what was left.
    pub refused: u32,
    /// Why it ended before the budget was spent.
    pub ended: Option<String>,
    /// The fault that ended it.
    #[serde(skip)]
    pub fault: Option<Fault>,
    /// Seconds within the contestant.
    #[serde(skip)]
    pub seconds: f64,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A recommendation judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The checkpoint: the recommendation is the one after the last trial that ended at or before it.
    pub evaluations: f64,
    /// The true score of the recommended plan over that of the best plan within the budget; 0 before the first
    /// recommendation.
    pub ratio: f64,
    /// (best - true) / (best - mean of the plans within the budget).
    pub normalised_regret: f64,
}

impl Match<'_> {
    /// Makes the run. `None` if it was stopped from outside.
    pub fn run(&self, stop: &AtomicBool) -> Option<Run> {
        let (space, truth) = (self.arena.environment.space(), &self.arena.truth);
        let entry = Entry::new(space, self.seed, self.examples, truth);
        let started = Instant::now();
        let player = self.contestant.enter(&entry);
        let mut course = Course {
            of: self,
            session: self.arena.environment.session(self.seed),
            task: TaskText::default(),
            archive: Archive::default(),
            judged: Judged { points: Vec::new(), path: vec![(0.0, 0.0)], trials: vec![0], last: 0.0, plan: None },
            spent: 0.0,
            trials: 0,
            evaluated: 0,
            raced_out: 0,
            refused: 0,
            thinking: started.elapsed(),
        };
        let end = match player {
            Ok(mut player) => course.go(player.as_mut(), stop),
            Err(fault) => Err(fault),
        };
        let (ended, fault) = match end {
            Ok(End::Stopped) => return None,
            Ok(End::Spent) => (None, None),
            Ok(End::Early(reason)) => (Some(reason), None),
            Err(fault) => (Some(fault.message.clone()), Some(fault)),
        };
        Some(course.finish(ended, fault))
    }
}

enum End {
    /// The budget is spent.
    Spent,
    /// The method ended before, or was ended.
    Early(String),
    /// Somebody asked to stop.
    Stopped,
}

struct Course<'a> {
    of: &'a Match<'a>,
    session: Box<dyn Session + 'a>,
    task: TaskText,
    archive: Archive,
    judged: Judged,
    spent: f64,
    trials: u32,
    evaluated: u64,
    raced_out: u32,
    refused: u32,
    thinking: Duration,
}

impl Course<'_> {
    fn go(&mut self, player: &mut dyn Player, stop: &AtomicBool) -> Result<End, Fault> {
        let (mut fruitless, mut questions) = (0, 0);
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(End::Stopped);
            }
            if self.is_spent() {
                return Ok(End::Spent);
            }
            match self.consult(|ask| player.ask(ask))? {
                Step::Finished(reason) => return Ok(End::Early(reason)),
                Step::Question(question) => {
                    questions += 1;
                    if questions > MOST_QUESTIONS {
                        return Ok(End::Early(format!("{MOST_QUESTIONS} questions without a proposal")));
                    }
                    let started = Instant::now();
                    let reply = player.answer(&question);
                    self.thinking += started.elapsed();
                    let (reply, error) = (Some(reply?), None);
                    let (round, attempt, purpose) = (question.round, question.attempt, question.purpose);
                    let messages = question.messages;
                    self.archive.exchanges.push(Exchange { round, attempt, purpose, messages, reply, error });
                }
                Step::Propose { guidelines, proposals } => {
                    let most = if questions > 0 { MOST_FRUITLESS_ANSWERS } else { MOST_FRUITLESS_ROUNDS };
                    questions = 0;
                    self.archive.guidelines.extend(guidelines);
                    if self.round(player, proposals)? {
                        fruitless = 0;
                    } else {
                        fruitless += 1;
                    }
                    if fruitless >= most {
                        return Ok(End::Early(format!(
                            "{most} rounds in a row proposed only plans outside the space, the plan budget or what was left"
                        )));
                    }
                }
            }
        }
    }

    /// Runs the proposals of a round in turn while anything is left; whether any was run.
    fn round(&mut self, player: &mut dyn Player, proposals: Vec<Proposal>) -> Result<bool, Fault> {
        let round = self.archive.trials.iter().map(|t| t.round + 1).max().unwrap_or(0);
        let mut any = false;
        for proposal in proposals {
            if self.is_spent() {
                break;
            }
            any |= self.trial(player, round, proposal)?;
        }
        if any {
            self.recommend(player)?;
        }
        Ok(any)
    }

    /// Runs one proposal; whether it could be run.
    fn trial(&mut self, player: &mut dyn Player, round: u32, proposal: Proposal) -> Result<bool, Fault> {
        let environment = &self.of.arena.environment;
        let space = environment.space();
        let Proposal { plan, origin, examples, .. } = proposal;
        let nominal_cost = space.cost_of(&plan).unwrap_or(Cost::ZERO);
        let wanted = examples.or(self.of.examples).unwrap_or(environment.usual_examples()).max(1);
        let (stream, span) = place(&self.archive, &plan, Some(wanted), environment.pool());
        let mut span = span.unwrap_or(Span { first: 0, count: environment.pool().unwrap_or(wanted) });
        let mut trial = Trial {
            number: self.archive.trials.len() as u32 + 1,
            round,
            plan,
            nominal_cost,
            origin,
            stream,
            span: None,
            state: TrialState::Pending,
        };
        let measured = if !space.is_feasible(&trial.plan) {
            Err("outside the space or the plan budget")
        } else if let Some(count) = self.affordable(&trial.plan, span.count) {
            span.count = count;
            self.blocks(player, &trial, span)?.ok_or("not in the table")
        } else {
            Err("more than what is left to spend")
        };
        let ran = match measured {
            Ok(measurement) => {
                span.count = measurement.scores.len() as u32;
                self.trials += 1;
                self.raced_out += u32::from(measurement.raced_out.is_some());
                self.evaluated += u64::from(span.count);
                trial.state = TrialState::Measured(Box::new(measurement));
                true
            }
            Err(reason) => {
                self.refused += 1;
                trial.state = TrialState::Abandoned(reason.to_owned());
                false
            }
        };
        trial.span = environment.pool().is_none_or(|pool| span.count < pool).then_some(span);
        self.archive.trials.push(trial);
        Ok(ran)
    }

    /// Tries a plan on a span that can be paid: at once, or block by block until it is raced out.
    fn blocks(&mut self, player: &mut dyn Player, trial: &Trial, span: Span) -> Result<Option<Measurement>, Fault> {
        let space = self.of.arena.environment.space();
        let racing = self.of.racing && self.of.contestant.races();
        let race = racing.then(|| Race::new(space, &self.archive, trial.number, &trial.plan, span)).flatten();
        let mut parts: Vec<Measurement> = Vec::new();
        let mut scores: Vec<f64> = Vec::new();
        while (scores.len() as u32) < span.count {
            let done = scores.len() as u32;
            let count = race.as_ref().map_or(span.count, |race| race.next_block(&scores));
            let price = self.session.price(&trial.plan, count);
            // A checkpoint that this trial passes is judged by what was known before it.
            if self.of.checkpoints.get(self.judged.points.len()).is_some_and(|c| self.spent + price > *c + 1e-9) {
                self.recommend(player)?;
                self.judged.pass(self.of, self.spent + price);
            }
            let block = Span { first: span.first + done, count };
            let Some(part) = self.session.measure(&trial.plan, trial.stream, block) else { return Ok(None) };
            self.spent += price;
            scores.extend(&part.scores);
            parts.push(part);
            if let Some(raced_out) = race.as_ref().and_then(|race| race.verdict(&scores)) {
                return Ok(Some(Measurement { raced_out: Some(raced_out), ..joined(parts, scores) }));
            }
        }
        Ok(Some(joined(parts, scores)))
    }

    /// As many of the wanted examples as what is left pays for; `None` if it pays for none.
    fn affordable(&self, plan: &Plan, wanted: u32) -> Option<u32> {
        let price = |count| self.session.price(plan, count);
        let fits = |count| price(count) <= self.remaining() + 1e-9;
        if fits(wanted) {
            return Some(wanted);
        }
        // The price grows with the number of examples: halve the interval between one that fits and one that does not.
        let (mut low, mut high) = (0, wanted);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low > 0).then_some(low)
    }

    fn remaining(&self) -> f64 {
        self.of.budget - self.spent
    }

    fn is_spent(&self) -> bool {
        self.remaining() <= self.least() || self.of.most_trials.is_some_and(|most| self.trials >= most)
    }

    /// Less than this is nothing.
    fn least(&self) -> f64 {
        match self.of.arena.environment.unit() {
            Unit::Evaluations => 1.0 - 1e-9,
            Unit::Tokens => 0.5,
        }
    }

    /// Asks the player something, on the clock.
    fn consult<T>(&mut self, what: impl FnOnce(&Ask<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let environment = &self.of.arena.environment;
        let examples = match environment.unit() {
            Unit::Evaluations => self.of.examples.map(|n| n.min((self.remaining() + 1e-9).max(1.0) as u32)),
            Unit::Tokens => self.of.examples,
        };
        let settings = Settings { seed: self.of.seed, examples, ..Settings::default() };
        let session = &self.session;
        let prices = |plan: &Plan, examples: u32| session.price(plan, examples);
        let ask = Ask::new(environment.space(), &self.archive, &settings, &self.task)
            .with_prices(&prices, Some(self.remaining()));
        let ask = match environment.pool() {
            Some(pool) => ask.with_pool(pool),
            None => ask,
        };
        let started = Instant::now();
        let result = what(&ask);
        self.thinking += started.elapsed();
        result
    }

    /// Judges what the player recommends now.
    fn recommend(&mut self, player: &mut dyn Player) -> Result<(), Fault> {
        let plan = self.consult(|ask| player.recommend(ask))?;
        self.judged.recommended(self.of, self.spent, self.trials, plan);
        Ok(())
    }

    fn finish(mut self, ended: Option<String>, fault: Option<Fault>) -> Run {
        self.judged.pass(self.of, f64::INFINITY);
        let arrived = arrived(&self.judged.path);
        let truth = &self.of.arena.truth;
        // Without a recommendation every one of these examples fails.
        let test = match &self.judged.plan {
            Some(plan) => truth.test(plan).map(<[f64]>::to_vec),
            None => truth.best_plan().and_then(|plan| truth.test(plan)).map(|test| vec![0.0; test.len()]),
        };
        Run {
            arrived: arrived.map(|at| self.judged.path[at].0),
            arrived_after: arrived.map(|at| self.judged.trials[at]),
            test: test.unwrap_or_default(),
            points: self.judged.points,
            path: self.judged.path,
            spent: self.spent,
            trials: self.trials,
            evaluated: self.evaluated,
            raced_out: self.raced_out,
            refused: self.refused,
            ended,
            fault,
            seconds: self.thinking.as_secs_f64(),
        }
    }
}

/// One measurement of the examples of several, whose scores these are.
fn joined(mut parts: Vec<Measurement>, scores: Vec<f64>) -> Measurement {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let costs: Vec<Estimate> = parts.iter().map(|p| p.cost).collect();
    let stages = parts.first().map_or(0, |p| p.stages.len());
    let stage = |i: usize| {
        let of: Option<Vec<Estimate>> = parts.iter().map(|p| p.stages.get(i).copied().flatten()).collect();
        of.map(|of| Estimate::of_parts(&of))
    };
    Measurement {
        stages: (0..stages).map(stage).collect(),
        failures: parts.iter().map(|p| p.failures).sum(),
        fresh: parts.iter().map(|p| p.fresh).sum(),
        drawn: parts.iter().map(|p| p.drawn).sum(),
        ..Measurement::of_scores(scores, Estimate::of_parts(&costs))
    }
}

/// What the judge has noted so far.
struct Judged {
    points: Vec<Point>,
    path: Vec<(f64, f64)>,
    /// The trials run by each place of the path.
    trials: Vec<u32>,
    /// The newest recommendation and its true score.
    plan: Option<Plan>,
    last: f64,
}

impl Judged {
    /// A new recommendation; none counts as 0.
    fn recommended(&mut self, of: &Match<'_>, spent: f64, trials: u32, plan: Option<Plan>) {
        let truth = &of.arena.truth;
        let score = plan.as_ref().map(|plan| truth.score(plan));
        self.plan = plan;
        self.last = score.unwrap_or(0.0);
        let ratio = if score.is_some() { truth.ratio(self.last) } else { 0.0 };
        match self.path.last_mut() {
            Some(last) if last.1 == ratio => {}
            Some(last) if last.0 == spent => last.1 = ratio,
            _ => {
                self.path.push((spent, ratio));
                self.trials.push(trials);
            }
        }
    }

    /// Notes the newest recommendation for all checkpoints below `spent`.
    fn pass(&mut self, of: &Match<'_>, spent: f64) {
        while let Some(&evaluations) = of.checkpoints.get(self.points.len()).filter(|c| spent > **c + 1e-9) {
            let ratio = self.path.last().map_or(0.0, |p| p.1);
            let normalised_regret = of.arena.truth.normalised_regret(self.last);
            self.points.push(Point { evaluations, ratio, normalised_regret });
        }
    }
}

/// The place of the path from which the ratio stays at or above [`ARRIVED`].
fn arrived(path: &[(f64, f64)]) -> Option<usize> {
    let first = path.iter().rposition(|p| p.1 < ARRIVED).map_or(0, |below| below + 1);
    (first < path.len()).then_some(first)
}
