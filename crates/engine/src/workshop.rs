//! The models of a pipeline, connected.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use agenttts_core::pipeline::Facts;
use agenttts_core::{Decoding, Enforced, Message, ModelIdentity, ModelSpec, Pipeline, Request, Temperature};
use agenttts_models::registry::Registry;
use agenttts_models::{Call, ConnectOptions, Model, ModelError, Outage, connect};
use agenttts_search::History;

use crate::code::Code;
use crate::error::EngineError;
use crate::load::{FactsLookup, Loaded};
use crate::steps::Steps;
use crate::streams::Purpose;
use crate::tape::{self, Tape};

/// Where models come from.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// The folder of embedded models.
    pub models_dir: PathBuf,
    /// How models are connected.
    pub options: ConnectOptions,
    /// The tape that plays all models, where one does.
    tape: Option<Arc<Tape>>,
    /// Whether generated code runs even where the system cannot hold it.
    allow_weak_sandbox: bool,
}

impl Workshop {
    /// Embedded models from a folder, keys from the environment.
    pub fn new(models_dir: PathBuf) -> Self {
        let options = ConnectOptions::default().with_registry(Registry::open(&models_dir));
        Workshop { models_dir, options, tape: None, allow_weak_sandbox: false }
    }

    /// The same, but all models are played from a tape: nothing is called, and draws that are not on the tape are errors.
    #[must_use]
    pub fn with_tape(mut self, tape: Arc<Tape>) -> Self {
        self.tape = Some(tape);
        self
    }

    /// The same, but generated code runs even where the system cannot hold it: for code that is trusted.
    #[must_use]
    pub fn allow_weak_sandbox(mut self, allow: bool) -> Self {
        self.allow_weak_sandbox = allow;
        self
    }

    /// What runs the code that models write, with what this system holds of it; `None` for pipelines without such code.
    ///
    /// # Errors
    /// Where the code cannot run here, or would not be held well enough.
    pub(crate) async fn code(&self, pipeline: &Pipeline) -> Result<Option<(Arc<Code>, Enforced)>, EngineError> {
        if !pipeline.runs_code() {
            return Ok(None);
        }
        let code = Code::new(self.allow_weak_sandbox)?;
        let enforced = code.probe().await?;
        Ok(Some((Arc::new(code), enforced)))
    }

    /// Looks up what an embedded model's file says of it.
    pub fn facts(&self) -> Box<FactsLookup> {
        if let Some(tape) = self.tape.clone() {
            return Box::new(move |id| tape.snapshot.facts.get(id).copied());
        }
        let registry = Registry::open(&self.models_dir);
        Box::new(move |id| {
            let found = registry.find(id).ok()?;
            Some(Facts { params: found.non_embedding_params(), shape: found.shape(), context: found.facts.context })
        })
    }

    /// Connects all models of a pipeline. Nothing is sent and no weights are loaded yet.
    pub fn connect(&self, pipeline: &Pipeline) -> Result<ModelSet, EngineError> {
        if let Some(tape) = &self.tape {
            return tape::connect(tape, pipeline);
        }
        let connected = connect(&pipeline.providers, &pipeline.models, &self.options)?;
        let models = pipeline.models.iter().filter_map(|spec| {
            let model = connected.get(&spec.name)?.clone();
            Some((spec.name.clone(), Connected { spec: spec.clone(), model }))
        });
        Ok(ModelSet { models: models.collect(), tape: None })
    }

    /// The steps of a pipeline, ready to run. Nothing is started yet.
    pub(crate) fn steps(&self, loaded: &Loaded) -> Result<Steps, EngineError> {
        match &self.tape {
            Some(tape) => Steps::taped(&loaded.pipeline, tape.steps.clone()),
            None => Steps::live(loaded),
        }
    }

    /// The earlier study that the tape's own study learned from, where it did.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn earlier(&self) -> Result<Option<(String, History)>, EngineError> {
        self.tape.as_ref().and_then(|tape| tape.studied.as_ref()?.earlier.as_ref()).map(tape::Earlier::read).transpose()
    }

    /// Checks that the programs of a pipeline's steps are there. Nothing is started.
    ///
    /// # Errors
    /// Programs that are not there.
    pub fn check_steps(&self, loaded: &Loaded) -> Result<(), EngineError> {
        self.steps(loaded).map(drop)
    }
}

/// All models of a pipeline, by name.
#[derive(Clone, Default)]
pub struct ModelSet {
    models: HashMap<String, Connected>,
    /// The tape that plays them, where one does.
    tape: Option<Arc<Tape>>,
}

