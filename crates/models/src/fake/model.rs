//! Fakes as models.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use agenttts_core::{Draw, ModelIdentity, ModelSpec, Request, RequestKey, Usage};
use async_trait::async_trait;

use super::name::{Behaviour, FakeName};
use crate::{Call, Model, ModelError, ModelErrorKind, PromptTokens, Reply, Toll};

/// The version of what fakes say, part of their revision: raised when the same request and seed give another text.
const VERSION: &str = "1";
const CAP: u32 = 4;

/// A fake model: see the [module](super) for the names.
#[derive(Debug)]
pub struct FakeModel {
    name: FakeName,
    identity: ModelIdentity,
    context: Option<u32>,
    warned: AtomicBool,
    /// What `fails-first` has failed already.
    failed: Mutex<HashSet<(RequestKey, u32)>>,
}

impl FakeModel {
    /// The fake that a model's `id` names.
    pub fn new(spec: &ModelSpec) -> Result<Self, ModelError> {
        let name = FakeName::parse(&spec.id)?;
        let revision = spec.revision.as_ref().map_or(VERSION.to_owned(), |declared| format!("{VERSION} {declared}"));
        Ok(FakeModel {
            identity: ModelIdentity { model: format!("fake:{}", name.spelled), revision },
            name,
            context: spec.context,
            warned: AtomicBool::new(false),
            failed: Mutex::new(HashSet::new()),
        })
    }

    fn error(&self, kind: ModelErrorKind, what: &str) -> ModelError {
        ModelError::new(kind, format!("fake model {:?}: {what}", self.name.spelled))
    }

    /// How many samples share a prompt; 0 = all.
    fn cap(&self) -> u32 {
        match self.name.behaviour {
            Behaviour::IgnoresN => 1,
            Behaviour::CapsN => CAP,
            _ => 0,
        }
    }

    /// The failure that a whole call meets.
    fn failure(&self, call: &Call<'_>) -> Option<ModelError> {
        let prompt = FakeName::prompt_tokens(call.request);
        if let Some(context) = self.context
            && prompt.saturating_add(call.request.decoding.max_tokens) > context
        {
            let what = format!(
                "{prompt} prompt tokens and {} to decode do not fit into a context of {context}",
                call.request.decoding.max_tokens
            );
            return Some(self.error(ModelErrorKind::ContextOverflow, &what));
        }
        match self.name.behaviour {
            Behaviour::Down => Some(self.error(ModelErrorKind::Unreachable, "it is down, as its name says")),
            Behaviour::Unauthorised => Some(self.error(ModelErrorKind::Unauthorised, "it refuses every key")),
            _ => None,
        }
    }

