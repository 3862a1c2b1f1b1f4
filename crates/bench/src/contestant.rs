//! Who takes part: our search methods, and outside optimisers behind an ask-and-tell bridge.

use agenttts_core::{Archive, Plan, Space, TrialState};
use agenttts_search::{AgentStyle, Ask, Proposal, Question, Searcher, Settings, Step};

use crate::agents::Agents;
use crate::environment::Truth;

/// Something that takes part, and that can be run any number of times, on several threads at once.
pub trait Contestant: Send + Sync {
    /// The name in tables and results.
    fn name(&self) -> &str;

    /// Whether it belongs to the field that ours is compared with.
    fn is_outside(&self) -> bool;

    /// On how many examples its trials run.
    fn sizes(&self) -> Sizes;

    /// Whether its trials may be raced, where racing is asked for.
    fn races(&self) -> bool {
        false
    }

    /// Begins one run.
    fn enter<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Player + 'a>, Fault>;
}

/// On how many examples a contestant's trials run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// It names the number with every trial.
    Own,
    /// The environment's usual number.
    Usual,
    /// It runs with each of several usual numbers, and the one that is best in the end counts: no method of the field
    /// shall lose because its trials were too long or too short.
    BestOf,
    /// Always this many.
    Fixed(u32),
}

/// What a contestant is told at the beginning of a run.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// All plans, their costs and the plan budget.
    pub space: &'a Space,
    /// Everything random derives from it.
    pub seed: u64,
    /// Examples of a trial; `None` where the contestant chooses.
    pub examples: Option<u32>,
    /// What only the oracle may look at.
    pub(crate) truth: &'a Truth,
}

impl<'a> Entry<'a> {
    /// An entry outside a comparison. Only the oracle looks at `truth`; an empty one does for everybody else.
    pub fn new(space: &'a Space, seed: u64, examples: Option<u32>, truth: &'a Truth) -> Self {
        Entry { space, seed, examples, truth }
    }
}

/// A contestant in one run.
pub trait Player {
    /// The next step.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Step, Fault>;

    /// The reply to a question that [`ask`](Player::ask) returned.
    fn answer(&mut self, question: &Question) -> Result<String, Fault>;

    /// The plan that it would use after this archive; `None` when nothing was measured.
    fn recommend(&mut self, ask: &Ask<'_>) -> Result<Option<Plan>, Fault>;
}

/// Why a contestant cannot go on: what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without advice.
    pub fn new(message: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Answers the questions of methods that use a language model.
pub trait Responder: Send + Sync {
    /// The reply. The same question and seed must give the same reply.
    ///
    /// # Errors
    /// Why there is none. The run ends: a method without its model is another method.
    fn answer(&self, question: &Question, seed: u64) -> Result<String, Fault>;
}

/// One of our search methods.
pub struct Method {
    name: String,
    searcher: Box<dyn Searcher>,
    settings: Settings,
    agents: Agents,
    outside: bool,
    sizes: Sizes,
}

impl Method {
    /// A method by its name in `agenttts-search`, with settings of which seed and examples are the harness's.
    pub fn new(searcher: Box<dyn Searcher>, settings: Settings) -> Self {
        let name = searcher.name().to_owned();
        let ours = name == "planner" || name == "rules" || (name.starts_with("agent") && name != "agent-hpo");
        let sizes = match name.as_str() {
            "planner" | "agent" | "halving" => Sizes::Own,
            // Its rounds take as long as the trials before are many: with short trials a run would take many minutes.
            "bo" => Sizes::Usual,
            _ if ours => Sizes::Usual,
            _ => Sizes::BestOf,
        };
        Method { name, searcher, settings, agents: Agents::default(), outside: !ours, sizes }
    }

    /// Shown under another name, for variants of one method.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With a model that answers its questions, and earlier studies to learn from.
    #[must_use]
    pub fn with_agents(mut self, agents: Agents) -> Self {
        self.agents = agents;
        self
    }

    /// With trials on another number of examples.
    #[must_use]
    pub fn sized(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }
}

impl Contestant for Method {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_outside(&self) -> bool {
        self.outside
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn races(&self) -> bool {
        self.searcher.races() && self.settings.agent == AgentStyle::Portfolio
    }

    fn enter<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Player + 'a>, Fault> {
        let settings = Settings { seed: entry.seed, examples: entry.examples, ..self.settings.clone() };
        Ok(Box::new(MethodPlayer { method: self, settings }))
    }
}

struct MethodPlayer<'a> {
    method: &'a Method,
    settings: Settings,
}

impl MethodPlayer<'_> {
    /// The ask with this run's settings. Where what is left is less than a whole trial, trials are as long as it lasts.
    fn settled(&self, ask: &Ask<'_>) -> Settings {
        let mut settings = self.settings.clone();
        if let (Some(wanted), Some(usual)) = (settings.examples, ask.settings.examples) {
            settings.examples = Some(wanted.min(usual));
        }
        settings
    }
}

