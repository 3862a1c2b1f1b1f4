//! `n` samples from as many calls as the provider needs.
//!
//! Whatever the split, draw `j` is asked for with `first_seed + j`: a server that derives choice `j` of a call from
//! `seed + j`, as vLLM and llama.cpp do, gives the same draws however they are grouped.

use std::ops::Range;

use agenttts_core::{Draw, Usage};
use futures::future::join_all;

use super::call::{Answer, Ask, Called, Refusal, call};
use super::model::OpenaiModel;
use super::quirks::Warning;
use crate::{Call, ModelError, ModelErrorKind, Reply, Toll};

/// Samples that one call asks for, and how often they came back unusable.
#[derive(Clone, Debug)]
struct Chunk {
    draws: Range<u32>,
    failures: u32,
    /// The most samples that a call of its split may hold; 0 = no limit known.
    at_most: u32,
}

/// What has been drawn so far.
struct Progress {
    slots: Vec<Option<Result<Draw, ModelError>>>,
    queue: Vec<Chunk>,
    billed: Usage,
    warnings: Vec<String>,
    fingerprint: Option<String>,
    id: Option<String>,
    model: Option<String>,
    /// A limit on `n` that the provider named or that was guessed; learnt once a call within it succeeds.
    refused_above: Option<u32>,
}

pub(super) async fn draw(model: &OpenaiModel, asked: Call<'_>, toll: &dyn Toll) -> Reply {
    let mut progress = Progress {
        slots: (0..asked.n).map(|_| None).collect(),
        queue: split(0..asked.n, model.quirks.most_choices(), 0),
        billed: Usage::default(),
        warnings: Vec::new(),
        fingerprint: None,
        id: None,
        model: None,
        refused_above: None,
    };
    while !progress.queue.is_empty() {
        let calls = progress.queue.drain(..).map(async |chunk| {
            let seed = asked.first_seed.wrapping_add(chunk.draws.start);
            let ask = Ask {
                request: asked.request,
                n: chunk.draws.len() as u32,
                seed,
                on_text: asked.listener(),
                trace: asked.trace,
            };
            let called = call(model, ask, toll).await;
            (chunk, called)
        });
        for (chunk, called) in join_all(calls).await {
            progress.take(model, chunk, called);
        }
    }
    let never = || ModelError::new(ModelErrorKind::BadReply, format!("{}: a sample was not drawn", model.subject()));
    Reply {
        draws: progress.slots.into_iter().map(|slot| slot.unwrap_or_else(|| Err(never()))).collect(),
        billed: progress.billed,
        warnings: progress.warnings,
        fingerprint: progress.fingerprint,
        response_id: progress.id,
        response_model: progress.model,
    }
}

/// Cuts a range into chunks of at most `most`.
fn split(draws: Range<u32>, most: Option<u32>, failures: u32) -> Vec<Chunk> {
    let step = most.unwrap_or(u32::MAX).max(1);
    let mut chunks = Vec::new();
    let mut start = draws.start;
    while start < draws.end {
        let end = start.saturating_add(step).min(draws.end);
        chunks.push(Chunk { draws: start..end, failures, at_most: most.unwrap_or(0) });
        start = end;
    }
    chunks
}

impl Progress {
    fn take(&mut self, model: &OpenaiModel, chunk: Chunk, called: Called) {
        self.billed += called.billed;
        self.warnings.extend(called.warnings);
        match called.outcome {
            Ok(answer) => self.fill(model, chunk, answer),
            Err(Refusal::AtMost(most, error)) => {
                let most = most.min(chunk.draws.len() as u32 - 1);
                if most == 0 {
                    self.fail(chunk.draws, &error);
                } else {
                    let most = self.refused_above.map_or(most, |known| known.min(most));
                    self.refused_above = Some(most);
                    self.queue.extend(split(chunk.draws, Some(most), chunk.failures));
                }
            }
            Err(Refusal::Failed(error)) => self.fail(chunk.draws, &error),
        }
    }

    fn fail(&mut self, draws: Range<u32>, error: &ModelError) {
        for j in draws {
            self.slots[j as usize] = Some(Err(error.clone()));
        }
    }

    fn fill(&mut self, model: &OpenaiModel, chunk: Chunk, answer: Answer) {
        let asked = chunk.draws.len() as u32;
        let received = u32::try_from(answer.choices.len()).unwrap_or(u32::MAX);
        let mut limit = self.refused_above.take();
        if received < asked {
            limit = Some(limit.map_or(received, |limit| limit.min(received)));
        }
        if let Some(most) = limit {
            model.quirks.at_most(most);
            if model.quirks.first_time(Warning::FewerChoices) {
                self.warnings.push(format!(
                    "{} serves at most {most} of n samples in one call: they are drawn in several calls, each of \
                     which pays for the prompt (set the provider's `max_n = {most}` to say so from the start)",
                    model.subject()
                ));
            }
        }
        self.fingerprint = self.fingerprint.take().or(answer.fingerprint);
        self.id = self.id.take().or(answer.id);
        self.model = self.model.take().or(answer.model);
        let prompt_shared_by = if received < asked { received } else { chunk.at_most };
        for (j, choice) in chunk.draws.clone().zip(answer.choices) {
            match choice {
                Ok(choice) => {
                    self.slots[j as usize] = Some(Ok(Draw {
                        text: choice.text,
                        finish: choice.finish,
                        prompt_tokens: answer.prompt_tokens,
                        decode_tokens: choice.decode_tokens,
                        latency_us: answer.latency_us,
                        prompt_shared_by,
                    }));
                }
                Err(_) if chunk.failures < model.provider.retries => {
                    self.queue.push(Chunk {
                        draws: j..j + 1,
                        failures: chunk.failures + 1,
                        at_most: model.quirks.most_choices().unwrap_or(0),
                    });
                }
                Err(why) => {
                    let message = format!("{}: {}", model.subject(), model.provider.redact(&why));
                    self.slots[j as usize] = Some(Err(ModelError::new(ModelErrorKind::BadReply, message)));
                }
            }
        }
        if received < asked {
            let rest = chunk.draws.start + received..chunk.draws.end;
            self.queue.extend(split(rest, model.quirks.most_choices(), chunk.failures));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_split_without_gaps() {
        let ranges = |n, most| split(0..n, most, 0).into_iter().map(|c| c.draws).collect::<Vec<_>>();
        assert_eq!(ranges(5, None), vec![0..5; 1]);
        assert_eq!(ranges(5, Some(2)), [0..2, 2..4, 4..5]);
        assert_eq!(ranges(0, Some(2)), []);
    }
}