    /// The failure of one sample.
    fn sample_failure(&self, request: &Request, seed: u32) -> Option<ModelError> {
        match self.name.behaviour {
            Behaviour::Flaky if request.key(&self.identity).seed(u64::from(seed), 0).is_multiple_of(10) => {
                Some(self.error(ModelErrorKind::Server, "this sample always fails"))
            }
            Behaviour::FailsFirst => {
                let mut failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                failed
                    .insert((request.key(&self.identity), seed))
                    .then(|| self.error(ModelErrorKind::RateLimited, "the first call for a sample fails"))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl Model for FakeModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError> {
        let tokens = FakeName::prompt_tokens(request);
        // As with a provider that may turn out to ignore `n`: whoever reserves must count the prompt once for each sample.
        let surely_shared = !matches!(self.name.behaviour, Behaviour::IgnoresN | Behaviour::CapsN);
        Ok(if surely_shared { PromptTokens::Exact(tokens) } else { PromptTokens::AtMost(tokens) })
    }

    async fn draw(&self, call: Call<'_>) -> Reply {
        if let Some(error) = self.failure(&call) {
            return Reply::failed(call.n, error, Usage { calls: 1, ..Usage::default() });
        }
        let slow = self.name.behaviour == Behaviour::Slow;
        if slow && call.listener().is_none() {
            tokio::time::sleep(self.name.wait).await;
        }
        let prompt_tokens = FakeName::prompt_tokens(call.request);
        let cap = self.cap();
        let prompts = if cap == 0 { 1 } else { u64::from(call.n.div_ceil(cap)) };
        let refused = u64::from(self.name.behaviour == Behaviour::RateLimitedOnce);
        let mut billed =
            Usage { prompt: prompts * u64::from(prompt_tokens), cached_prompt: 0, decode: 0, calls: prompts + refused };
        let draws: Vec<_> = (0..call.n)
            .map(|j| {
                let seed = call.first_seed.wrapping_add(j);
                if let Some(error) = self.sample_failure(call.request, seed) {
                    return Err(error);
                }
                let said = self.name.text(call.request, seed);
                billed.decode += u64::from(said.tokens);
                Ok(Draw {
                    text: said.text,
                    finish: said.finish,
                    prompt_tokens,
                    decode_tokens: said.tokens,
                    latency_us: self.latency_us(prompt_tokens, said.tokens),
                    prompt_shared_by: cap,
                })
            })
            .collect();
        if let (Some(hear), [Ok(Draw { text, .. })]) = (call.listener(), &draws[..]) {
            let words: Vec<&str> = text.split_inclusive(' ').collect();
            for word in &words {
                // A slow one takes its time over all words; the others give way at each, as a model that decodes does.
                match slow {
                    true => tokio::time::sleep(self.name.wait / words.len() as u32).await,
                    false => tokio::task::yield_now().await,
                }
                hear(word);
            }
        }
        let mut warnings = Vec::new();
        if cap > 0 && call.n > cap && !self.warned.swap(true, Ordering::Relaxed) {
            warnings.push(format!(
                "fake model {:?} serves at most {cap} of n samples in one call: every call pays for the prompt",
                self.name.spelled
            ));
        }
        Reply { draws, billed, warnings, ..Reply::default() }
    }

    async fn draw_paid(&self, call: Call<'_>, toll: &dyn Toll) -> Reply {
        let prompts = match self.prompt_tokens(call.request) {
            Ok(PromptTokens::Exact(_)) => 1,
            _ => call.n,
        };
        // The refused call and its retry are attempts of their own.
        let attempts = 1 + u32::from(self.name.behaviour == Behaviour::RateLimitedOnce);
        for attempt in 1..=attempts {
            if !toll.begin(prompts, call.n).await {
                let billed = Usage { calls: u64::from(attempt - 1), ..Usage::default() };
                return Reply::failed(call.n, ModelError::withheld(), billed);
            }
            if attempt < attempts {
                toll.end(prompts, call.n, Usage { calls: 1, ..Usage::default() });
            }
        }
        let reply = self.draw(call).await;
        toll.end(prompts, call.n, Usage { calls: reply.billed.calls - u64::from(attempts - 1), ..reply.billed });
        reply
    }

    fn prompt_shared_by(&self) -> u32 {
        if self.warned.load(Ordering::Relaxed) { self.cap() } else { 0 }
    }
}

impl FakeModel {
    /// 2 ms, 20 us a prompt token and 5 ms a decoded one; nothing is measured, so that runs repeat exactly.
    fn latency_us(&self, prompt: u32, decoded: u32) -> u64 {
        let waited = match self.name.behaviour {
            Behaviour::Slow => u64::try_from(self.name.wait.as_micros()).unwrap_or(u64::MAX),
            _ => 0,
        };
        2_000 + 20 * u64::from(prompt) + 5_000 * u64::from(decoded) + waited
    }
}

#[cfg(test)]
mod tests {
    use agenttts_core::{Decoding, Message, Temperature};

    use super::*;

    fn fake(id: &str) -> FakeModel {
        let mut spec: ModelSpec =
            serde_json::from_value(serde_json::json!({"name": id, "provider": "fake", "id": id})).unwrap();
        spec.context = Some(200);
        FakeModel::new(&spec).unwrap()
    }

    fn request() -> Request {
        Request {
            messages: vec![Message::user("2 + 2?\nanswer: 4")],
            decoding: Decoding {
                temperature: Temperature::new(0.9).unwrap(),
                top_p: None,
                max_tokens: 32,
                stop: vec![],
                constraint: None,
            },
        }
    }

    async fn draw(model: &FakeModel, n: u32, first_seed: u32) -> Reply {
        model.draw(Call::new(&request(), n, first_seed)).await
    }

    #[tokio::test]
    async fn samples_do_not_depend_on_how_they_are_grouped() {
        let model = fake("p50");
        let together = draw(&model, 6, 10).await;
        for (j, drawn) in together.draws.iter().enumerate() {
            assert_eq!(draw(&model, 1, 10 + j as u32).await.draws[0], *drawn);
        }
        let decoded: u32 = together.draws.iter().map(|d| d.as_ref().unwrap().decode_tokens).sum();
        assert_eq!(together.billed, Usage { prompt: 8, cached_prompt: 0, decode: decoded.into(), calls: 1 });
    }

    #[tokio::test]
    async fn texts_that_share_words_have_embeddings_near_each_other() {
        let model = fake("p50");
        let mut vectors: Vec<Vec<f32>> = Vec::new();
        for text in ["a game of chess", "chess: a game", "the weather of tomorrow"] {
            let reply = model.draw(Call::new(&Request::embedding(text), 1, 3)).await;
            vectors.push(serde_json::from_str(&reply.draws[0].as_ref().unwrap().text).unwrap());
            assert_eq!(reply.billed.decode, 0);
        }
        let near = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f32>();
        assert!(near(0, 1) > near(0, 2), "{vectors:?}");
    }

    #[tokio::test]
    async fn ignores_n_pays_for_every_prompt_and_says_so_once() {
        let model = fake("ignores-n");
        assert_eq!(model.prompt_shared_by(), 0);
        let reply = draw(&model, 3, 0).await;
        assert_eq!((reply.billed.prompt, reply.billed.calls, reply.warnings.len()), (24, 3, 1));
        assert!(reply.draws.iter().all(|d| d.as_ref().unwrap().prompt_shared_by == 1));
        assert_eq!(model.prompt_shared_by(), 1);
        assert_eq!(draw(&model, 3, 0).await.warnings.len(), 0);
    }

    #[tokio::test]
    async fn failures_are_errors_and_never_texts() {
        assert_eq!(draw(&fake("429-then-ok"), 2, 0).await.billed.calls, 2);
        let down = draw(&fake("down"), 2, 0).await;
        assert!(down.draws.iter().all(|d| d.as_ref().unwrap_err().kind == ModelErrorKind::Unreachable));
        let model = fake("fails-first");
        assert!(draw(&model, 2, 0).await.draws.iter().all(|d| d.is_err()));
        assert!(draw(&model, 2, 0).await.draws.iter().all(|d| d.is_ok()));
        let flaky = fake("flaky");
        let failed = draw(&flaky, 300, 0).await.draws.iter().filter(|d| d.is_err()).count();
        assert!((10..60).contains(&failed), "{failed} of 300");
    }

    #[tokio::test]
    async fn a_prompt_beyond_the_context_is_refused() {
        let mut long = request();
        long.decoding.max_tokens = 193;
        let reply = fake("p70").draw(Call::new(&long, 1, 0)).await;
        assert_eq!(reply.draws[0].as_ref().unwrap_err().kind, ModelErrorKind::ContextOverflow);
    }
}
