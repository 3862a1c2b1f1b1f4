//! Embedded models whose files are read when they are first needed.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use agenttts_core::{ModelIdentity, Request, Usage};
use async_trait::async_trait;

use super::model_file::{changed, check_memory};
use super::{Embedded, EmbeddedOptions, revision};
use crate::registry::{Found, file_sha256};
use crate::{Call, Model, ModelError, ModelErrorKind, PromptTokens, Reply};

/// A model file that is read at the first draw or the first count of a prompt; its identity is known before.
pub struct LazyEmbedded {
    identity: ModelIdentity,
    load: Arc<Load>,
}

struct Load {
    file: Found,
    options: EmbeddedOptions,
    loaded: OnceLock<Result<Embedded, ModelError>>,
}

impl LazyEmbedded {
    /// The model of a file. Hashes the file, once: the hash is cached beside it.
    pub fn new(file: Found, context: Option<u32>, memory: Option<u64>) -> Result<Self, ModelError> {
        check_memory(&file.facts, context, memory)
            .map_err(|error| ModelError { message: format!("{}: {}", file.name, error.message), ..error })?;
        let hash = file_sha256(&file.path).map_err(|error| unreadable(&file.path, &error))?;
        let identity =
            ModelIdentity { model: format!("embedded:{}", file.name), revision: revision(&file.facts, &hash) };
        let options = EmbeddedOptions { name: Some(file.name.clone()), context, memory };
        Ok(LazyEmbedded { identity, load: Arc::new(Load { file, options, loaded: OnceLock::new() }) })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::new(ModelErrorKind::BadFile, format!("{} cannot be read: {error}", path.display()))
        .hint("check the path, or fetch the model again with `agenttts models pull`")
}

impl Load {
    /// The opened model; may take a second the first time.
    fn get(&self, identity: &ModelIdentity) -> Result<&Embedded, ModelError> {
        let loaded = self.loaded.get_or_init(|| {
            let model = Embedded::open(&self.file.path, self.options.clone())?;
            if model.identity() != identity {
                return Err(changed(&self.file.path));
            }
            Ok(model)
        });
        loaded.as_ref().map_err(Clone::clone)
    }
}

#[async_trait]
impl Model for LazyEmbedded {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        self.load.get(&self.identity)?.prompt_tokens(request)
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        if self.load.loaded.get().is_none() {
            let (load, identity) = (Arc::clone(&self.load), self.identity.clone());
            // Reading it must not hold up other calls; its error is met again below.
            let _ = tokio::task::spawn_blocking(move || load.get(&identity).err()).await;
        }
        match self.load.get(&self.identity) {
            Ok(model) => model.draw(call).await,
            Err(error) => Reply::failed(call.n, error, Usage::default()),
        }
    }
}
