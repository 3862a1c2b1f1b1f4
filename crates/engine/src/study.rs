//! The study loop: ask the searcher, run what it proposes, archive, until something ends it; then confirm.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agenttts_core::pipeline::Snapshot;
use agenttts_core::{
    Archive, Constraint, Decoding, Example, Exchange, Guideline, Measurement, Pipeline, Purpose as AgentPurpose,
    Quarantined, Request, Span, StudyState, StudySummary, Temperature, Trial, TrialState, UnderWay,
};
use agenttts_search::{
    Ask, DrawPrices, History, Proposal, Question, Race, Searcher, Step, needs_history, place, searcher,
};
use agenttts_store::{ExampleOutcome, ItemOutcome, NewStudy, StageOutcome, StepOutcome, Store, Study};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::aside::set_aside;
use crate::bank::Bank;
use crate::budget::Budget;
use crate::code::Code;
use crate::drawn::{Drawn, Sources};
use crate::error::EngineError;
use crate::event::{Event, Leader, Limit, Observers, Spent};
use crate::execute::{Execution, Executor, ItemRun, QUARANTINE};
use crate::history;
use crate::load::Loaded;
use crate::quarantine::Quarantine;
use crate::recorder::Recorder;
use crate::seal;
use crate::settings::{
    ResumeOptions, SETTINGS_VERSION, SearchOptions, StudySettings, check_limits, check_same_weights, settings,
};
use crate::source::{CallKind, DrawError, Halt, Source, Want};
use crate::steps::{StepRun, changed_programs};
use crate::stop::StopHandle;
use crate::streams::{Purpose, stream};
use crate::summary::task_text;
use crate::trial::{With, run_plan};
use crate::workshop::{ModelSet, Workshop};

mod ending;
mod outage;

/// What a study runs with.
#[derive(Clone)]
pub struct StudyContext {
    /// Where models come from.
    pub workshop: Workshop,
    /// Who sees its events.
    pub observers: Observers,
    /// How it is asked to stop.
    pub stop: StopHandle,
}

/// Begins a study and runs it to its end.
///
/// # Errors
/// Wrong input, models that are not there, a store that cannot be used. A limit that is reached or a stop that is asked
/// for is no error: the summary says so. After an error in mid-study the study can be resumed.
pub async fn start_study(
    store: &Store,
    loaded: Loaded,
    options: SearchOptions,
    context: StudyContext,
) -> Result<StudySummary, EngineError> {
    let mut settings = settings(&loaded, &options)?;
    let models = context.workshop.connect(&loaded.pipeline)?;
    context.workshop.check_steps(&loaded)?;
    settings.models = models.identities();
    check_limits(&loaded, &settings.search_budget)?;
    let code = code(&context, &loaded, &mut settings).await?;
    if !models.has_streams() && settings.agent.is_some() {
        return Err(EngineError::input(
            format!("the method `{}` asks a language model, and a tape holds no replies to that", settings.method),
            "search a tape with another method, such as rules; `agenttts bench` replays recorded replies",
        ));
    }
    if needs_history(&settings.method) {
        settings.history = Some(match (&options.history, context.workshop.earlier()?) {
            (None, Some((name, _))) => name,
            (named, _) => history::choose(store, &loaded.pipeline, named.as_deref())?,
        });
    }
    let study = store
        .create_study(NewStudy {
            name: options.study,
            pipeline: loaded.pipeline.name.clone(),
            snapshot: json(&loaded.snapshot)?,
            settings: json(&settings)?,
            started_ms: now_ms(),
        })
        .await?;
    run(Arc::new(study), loaded, models, code, settings, context, false).await
}

