//! A model of an OpenAI-compatible provider.

use std::sync::Arc;

use agenttts_core::{Constraint, ModelIdentity, ModelSpec, Request};
use async_trait::async_trait;

use super::breaker::Open;
use super::failure::Failure;
use super::hedge::Hedge;
use super::provider::OpenaiProvider;
use super::quirks::Quirks;
use crate::{Call, Free, Model, ModelError, ModelErrorKind, Outage, PromptTokens, Reply, Toll};

/// A model behind an OpenAI-compatible HTTP API.
#[derive(Debug)]
pub struct OpenaiModel {
    pub(super) provider: Arc<OpenaiProvider>,
    pub(super) id: String,
    pub(super) quirks: Quirks,
    pub(super) hedge: Hedge,
    identity: ModelIdentity,
}

impl OpenaiModel {
    pub(super) fn new(provider: Arc<OpenaiProvider>, spec: &ModelSpec) -> Self {
        let revision = match &spec.revision {
            Some(declared) => format!("{} {declared}", provider.base_url()),
            None => provider.base_url().to_owned(),
        };
        OpenaiModel {
            quirks: Quirks::new(provider.max_n),
            hedge: Hedge::new(provider.hedge),
            identity: ModelIdentity { model: format!("openai:{}", spec.id), revision },
            id: spec.id.clone(),
            provider,
        }
    }

    /// Takes in a failure that another answer to the same call made up for.
    pub(super) fn overheard(&self, failure: &Failure) {
        self.provider.breaker.heard(Some(failure));
        if let (ModelErrorKind::RateLimited, Some(wait)) = (failure.kind, failure.retry_after) {
            self.quirks.pause(wait.min(self.provider.policy.longest_retry_after));
        }
    }

    /// How messages name this model.
    pub(super) fn subject(&self) -> String {
        format!("model {:?} of {}", self.id, self.provider.subject())
    }
}

#[async_trait]
impl Model for OpenaiModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        Ok(PromptTokens::AtMost(prompt_bound(request)))
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        super::draw::draw(self, call, &Free).await
    }

    async fn draw_paid(&self, call: Call<'_>, toll: &dyn Toll) -> Reply {
        super::draw::draw(self, call, toll).await
    }

    fn outage(&self) -> Option<Outage> {
        let Open { for_so_long, retry_in, answered } = self.provider.breaker.open()?;
        Some(Outage { for_so_long, retry_in, answered })
    }

    /// Any answer to `GET /models` is a sign of life, even that there is no such thing.
    async fn revive(&self) -> bool {
        let alive = match self.provider.list_models().await {
            Ok(_) => true,
            Err(error) => !error.kind.may_be_outage(),
        };
        match alive {
            true => self.provider.breaker.half_open(),
            false => self.provider.breaker.heard(Some(&Failure::new(ModelErrorKind::Unreachable, "no sign of life"))),
        }
        alive
    }

    fn prompt_shared_by(&self) -> u32 {
        self.quirks.most_choices().unwrap_or(0)
    }
}

/// An upper bound of a prompt's tokens: a token has at least one byte. Allowed on top are 16 tokens a message for
/// the chat template and 128 for a system prompt that the template adds of itself; a JSON Schema counts with its
/// bytes, since some providers write it into the prompt.
pub(super) fn prompt_bound(request: &Request) -> u32 {
    const PER_MESSAGE: usize = 16;
    const PER_PROMPT: usize = 128;
    let schema = match &request.decoding.constraint {
        Some(Constraint::JsonSchema(schema)) => schema.to_string().len(),
        _ => 0,
    };
    let bound = request.prompt_bytes() + request.messages.len() * PER_MESSAGE + PER_PROMPT + schema;
    u32::try_from(bound).unwrap_or(u32::MAX)
}