impl Player for MethodPlayer<'_> {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Step, Fault> {
        let settings = self.settled(ask);
        let mut ask = *ask;
        ask.settings = &settings;
        ask.history = self.method.agents.history(ask.space);
        Ok(self.method.searcher.ask(&ask))
    }

    fn answer(&mut self, question: &Question) -> Result<String, Fault> {
        match &self.method.agents.responder {
            Some(responder) => responder.answer(question, self.settings.seed),
            None => Err(Fault::new("no model answers the method's questions")
                .hint("name one with --agent-model, or a file of replies with --replies")),
        }
    }

    fn recommend(&mut self, ask: &Ask<'_>) -> Result<Option<Plan>, Fault> {
        let mut ask = *ask;
        ask.settings = &self.settings;
        Ok(self.method.searcher.recommend(&ask).map(|r| r.plan))
    }
}

/// Makes runs of an outside optimiser.
pub trait PeerFactory: Send + Sync {
    /// The name in tables and results.
    fn name(&self) -> &str;

    /// Begins one run.
    fn start<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Peer + 'a>, Fault>;
}

/// An outside optimiser in one run. It is asked and told in turn, one plan at a time.
pub trait Peer {
    /// The next plan; `None` when it has nothing left to propose.
    fn ask(&mut self) -> Result<Option<Plan>, Fault>;

    /// What became of the plan: its mean score over the trial's examples; `None` where it is outside the space, the plan
    /// budget or what is left to spend.
    fn tell(&mut self, plan: &Plan, score: Option<f64>) -> Result<(), Fault>;
}

/// An outside optimiser as a contestant. It recommends the plan of its best noisy score, as is usual.
pub struct Outside<F>(
    /// Where its runs come from.
    pub F,
    /// On how many examples its trials run: [`Sizes::BestOf`], or a fixed number.
    pub Sizes,
);

impl<F: PeerFactory> Contestant for Outside<F> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn is_outside(&self) -> bool {
        true
    }

    fn sizes(&self) -> Sizes {
        self.1
    }

    fn enter<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Player + 'a>, Fault> {
        Ok(Box::new(PeerPlayer { name: self.0.name().to_owned(), peer: self.0.start(entry)?, told: 0 }))
    }
}

struct PeerPlayer<'a> {
    name: String,
    peer: Box<dyn Peer + 'a>,
    /// Trials of the archive that the peer was told of.
    told: usize,
}

impl PeerPlayer<'_> {
    fn tell(&mut self, archive: &Archive) -> Result<(), Fault> {
        for trial in archive.trials.iter().skip(self.told) {
            let score = match &trial.state {
                TrialState::Measured(m) => Some(m.objective.mean),
                TrialState::Pending | TrialState::Abandoned(_) => None,
            };
            self.peer.tell(&trial.plan, score)?;
        }
        self.told = archive.trials.len();
        Ok(())
    }
}

impl Player for PeerPlayer<'_> {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Step, Fault> {
        self.tell(ask.archive)?;
        Ok(match self.peer.ask()? {
            Some(plan) => Step::Propose {
                guidelines: Vec::new(),
                proposals: vec![Proposal::new(plan, &self.name, "proposed by the peer")],
            },
            None => Step::Finished("the peer has nothing left to propose".to_owned()),
        })
    }

    fn answer(&mut self, _: &Question) -> Result<String, Fault> {
        Err(Fault::new("a peer asks no questions"))
    }

    fn recommend(&mut self, ask: &Ask<'_>) -> Result<Option<Plan>, Fault> {
        Ok(ask.archive.best().map(|best| best.plan.clone()))
    }
}