/// Goes on with a study that was stopped, killed, or reached a limit.
///
/// # Errors
/// As [`start_study`]; also while another process runs the study.
pub async fn resume_study(
    store: &Store,
    name: &str,
    options: ResumeOptions,
    context: StudyContext,
) -> Result<StudySummary, EngineError> {
    let study = store.open_study(name).await?;
    let row = store.study(study.name())?;
    let snapshot: Snapshot = parse(&row.snapshot)?;
    let loaded = Loaded::new(snapshot)?;
    let mut settings: StudySettings = parse(&row.settings)?;
    if settings.version > SETTINGS_VERSION {
        return Err(EngineError::input("the study was written by a newer agenttts", "update agenttts"));
    }
    settings.search_budget = options.search_budget.unwrap_or(settings.search_budget);
    settings.search.trials = options.trials.or(settings.search.trials);
    check_limits(&loaded, &settings.search_budget)?;
    let models = context.workshop.connect(&loaded.pipeline)?;
    check_same_weights(&settings.models, &models.identities())?;
    let code = code(&context, &loaded, &mut settings).await?;
    if options.release {
        release(&study, &loaded, &mut settings).await?;
    }
    study.set_settings(json(&settings)?).await?;
    study.set_state(StudyState::Running, None).await?;
    run(Arc::new(study), loaded, models, code, settings, context, true).await
}

/// Lets quarantined examples be tried again, and what counted them as failed be measured again.
async fn release(study: &Study, loaded: &Loaded, settings: &mut StudySettings) -> Result<(), EngineError> {
    let archive = study.store().archive(study.id())?;
    let quarantine = Quarantine::read(study.store(), study.id(), loaded, &archive, settings.released_after)?;
    study.reopen_trials(quarantine.release(study.store(), study.id(), &archive)?).await?;
    settings.released_after = archive.trials.iter().map(|t| t.number).max().unwrap_or(0);
    settings.quarantined.clear();
    Ok(())
}

/// What runs the pipeline's generated code, where it has any; what holds it is noted.
async fn code(
    context: &StudyContext,
    loaded: &Loaded,
    settings: &mut StudySettings,
) -> Result<Option<Arc<Code>>, EngineError> {
    let Some((code, enforced)) = context.workshop.code(&loaded.pipeline).await? else { return Ok(None) };
    if !settings.sandbox.contains(&enforced) {
        settings.sandbox.push(enforced);
    }
    Ok(Some(code))
}

async fn run(
    study: Arc<Study>,
    loaded: Loaded,
    models: ModelSet,
    code: Option<Arc<Code>>,
    settings: StudySettings,
    context: StudyContext,
    resumed: bool,
) -> Result<StudySummary, EngineError> {
    let store = study.store().clone();
    let row = store.study(study.name())?;
    let spend = store.spend(study.id())?;
    let recorder = Recorder::start(study.clone());
    let observers = context.observers.and(recorder.observer());
    let steps = context.workshop.steps(&loaded)?;
    let before = row.elapsed_ms as f64 / 1000.0;
    let budget = Arc::new(Budget::new(settings.search_budget, before));
    let bank =
        Bank::new(study.clone(), models.clone(), budget.clone(), observers.clone(), context.stop.clone(), spend.usage);
    let searcher = searcher(&settings.method).map_err(|e| EngineError::Internal(e.to_string()))?;
    let history = match (&settings.history, context.workshop.earlier()?) {
        (Some(named), Some((name, history))) if *named == name => Some(history),
        (Some(named), _) => Some(history::load(&store, named)?),
        (None, _) => None,
    };
    let split = &loaded.pipeline.search_split.examples;
    let order = settings.order.of(split.len(), loaded.pipeline.search.seed);
    let examples: Vec<Example> = order.iter().map(|&i| split[i].clone()).collect();
    let archive = store.archive(study.id())?;
    let mut session = Session {
        quarantine: Quarantine::read(&store, study.id(), &loaded, &archive, settings.released_after)?,
        drawn: Drawn::new(&loaded, &examples),
        history,
        examples,
        order,
        archive,
        width: width(&loaded),
        down: HashSet::new(),
        fresh_draws: models.has_streams(),
        executor: Executor::new(&loaded, models, steps).with_code(code),
        study,
        loaded,
        settings,
        searcher,
        bank,
        budget,
        observers,
        stop: context.stop,
    };
    let name = session.study.name().to_owned();
    let asked = watch_requests(session.study.clone(), session.stop.clone());
    session.started(resumed);
    session.warn_of_changed_programs();
    session.warn_of_used_examples()?;
    let ended = match session.begin() {
        Ok(()) => session.go().await,
        Err(error) => Err(error),
    };
    let outcome = session.finish(ended).await;
    let closed = session.bank.close(session.budget.time_left()).await;
    // Its share in the study must be gone before the study is free again.
    asked.abort();
    let _ = asked.await;
    drop(session);
    recorder.finish().await;
    outcome?;
    closed?;
    crate::summary::summary(&store, &name)
}