/// A model with what the pipeline says of it.
#[derive(Clone)]
pub struct Connected {
    /// What the pipeline says.
    pub spec: ModelSpec,
    /// The model.
    pub model: Arc<dyn Model>,
}

impl ModelSet {
    /// Models of which samples are only looked up.
    pub(crate) fn stored(models: HashMap<String, Connected>) -> Self {
        ModelSet { models, tape: None }
    }

    /// The tape that plays them, where one does.
    pub(crate) fn tape(&self) -> Option<&Tape> {
        self.tape.as_deref()
    }

    /// Models that a tape plays.
    pub(crate) fn played(models: HashMap<String, Connected>, tape: Arc<Tape>) -> Self {
        ModelSet { models, tape: Some(tape) }
    }

    /// Whether a tape plays them.
    pub(crate) fn is_recorded(&self) -> bool {
        self.tape.is_some()
    }

    /// Whether there are other draws of a request than its first ones, and replies to an agent's questions: not on the
    /// tape of a grid, which has one stream.
    pub(crate) fn has_streams(&self) -> bool {
        self.tape.as_ref().is_none_or(|tape| tape.studied.is_some())
    }

    /// How many draws of a request the bank held when the study of the tape began: it paid for none of them.
    pub(crate) fn there_before(&self, model: &str, request: &Request, purpose: Purpose) -> u32 {
        self.tape.as_ref().map_or(0, |tape| tape.there_before(model, request, purpose))
    }

    /// Which weights every model has, by name.
    pub fn identities(&self) -> BTreeMap<String, ModelIdentity> {
        self.models.iter().map(|(name, c)| (name.clone(), c.model.identity().clone())).collect()
    }

    /// A model of each provider that is down, with its outage.
    pub(crate) fn outages(&self) -> Vec<(&Connected, Outage)> {
        let mut down: Vec<(&Connected, Outage)> = Vec::new();
        for connected in self.models.values() {
            let known = |(c, _): &(&Connected, Outage)| c.spec.provider == connected.spec.provider;
            if let Some(outage) = connected.model.outage().filter(|_| !down.iter().any(known)) {
                down.push((connected, outage));
            }
        }
        down
    }

    /// The model of that name.
    pub fn get(&self, name: &str) -> Result<&Connected, EngineError> {
        self.models.get(name).ok_or_else(|| {
            EngineError::input(format!("there is no model {name:?}"), "the plan names a model that the pipeline lacks")
        })
    }
}

/// What a model said to a probe.
#[derive(Debug)]
pub struct Probe {
    /// The model's name.
    pub model: String,
    /// Its provider's name.
    pub provider: String,
    /// The reply, or why there is none.
    pub result: Result<ProbeReply, ModelError>,
}

/// A reply to a probe.
#[derive(Debug)]
pub struct ProbeReply {
    /// What it said.
    pub text: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens decoded.
    pub decode_tokens: u32,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Asks every model of the pipeline for a few tokens, or for an embedding where that is its job: does it answer at all?
pub async fn probe(pipeline: &Pipeline, models: &ModelSet) -> Vec<Probe> {
    let request = Request {
        messages: vec![Message::user("Reply with the single word: ready")],
        decoding: Decoding {
            temperature: Temperature::GREEDY,
            top_p: None,
            max_tokens: 8,
            stop: Vec::new(),
            constraint: None,
        },
    };
    let embedding = Request::embedding("ready");
    let embedders: Vec<&str> = pipeline.embedders().collect();
    let mut probes = Vec::new();
    for spec in &pipeline.models {
        let Ok(connected) = models.get(&spec.name) else { continue };
        let embeds = embedders.contains(&spec.name.as_str());
        let request = if embeds { &embedding } else { &request };
        let start = Instant::now();
        let mut reply = connected.model.draw(Call::new(request, 1, 1)).await;
        let seconds = start.elapsed().as_secs_f64();
        let result = match reply.draws.pop() {
            Some(draw) => draw.map(|d| ProbeReply {
                text: if embeds { "(an embedding)".into() } else { d.text },
                prompt_tokens: d.prompt_tokens,
                decode_tokens: d.decode_tokens,
                seconds,
            }),
            None => Err(ModelError::new(agenttts_models::ModelErrorKind::BadReply, "the reply was empty")),
        };
        probes.push(Probe { model: spec.name.clone(), provider: spec.provider.clone(), result });
    }
    probes
}
