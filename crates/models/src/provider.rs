//! From what a pipeline file says of providers and models to models that can be drawn from.

use std::collections::HashMap;
use std::fmt;
#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "embedded")]
use std::sync::{Mutex, Weak};

use agenttts_core::{ModelSpec, ProviderKind, ProviderSpec};

use crate::fake::FakeModel;
use crate::nearest::nearest_first;
use crate::openai::OpenaiProvider;
use crate::registry::Registry;
#[cfg(feature = "embedded")]
use crate::registry::RegistryError;
use crate::retry::RetryPolicy;
use crate::{Model, ModelError, ModelErrorKind};

/// Looks up a variable of the environment.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Makes the models of one embedded provider. A hook, so that programs without the engine, and tests, can put
/// something else in its place.
pub type EmbeddedFactory = Arc<dyn Fn(&ProviderSpec, &ModelSpec) -> Result<Arc<dyn Model>, ModelError> + Send + Sync>;

/// How models are connected.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Where API keys are looked up; the process's environment by default.
    pub env: Env,
    /// How long to wait between attempts.
    pub retry: RetryPolicy,
    /// What makes embedded models; `None` in a build without the engine. See [`ConnectOptions::with_registry`].
    pub embedded: Option<EmbeddedFactory>,
}

impl ConnectOptions {
    /// Takes embedded models from a registry, or from files by their paths. Changes nothing in a build without the
    /// engine, in which embedded models are refused.
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.embedded = embedded_from(registry);
        self
    }
}

/// A model's file, its context, and the memory of all.
#[cfg(feature = "embedded")]
type Place = (PathBuf, Option<u32>, Option<u64>);

#[cfg(feature = "embedded")]
fn embedded_from(registry: Registry) -> Option<EmbeddedFactory> {
    // Two pipelines that use one file share its weights while both are there.
    let loaded: Mutex<HashMap<Place, Weak<crate::LazyEmbedded>>> = Mutex::default();
    Some(Arc::new(move |provider, spec| {
        let file = registry.find(&spec.id).map_err(|error| {
            let kind = match error {
                RegistryError::Unknown { .. } => ModelErrorKind::UnknownModel,
                _ => ModelErrorKind::BadFile,
            };
            ModelError::new(kind, format!("model {:?}: {error}", spec.name)).hint(error.hint())
        })?;
        let mut loaded = loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let memory = provider.memory_mb.map(|mb| u64::from(mb) << 20);
        let place = (file.path.clone(), spec.context, memory);
        if let Some(shared) = loaded.get(&place).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let new = Arc::new(crate::LazyEmbedded::new(file, spec.context, memory)?);
        loaded.insert(place, Arc::downgrade(&new));
        Ok(new)
    }))
}

#[cfg(not(feature = "embedded"))]
fn embedded_from(_: Registry) -> Option<EmbeddedFactory> {
    None
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions { env: Arc::new(|name| std::env::var(name).ok()), retry: RetryPolicy::default(), embedded: None }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("retry", &self.retry)
            .field("embedded", &self.embedded.is_some())
            .finish_non_exhaustive()
    }
}

/// Connects the models of a pipeline, by their names. Models of one provider share its connections and limits;
/// providers that no model uses are left alone (their keys need not be set).
///
/// Nothing is sent and no weights are loaded yet. Errors for a missing key, an unusable address, an unknown fake, an
/// embedded model that has not been pulled, and a model whose provider is not declared.
pub fn connect(
    providers: &[ProviderSpec],
    models: &[ModelSpec],
    options: &ConnectOptions,
) -> Result<HashMap<String, Arc<dyn Model>>, ModelError> {
    let mut openai: HashMap<&str, Arc<OpenaiProvider>> = HashMap::new();
    let mut connected: HashMap<String, Arc<dyn Model>> = HashMap::new();
    for spec in models {
        let provider = providers
            .iter()
            .find(|provider| provider.name == spec.provider)
            .ok_or_else(|| unknown_provider(spec, providers))?;
        let model: Arc<dyn Model> = match &provider.kind {
            ProviderKind::Fake => Arc::new(FakeModel::new(spec)?),
            ProviderKind::Openai(address) => {
                let shared = match openai.get(provider.name.as_str()) {
                    Some(shared) => shared,
                    None => {
                        let new = OpenaiProvider::new(provider, address, options)?;
                        openai.entry(&provider.name).or_insert(new)
                    }
                };
                Arc::new(shared.model(spec))
            }
            ProviderKind::Embedded => match &options.embedded {
                Some(factory) => factory(provider, spec)?,
                None => return Err(no_engine(spec)),
            },
        };
        connected.insert(spec.name.clone(), model);
    }
    Ok(connected)
}