/// Stops the study when another process asks for it.
fn watch_requests(study: Arc<Study>, stop: StopHandle) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !study.is_asked_to_stop() {
            tokio::time::sleep(LOOK_FOR_REQUESTS).await;
            study.renew_note();
        }
        stop.stop();
    })
}

/// How often a running study looks whether it is asked to stop.
const LOOK_FOR_REQUESTS: Duration = Duration::from_millis(500);

/// The most examples that are run at once, whatever the providers bear.
const MOST_AT_ONCE: usize = 4_096;

/// Examples that are run at once: enough to keep every provider busy.
pub(crate) fn width(loaded: &Loaded) -> usize {
    let used = |p: &&agenttts_core::ProviderSpec| loaded.pipeline.models.iter().any(|m| m.provider == p.name);
    let all: u32 = loaded.pipeline.providers.iter().filter(used).map(|p| p.concurrency).sum();
    (all as usize).clamp(1, MOST_AT_ONCE)
}

/// How the loop of a study ended.
enum End {
    Finished(String),
    Halted(Halt),
}

struct Session {
    study: Arc<Study>,
    loaded: Loaded,
    settings: StudySettings,
    searcher: Box<dyn Searcher>,
    executor: Executor,
    bank: Bank,
    budget: Arc<Budget>,
    observers: Observers,
    stop: StopHandle,
    archive: Archive,
    /// The examples of the search split in the study's order, and the place of each in the split.
    examples: Vec<Example>,
    order: Vec<usize>,
    drawn: Drawn,
    history: Option<History>,
    width: usize,
    /// Examples on which nothing is spent any more.
    quarantine: Quarantine,
    /// Providers that are down, as far as it was said.
    down: HashSet<String>,
    /// Whether a plan can be tried again on fresh draws.
    fresh_draws: bool,
}

impl Session {
    fn started(&self, resumed: bool) {
        self.observers.send(Event::Started {
            study: self.study.name().into(),
            resumed,
            method: self.settings.method.clone(),
            feasible: self.loaded.space.feasible() as f64,
            trials: self.settings.search.trials.unwrap_or(0),
            examples: self.pool(),
            examples_per_trial: self.settings.search.examples,
            history: self.settings.history.clone(),
        });
    }

    /// A program that failed is there to be mended, so a change is no error.
    fn warn_of_changed_programs(&self) {
        let workplace = self.loaded.snapshot.workplace.iter().filter(|_| self.fresh_draws);
        for program in workplace.flat_map(changed_programs) {
            let message = format!(
                "the program {program:?} of a step has changed since the study began: trials before and after the change \
                 are comparable only if it gives the same outputs"
            );
            self.observers.send(Event::Warning { message });
        }
    }

    /// Told before anything is spent: another test split may be at hand.
    fn warn_of_used_examples(&self) -> Result<(), EngineError> {
        let store = self.study.store();
        if store.tests(self.study.id())?.is_empty()
            && let Some(used) = seal::used(store, &self.loaded)?
        {
            let message = format!("{used}: the final test of this study will not be a fresh one");
            self.observers.send(Event::Warning { message });
        }
        Ok(())
    }

    fn pool(&self) -> u32 {
        self.examples.len() as u32
    }

