//! The language model of `agenttts bench`, for methods that ask one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use agenttts_bench::{AgentModel, Agents, Drawn, Fault, Question, Replies, earlier_study, open};
use agenttts_core::{Constraint, Decoding, ModelSpec, ProviderKind, ProviderSpec, Purpose, Request, Temperature};
use agenttts_models::{Call, Model, connect};
use tokio::runtime::Handle;

use crate::args::AgentArgs;
use crate::context::Context;
use crate::failure::Failure;

/// What methods that ask a model have in this comparison. Call it within the runtime: runs ask from threads of their own.
pub(super) fn agents(context: &Context, args: &AgentArgs) -> Result<Agents, Failure> {
    let histories = if args.history.is_empty() {
        Vec::new()
    } else {
        open(&args.history)?.iter().map(|arena| earlier_study(arena, HISTORY_SEED)).collect()
    };
    let mut agents = Agents { responder: None, histories: Arc::new(histories) };
    let model = args.agent_model.as_deref().map(|name| connected(context, name)).transpose()?;
    match (&args.replies, model) {
        (None, None) => {}
        (None, Some(_)) => {
            return Err(Failure::Usage {
                message: "--agent-model needs a file that its replies go into".into(),
                hint: "name one with --replies FILE.jsonl; a comparison that has all its replies needs no model".into(),
            });
        }
        (Some(path), model) => {
            let model = model.map(|m| Box::new(m) as Box<dyn AgentModel>);
            agents.responder = Some(Arc::new(Replies::open(&PathBuf::from(path), model)?));
        }
    }
    Ok(agents)
}

/// Earlier studies have a seed that no run of a comparison has.
const HISTORY_SEED: u64 = u64::MAX;

/// As a study asks its agent.
const TEMPERATURE: Option<Temperature> = Temperature::from_thousandths(700);

/// The longest prompt and reply together, in tokens.
const CONTEXT: u32 = 8192;

struct Connected {
    name: String,
    model: Arc<dyn Model>,
    runtime: Handle,
}

/// A model by its pulled name or its file; `fake/...` is a stand-in.
fn connected(context: &Context, name: &str) -> Result<Connected, Failure> {
    let kind = if name.starts_with("fake/") { ProviderKind::Fake } else { ProviderKind::Embedded };
    let provider = ProviderSpec { name: "agent".into(), concurrency: kind.usual_concurrency(), kind, memory_mb: None };
    let spec = ModelSpec { context: Some(CONTEXT), ..ModelSpec::named(name, &provider.name, name) };
    let workshop = context.workshop()?;
    let models = connect(&[provider], &[spec], &workshop.options).map_err(agenttts_engine::EngineError::from)?;
    let model = models.get(name).cloned().ok_or_else(|| Failure::Internal("the agent's model is missing".into()))?;
    Ok(Connected { name: model.identity().model.clone(), model, runtime: Handle::current() })
}

impl AgentModel for Connected {
    fn name(&self) -> &str {
        &self.name
    }

    fn reply(&self, question: &Question, seed: u32) -> Result<Drawn, Fault> {
        let request = Request {
            messages: question.messages.clone(),
            decoding: Decoding {
                temperature: TEMPERATURE.unwrap_or(Temperature::GREEDY),
                top_p: None,
                max_tokens: max_tokens(question),
                stop: Vec::new(),
                constraint: Some(Constraint::JsonSchema(question.schema.clone())),
            },
        };
        let started = Instant::now();
        let call = Call::new(&request, 1, seed);
        let reply = self.runtime.block_on(self.model.draw(call));
        let seconds = started.elapsed().as_secs_f64();
        match reply.draws.into_iter().next() {
            Some(Ok(draw)) => Ok(Drawn {
                text: draw.text,
                seconds,
                prompt_tokens: draw.prompt_tokens.into(),
                decode_tokens: draw.decode_tokens.into(),
            }),
            Some(Err(error)) => {
                let fault = Fault::new(format!("the agent's model gave no reply: {error}"));
                Err(match error.hint {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                })
            }
            None => Err(Fault::new("the agent's model gave no reply")),
        }
    }
}

/// As a study limits its agent's replies: by the number of choices that it must write.
fn max_tokens(question: &Question) -> u32 {
    let plans = &question.schema["properties"]["plans"];
    let count = plans["minItems"].as_u64().unwrap_or(1);
    let stages = plans["items"]["properties"].as_object().map_or(1, serde_json::Map::len) as u64;
    match question.purpose {
        Purpose::Summarise => 400,
        Purpose::Propose => u32::try_from(64 + 48 * stages * count).unwrap_or(u32::MAX),
    }
}