fn unknown_provider(spec: &ModelSpec, providers: &[ProviderSpec]) -> ModelError {
    let names = providers.iter().map(|provider| provider.name.clone()).collect();
    let error = ModelError::new(
        ModelErrorKind::UnknownModel,
        format!("model {:?}: no provider is called {:?}", spec.name, spec.provider),
    );
    match nearest_first(&spec.provider, names).as_slice() {
        [] => error.hint("declare the provider in the pipeline file"),
        names => error.hint(format!("declared providers: {}", names.join(", "))),
    }
}

fn no_engine(spec: &ModelSpec) -> ModelError {
    ModelError::new(
        ModelErrorKind::Engine,
        format!("model {:?} is an embedded one, and this program was built without the embedded engine", spec.name),
    )
    .hint("build with `--features embedded` (needs cmake, a C++ compiler and libclang), or serve the model over HTTP")
}

#[cfg(test)]
mod tests {
    use agenttts_core::OpenaiSpec;

    use super::*;

    fn provider(name: &str, kind: ProviderKind) -> ProviderSpec {
        ProviderSpec { name: name.into(), kind, concurrency: 4, memory_mb: None }
    }

    fn openai(key: Option<&str>) -> ProviderKind {
        ProviderKind::Openai(OpenaiSpec {
            base_url: "http://127.0.0.1:9/v1/".into(),
            api_key_env: key.map(str::to_owned),
            requests_per_minute: None,
            tokens_per_minute: None,
            timeout_seconds: 5,
            retries: 0,
            max_n: Some(3),
            adaptive: true,
            hedge: None,
        })
    }

    #[test]
    fn models_are_connected_by_name_and_known_before_the_first_call() {
        let providers = [provider("f", ProviderKind::Fake), provider("s", openai(None))];
        let mut served = ModelSpec::named("large", "s", "org/large");
        served.revision = Some("r7".into());
        let connected =
            connect(&providers, &[ModelSpec::named("small", "f", "p70"), served], &ConnectOptions::default()).unwrap();
        assert_eq!(connected["small"].identity().model, "fake:p70");
        let large = &connected["large"];
        assert_eq!(large.identity().model, "openai:org/large");
        assert_eq!(large.identity().revision, "http://127.0.0.1:9/v1 r7");
        assert_eq!(large.prompt_shared_by(), 3);
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_hint() {
        let providers = [
            provider("f", ProviderKind::Fake),
            provider("e", ProviderKind::Embedded),
            provider("cloud", openai(Some("AGENTTTS_TEST_UNSET"))),
        ];
        let refused = |spec: ModelSpec| {
            let options = ConnectOptions { env: Arc::new(|_| None), ..ConnectOptions::default() };
            let Err(error) = connect(&providers, &[spec], &options) else { panic!("connected") };
            assert!(error.hint.is_some(), "{error}");
            (error.kind, format!("{error} {:?}", error.hint))
        };
        assert_eq!(refused(ModelSpec::named("m", "f", "p7O")).0, ModelErrorKind::UnknownModel);
        assert!(refused(ModelSpec::named("m", "clod", "x")).1.contains("providers: cloud"));
        assert!(refused(ModelSpec::named("m", "cloud", "x")).1.contains("AGENTTTS_TEST_UNSET"));
        assert!(refused(ModelSpec::named("m", "e", "smollm2")).1.contains("--features embedded"));
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn an_embedded_model_that_is_not_here_is_refused_with_the_way_to_get_it() {
        let dir = tempfile::tempdir().unwrap();
        let options = ConnectOptions::default().with_registry(Registry::open(dir.path()));
        let refused = |id: &str| {
            let providers = [provider("e", ProviderKind::Embedded)];
            let Err(error) = connect(&providers, &[ModelSpec::named("m", "e", id)], &options) else {
                panic!("connected")
            };
            (error.kind, error.hint.unwrap())
        };
        let known = crate::registry::KNOWN[0].name;
        let (kind, hint) = refused(known);
        assert_eq!(kind, ModelErrorKind::BadFile);
        assert!(hint.contains(&format!("models pull {known}")), "{hint}");
        assert_eq!(refused("no-such-model").0, ModelErrorKind::UnknownModel);
        let broken = dir.path().join("broken.gguf");
        std::fs::write(&broken, b"no model").unwrap();
        assert_eq!(refused(broken.to_str().unwrap()).0, ModelErrorKind::BadFile);
    }

    #[test]
    fn a_key_that_no_model_needs_may_be_missing() {
        let providers = [provider("f", ProviderKind::Fake), provider("cloud", openai(Some("AGENTTTS_TEST_UNSET")))];
        let options = ConnectOptions { env: Arc::new(|_| None), ..ConnectOptions::default() };
        assert!(connect(&providers, &[ModelSpec::named("m", "f", "p70")], &options).is_ok());
    }
}