    fn sources(&self) -> Sources<'_> {
        let store = self.study.store();
        Sources { loaded: &self.loaded, executor: Some(&self.executor), store, study: self.study.id() }
    }

    /// Looks up what the bank holds already.
    fn begin(&mut self) -> Result<(), EngineError> {
        let mut drawn = std::mem::take(&mut self.drawn);
        drawn.begin(&self.sources(), &self.examples)?;
        self.drawn = drawn;
        Ok(())
    }

    /// Asks the method for the next step; with the round that it is of.
    fn ask(&mut self) -> Result<(u32, Step), EngineError> {
        self.budget.set_aside(set_aside(&self.loaded, &self.archive, &self.budget));
        let mut drawn = std::mem::take(&mut self.drawn);
        drawn.catch_up(&self.sources(), &self.archive)?;
        self.drawn = drawn;
        let task = task_text(&self.loaded.pipeline);
        let prices = DrawPrices::new(&self.loaded.space, &self.archive, Some(self.pool()), self.drawn.log());
        let remaining = self.budget.tokens_left(self.study.spent());
        let mut ask = Ask::new(&self.loaded.space, &self.archive, &self.settings.search, &task)
            .with_pool(self.pool())
            .with_prices(&prices, remaining);
        if let Some(history) = &self.history {
            ask = ask.with_history(history);
        }
        Ok((ask.round(), self.searcher.ask(&ask)))
    }

    /// Runs trials until the searcher has finished or something halts it.
    async fn go(&mut self) -> Result<End, EngineError> {
        // Trials that wait for a provider that is down, while others go on.
        let mut put_off: HashSet<u32> = HashSet::new();
        loop {
            while let Some(next) = self.next_trial(&put_off) {
                match self.run_trial(next).await? {
                    Ok(()) => {}
                    Err(halt) if self.is_outage(&halt) => {
                        if let Err(halt) = self.may_wait(halt) {
                            return Ok(End::Halted(halt));
                        }
                        put_off.insert(self.archive.trials[next].number);
                    }
                    Err(halt) => return Ok(End::Halted(halt)),
                }
            }
            if self.archive.trials.iter().any(|t| t.state == TrialState::Pending) {
                if let Err(halt) = self.wait_out().await {
                    return Ok(End::Halted(halt));
                }
                put_off.clear();
                continue;
            }
            if self.stop.is_stopped() {
                return Ok(End::Halted(Halt::Stopped));
            }
            if let Some(detail) = self.budget.time_is_up() {
                return Ok(End::Halted(Halt::Limit { limit: Limit::Minutes, detail }));
            }
            let (round, step) = self.ask()?;
            match step {
                Step::Propose { guidelines, proposals } => self.propose(round, guidelines, proposals).await?,
                Step::Question(question) => match self.answer(question).await? {
                    Ok(()) => {}
                    // The question is asked again.
                    Err(halt) if self.is_outage(&halt) => {
                        if let Err(halt) = self.wait_after(halt).await {
                            return Ok(End::Halted(halt));
                        }
                    }
                    Err(halt) => return Ok(End::Halted(halt)),
                },
                Step::Finished(reason) => return Ok(End::Finished(reason)),
            }
        }
    }

    /// Puts proposals into the archive, as pending trials, before they run: a crash finds them there.
    async fn propose(
        &mut self,
        round: u32,
        guidelines: Vec<Guideline>,
        proposals: Vec<Proposal>,
    ) -> Result<(), EngineError> {
        let first = self.archive.trials.len() as u32 + 1;
        let mut trials: Vec<Trial> = Vec::with_capacity(proposals.len());
        let mut seen = HashSet::new();
        // Two trials of one plan in one round would run on the same draws: the second would say nothing new.
        let distinct = proposals.into_iter().filter(|p| seen.insert(p.plan.clone())).collect();
        for (number, proposal) in (first..).zip(self.drawable(distinct)) {
            let nominal = self.loaded.space.cost_of(&proposal.plan).ok_or_else(|| {
                EngineError::Internal(format!("{} proposed a plan outside the space", self.settings.method))
            })?;
            let examples = proposal.examples.or(self.settings.search.examples);
            let (stream, span) = place(&self.archive, &proposal.plan, examples, Some(self.pool()));
            trials.push(Trial {
                number,
                round,
                nominal_cost: nominal,
                plan: proposal.plan,
                origin: proposal.origin,
                stream,
                span,
                state: if stream > 0 && !self.fresh_draws {
                    TrialState::Abandoned("a tape has no fresh draws of a plan".into())
                } else {
                    TrialState::Pending
                },
            });
        }
        self.study.append_round(guidelines.clone(), trials.clone()).await?;
        for guideline in &guidelines {
            let Guideline { round, author, text } = guideline.clone();
            self.observers.send(Event::Guideline { round, author, text });
        }
        let repairs = trials.iter().flat_map(|t| t.origin.repairs.iter().map(|r| (t.number, r.clone()))).collect();
        self.observers.send(Event::Proposed { round, trials: (first, trials.len() as u32), repairs });
        self.archive.guidelines.extend(guidelines);
        self.archive.trials.extend(trials);
        Ok(())
    }

    /// The proposals for which there are draws. A tape has no fresh ones, so plans that were measured on all examples are
    /// left out there; where no others are proposed they stay, to be given up at no cost, so that the study ends.
    fn drawable(&self, proposals: Vec<Proposal>) -> Vec<Proposal> {
        let first_draws = |p: &Proposal| place(&self.archive, &p.plan, p.examples, Some(self.pool())).0 == 0;
        if self.fresh_draws || !proposals.iter().any(first_draws) {
            return proposals;
        }
        proposals.into_iter().filter(first_draws).collect()
    }

    async fn run_trial(&mut self, index: usize) -> Result<Result<(), Halt>, EngineError> {
        self.budget.set_aside(set_aside(&self.loaded, &self.archive, &self.budget));
        let mut trial = self.archive.trials[index].clone();
        let number = trial.number;
        self.observers.send(Event::TrialStarted { trial: number, plan: trial.plan.clone() });
        let span = trial.span.unwrap_or(Span { first: 0, count: self.pool() });
        let range = span.first as usize..span.end() as usize;
        let (Some(examples), Some(places)) = (self.examples.get(range.clone()), self.order.get(range)) else {
            return Err(EngineError::Internal(format!("trial {number} wants examples that the split does not have")));
        };
        let progress = |done| self.progress(Some(number), done, span.count);
        progress(0);
        let seed = self.loaded.pipeline.search.seed;
        let draws = stream(seed, Purpose::Trial(trial.stream));
        let race = || Race::new(&self.loaded.space, &self.archive, number, &trial.plan, span);
        let race = self.settings.racing.then(race).flatten();
        let quarantine = Some(&self.quarantine);
        let with = With { executor: &self.executor, source: &self.bank, stream: draws, width: self.width, quarantine };
        let run = tokio::select! {
            run = run_plan(with, &trial.plan, examples, race.as_ref(), &progress) => run,
            detail = self.budget.last_moment() => Err(Halt::Limit { limit: Limit::Minutes, detail }),
        };
        self.study.note(None);
        self.save_elapsed().await?;
        let run = match run {
            Ok(run) => run,
            Err(halt) => return Ok(Err(halt)),
        };
        let outcomes: Vec<ExampleOutcome> =
            run.executions.iter().zip(places).map(|(e, &place)| outcome(e, &self.loaded.pipeline, place)).collect();
        let Measurement { objective, failures, raced_out, .. } = run.measurement;
        if raced_out.is_some() {
            trial.span = Some(Span { first: span.first, count: run.executions.len() as u32 });
        }
        let cost = run.measurement.cost.mean;
        trial.state = TrialState::Measured(Box::new(run.measurement));
        let quarantined = self.quarantine.take(&self.loaded, &trial, &outcomes);
        self.study.put_trial(trial.clone(), outcomes).await?;
        self.tell_quarantined(&quarantined).await?;
        self.archive.trials[index] = trial.clone();
        let leader = Leader::of(&self.archive);
        let pooled = self.archive.plans().into_iter().find(|p| p.plan == &trial.plan && p.trials.len() > 1);
        self.observers.send(Event::TrialMeasured {
            trial: number,
            objective,
            cost,
            span: trial.span,
            pooled: pooled.map(|p| p.objective),
            best: leader.as_ref().is_some_and(|l| l.plan == trial.plan),
            plan: trial.plan,
            leader,
            failures,
            raced_out: raced_out.map(Box::new),
            spent: self.spent(),
        });
        Ok(Ok(()))
    }

    async fn tell_quarantined(&mut self, new: &[Quarantined]) -> Result<(), EngineError> {
        if new.is_empty() {
            return Ok(());
        }
        for quarantined in new {
            let message = format!(
                "{}; no more calls are spent on it, and it counts as failed in every plan: `agenttts search --resume {} \
                 --release` tries it again",
                quarantined.words(),
                self.study.name()
            );
            self.observers.send(Event::Warning { message });
        }
        self.settings.quarantined = self.quarantine.all().to_vec();
        Ok(self.study.set_settings(json(&self.settings)?).await?)
    }

    /// Asks the agent's model, through the bank: a question that was answered before a crash is not paid for again.
    async fn answer(&mut self, question: Question) -> Result<Result<(), Halt>, EngineError> {
        let Question { round, attempt, purpose, messages, schema } = question;
        self.observers.send(Event::AgentAsked { round, purpose, attempt });
        let agent = self.settings.agent.clone().unwrap_or_default();
        let stages = self.loaded.pipeline.stages.len() as u32;
        let max_tokens = match purpose {
            AgentPurpose::Summarise => 400,
            AgentPurpose::Propose => 64 + 48 * stages * self.settings.search.batch,
        };
        let request = Request {
            messages: messages.clone(),
            decoding: Decoding {
                temperature: AGENT_TEMPERATURE.unwrap_or(Temperature::GREEDY),
                top_p: None,
                max_tokens,
                stop: Vec::new(),
                constraint: Some(Constraint::JsonSchema(schema)),
            },
        };
        let draws = stream(self.loaded.pipeline.search.seed, Purpose::Agent(round * 2 + attempt));
        let want = Want {
            model: &agent,
            request: &request,
            first: 0,
            n: 1,
            stream: draws,
            kind: CallKind::Agent,
            on_text: None,
            listener: None,
        };
        let answered = tokio::select! {
            answered = self.bank.samples(want) => answered,
            detail = self.budget.last_moment() => Err(DrawError::Halt(Halt::Limit { limit: Limit::Minutes, detail })),
        };
        let (reply, error) = match answered {
            Ok(got) => (got.samples.into_iter().next().map(|s| s.draw.text), None),
            Err(DrawError::Failed(error)) => (None, Some(error.to_string())),
            Err(DrawError::Halt(halt)) => return Ok(Err(halt)),
        };
        self.observers.send(Event::AgentAnswered { error: error.clone() });
        let exchange = Exchange { round, attempt, purpose, messages, reply, error };
        self.study.append_exchange(exchange.clone()).await?;
        self.archive.exchanges.push(exchange);
        self.save_elapsed().await?;
        Ok(Ok(()))
    }

    fn progress(&self, trial: Option<u32>, done: u32, total: u32) {
        self.study.note(Some(UnderWay { trial, done, total }));
        self.observers.send(Event::Progress { done, total, spent: self.spent() });
    }

    fn spent(&self) -> Spent {
        self.budget.spent(self.study.spent(), self.bank.usage())
    }

    async fn save_elapsed(&self) -> Result<(), EngineError> {
        Ok(self.study.set_elapsed((self.budget.seconds() * 1000.0) as i64).await?)
    }
}

/// The temperature of the agent's replies: enough for another reply when it is asked again.
const AGENT_TEMPERATURE: Option<Temperature> = Temperature::from_thousandths(700);

/// What an example at this place of the split did.
pub(crate) fn outcome(execution: &Execution, pipeline: &Pipeline, place: usize) -> ExampleOutcome {
    let names = pipeline.steps.iter().map(|s| &s.name);
    let item = |run: &ItemRun| ItemOutcome {
        support: run.support,
        samples: run.samples.iter().filter_map(|s| s.id).collect(),
        combined: run.combined.as_ref().and_then(|s| s.id),
    };
    let step = |run: &StepRun| StepOutcome { output: run.output.clone(), seconds: run.seconds };
    ExampleOutcome {
        example: execution.example.clone(),
        index: u32::try_from(place).ok(),
        objective: execution.objective,
        cost: execution.cost_units,
        failure: execution.failure.as_ref().map(ToString::to_string),
        fault: execution.failure.as_ref().filter(|f| f.fault.is_some()).map(|f| f.stage().to_owned()),
        quarantined: execution.failure.as_ref().is_some_and(|f| f.stage() == QUARANTINE),
        stages: execution
            .stages
            .iter()
            .map(|s| {
                let mut runs: Vec<ItemOutcome> = s.runs.iter().map(item).collect();
                let once = if s.by_item { None } else { runs.pop() }.unwrap_or_default();
                StageOutcome {
                    output: s.output.clone(),
                    score: s.score,
                    support: once.support,
                    samples: once.samples,
                    combined: once.combined,
                    items: s.by_item.then_some(runs),
                    skipped: s.skipped,
                }
            })
            .collect(),
        steps: names
            .zip(&execution.steps)
            .filter_map(|(name, run)| Some((name.clone(), step(run.as_ref()?))))
            .collect(),
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(|e| EngineError::Internal(format!("cannot be written as JSON: {e}")))
}

pub(crate) fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|e| {
        EngineError::input(format!("the study cannot be read: {e}"), "it was perhaps written by another version")
    })
}
