//! One model's context and the requests that are decoded together in it.
//!
//! A request's prompt is evaluated once on a sequence of its own; each sample is a sequence that shares the prompt's
//! cells and adds its own. Every step evaluates one batch: the last token of each running sample, then as much of the
//! waiting prompts as fits. Requests join while there is room, so different prompts decode side by side.
//!
//! Room is reserved for the worst case (prompt and `max_tokens` of every running sample), so a sample that was started
//! can always be finished. Prompts of finished requests are kept for a while: a new prompt that begins alike is
//! evaluated from where it differs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agenttts_core::{Draw, Finish, Usage};
use llama_cpp_2::token::LlamaToken;
use tokio::sync::{mpsc, oneshot};

use super::grammar::Grammar;
use super::kept::{Alike, KeptPrompts, LEAST_PREFIX, common_prefix};
use super::llama::{Batch, Context, ContextSize};
use super::model_file::ModelFile;
use super::sampler::{Sampler, Sampling};
use super::text::Assembler;
use crate::{ModelError, ModelErrorKind};

/// Sequences for samples, that is samples that decode together. On 2 cores 32 gave up to a tenth more tokens a second than 16 for
/// prompts of 128 tokens, and no difference for long ones (`examples/decoding.rs`); 64 were slower.
const SAMPLES: i32 = 32;
/// Sequences for prompts: of live requests, and kept ones.
const PROMPTS: i32 = 40;
const MOST_LIVE: usize = 16;
/// All sequences that a context needs.
pub(super) const SEQUENCES: u32 = (SAMPLES + PROMPTS) as u32;
/// Tokens of one batch.
pub(super) const BATCH: u32 = 512;

/// A request that waits for its samples.
pub(super) struct Job {
    pub(super) file: Arc<ModelFile>,
    /// The most bytes that all models of the process may take; see [`ModelFile::memory`].
    pub(super) memory: Option<u64>,
    pub(super) prompt: Vec<LlamaToken>,
    pub(super) sampling: Sampling,
    pub(super) grammar: Option<Grammar>,
    pub(super) stop: Vec<String>,
    pub(super) max_tokens: u32,
    pub(super) n: u32,
    pub(super) first_seed: u32,
    pub(super) started: Instant,
    /// Who hears the text of the one sample.
    pub(super) on_text: Option<mpsc::UnboundedSender<String>>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// What became of a job.
pub(super) struct Outcome {
    pub(super) draws: Vec<Result<Draw, ModelError>>,
    pub(super) billed: Usage,
}

/// What one evaluated batch took.
pub(super) struct Evaluated {
    pub(super) wall: Duration,
    pub(super) cpu: Option<Duration>,
}

/// A model's context with its requests.
pub(super) struct Slot {
    context: Context,
    batch: Batch,
    free_samples: Vec<i32>,
    free_prompts: Vec<i32>,
    waiting: VecDeque<Job>,
    live: Vec<Live>,
    kept: KeptPrompts,
}

struct Live {
    job: Job,
    sequence: i32,
    /// Whether its evaluation began, so that its common beginning with others is settled.
    begun: bool,
    /// Tokens of the prompt that are in the cache.
    evaluated: usize,
    /// Tokens of it in the present batch.
    pending: usize,
    /// Batch entry after which the prompt is complete.
    last_entry: Option<usize>,
    cached: usize,
    /// The distribution after the prompt, from which every sample's first token is drawn.
    logits: Option<Vec<f32>>,
    running: Vec<Running>,
    /// Samples begun so far.
    begun_samples: u32,
    draws: Vec<Option<Result<Draw, ModelError>>>,
    decoded: u64,
}

struct Running {
    index: u32,
    sequence: i32,
    sampler: Sampler,
    text: Assembler,
    last: LlamaToken,
    decoded: u32,
    entry: usize,
}

impl Slot {
    /// Loads the weights and makes a context for them.
    pub(super) fn new(file: &ModelFile, threads: u32) -> Result<Self, ModelError> {
        let context = Context::new(file.load_weights()?, file.size(), threads)
            .map_err(|message| ModelError::new(ModelErrorKind::Engine, message))?;
        Ok(Slot {
            context,
            batch: Batch::default(),
            free_samples: (0..SAMPLES).rev().collect(),
            free_prompts: (SAMPLES..SAMPLES + PROMPTS).rev().collect(),
            waiting: VecDeque::new(),
            live: Vec::new(),
            kept: KeptPrompts::new(file.size().cells as usize),
        })
    }

    pub(super) fn push(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    pub(super) fn busy(&self) -> bool {
        !self.waiting.is_empty() || !self.live.is_empty()
    }

    pub(super) fn set_threads(&mut self, threads: u32) {
        self.context.set_threads(threads);
    }

    /// Does one step for all requests; returns what evaluating its batch took, if there was one.
    pub(super) fn step(&mut self, measure: impl Fn(&mut dyn FnMut()) -> Evaluated) -> Option<Evaluated> {
        self.drop_cancelled();
        self.admit();
        self.start_samples();
        self.finish_requests();
        self.fill_batch();
        if self.batch.len() == 0 {
            return None;
        }
        let mut result = Ok(());
        let evaluated = measure(&mut || result = self.context.decode(&mut self.batch));
        match result {
            Ok(()) => self.take_results(),
            // No room although it was reserved: give up what is only kept, and repeat the batch in the next step.
            Err(1) if !self.kept.is_empty() => {
                while self.evict() {}
                self.live.iter_mut().for_each(Live::forget_batch);
            }
            Err(code) => self.fail_all(&format!("the engine failed to evaluate a batch (code {code})")),
        }
        self.finish_requests();
        Some(evaluated)
    }

    /// Fails everything that is under way; what waits stays.
    pub(super) fn fail_all(&mut self, message: &str) {
        let error = ModelError::new(ModelErrorKind::Engine, message);
        for mut live in std::mem::take(&mut self.live) {
            for draw in live.draws.iter_mut().filter(|d| d.is_none()) {
                *draw = Some(Err(error.clone()));
            }
            live.reply();
        }
        self.kept.clear();
        self.context.clear();
        self.free_samples = (0..SAMPLES).rev().collect();
        self.free_prompts = (SAMPLES..SAMPLES + PROMPTS).rev().collect();
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| !job.reply.is_closed());
        for live in self.live.extract_if(.., |live| live.job.reply.is_closed()) {
            for running in &live.running {
                self.context.forget(running.sequence);
                self.free_samples.push(running.sequence);
            }
            self.context.forget(live.sequence);
            self.free_prompts.push(live.sequence);
        }
    }

    /// Cells that are or may become used.
    fn reserved(&self) -> usize {
        self.kept.cells() + self.live.iter().map(Live::reserved).sum::<usize>()
    }

    fn cells(&self) -> usize {
        self.context.size().cells as usize
    }

    /// Live requests that have no sample running but will need one.
    fn owed(&self) -> usize {
        self.live.iter().filter(|l| l.running.is_empty()).count()
    }

    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let need = job.prompt.len() + job.max_tokens as usize;
            if self.live.len() >= MOST_LIVE || self.free_samples.len() <= self.owed() {
                return;
            }
            let alike = self.kept.most_alike(job.reusable());
            let mut taken = None;
            while self.reserved() + need > self.cells() || (self.free_prompts.is_empty() && taken.is_none()) {
                match (self.kept.give_up(alike.map(|a| a.sequence)), alike) {
                    (Some(sequence), Some(alike)) if sequence == alike.sequence => taken = Some(alike),
                    (Some(sequence), _) => self.free_prompt(sequence),
                    (None, _) => {
                        if let Some(taken) = taken {
                            self.free_prompt(taken.sequence);
                        }
                        return;
                    }
                }
            }
            let taken = taken.filter(|alike| self.take_over(*alike));
            let Some(sequence) = taken.map(|t| t.sequence).or_else(|| self.free_prompts.pop()) else { return };
            let Some(job) = self.waiting.pop_front() else { return };
            let mut live = Live::new(job, sequence);
            if let Some(Alike { common, .. }) = taken {
                live.begin_after(common);
            }
            self.live.push(live);
        }
    }

    /// Cuts a kept prompt down to what a request shares with it, where there is no room for both; false, and the
    /// sequence is free, where the engine cannot cut it.
    fn take_over(&mut self, Alike { common, sequence }: Alike) -> bool {
        let cut = self.context.cut(sequence, common);
        if !cut {
            self.free_prompt(sequence);
        }
        cut
    }

    fn free_prompt(&mut self, sequence: i32) {
        self.context.forget(sequence);
        self.free_prompts.push(sequence);
    }

    /// Gives up the prompt that was kept longest.
    fn evict(&mut self) -> bool {
        let Some(sequence) = self.kept.give_up(None) else { return false };
        self.free_prompt(sequence);
        true
    }

    /// Starts samples of evaluated prompts: one for everybody, then as many as there is room for, oldest first.
    fn start_samples(&mut self) {
        for first in [true, false] {
            for at in 0..self.live.len() {
                while self.may_start(at, first) {
                    let Some(sequence) = self.free_samples.pop() else { return };
                    let live = &mut self.live[at];
                    self.context.share(live.sequence, sequence, live.job.prompt.len());
                    if !live.start(sequence) {
                        self.context.forget(sequence);
                        self.free_samples.push(sequence);
                    }
                }
            }
        }
    }

    fn may_start(&self, at: usize, first: bool) -> bool {
        let live = &self.live[at];
        if live.logits.is_none() || live.begun_samples >= live.distinct() {
            return false;
        }
        if live.running.is_empty() {
            return true;
        }
        !first
            && self.free_samples.len() > self.owed()
            && self.reserved() + live.job.max_tokens as usize <= self.cells()
    }

    fn fill_batch(&mut self) {
        self.batch.clear();
        for live in &mut self.live {
            live.forget_batch();
            for sample in &mut live.running {
                // The prompt, the tokens before the last one, then the last one.
                let position = live.job.prompt.len() + sample.decoded as usize - 1;
                sample.entry = self.batch.push(sample.last, position, sample.sequence, true);
            }
        }
        for at in 0..self.live.len() {
            let room = (self.context.size().batch as usize).saturating_sub(self.batch.len());
            if room == 0 {
                return;
            }
            if self.live[at].logits.is_none() && self.begin(at) {
                self.live[at].fill(&mut self.batch, room);
            }
        }
    }

    /// Settles where a prompt's evaluation begins; false while an earlier request still evaluates a beginning in common.
    fn begin(&mut self, at: usize) -> bool {
        let live = &self.live[at];
        if live.begun {
            return true;
        }
        let mut best = (0, live.sequence);
        let mut coming = 0;
        let prompt = live.job.reusable();
        if !prompt.is_empty() {
            let known = self.live.iter().filter(|l| l.begun).map(|l| (&l.job.prompt[..], l.evaluated, l.sequence));
            let kept = self.kept.iter().map(|(tokens, sequence)| (tokens, tokens.len(), sequence));
            for (tokens, evaluated, sequence) in known.chain(kept) {
                let common = common_prefix(prompt, tokens);
                coming = coming.max(common);
                best = best.max((common.min(evaluated), sequence));
            }
        }
        if coming >= best.0 + LEAST_PREFIX {
            return false;
        }
        let (common, from) = best;
        let live = &mut self.live[at];
        live.begin_after(0);
        if common >= LEAST_PREFIX {
            self.context.share(from, live.sequence, common);
            live.begin_after(common);
            self.kept.used(Alike { sequence: from, common });
        }
        true
    }

    fn take_results(&mut self) {
        for live in &mut self.live {
            live.evaluated += live.pending;
            if let Some(entry) = live.last_entry {
                live.logits = self.context.logits(entry).map(<[f32]>::to_vec);
                if live.logits.is_none() {
                    live.fail("the engine returned no distribution after the prompt");
                }
            }
            let mut at = 0;
            while at < live.running.len() {
                let logits = self.context.logits(live.running[at].entry).unwrap_or_default();
                let sample = &mut live.running[at];
                match live.job.advance(sample, logits) {
                    None => at += 1,
                    Some(result) => {
                        let sample = live.running.swap_remove(at);
                        self.context.forget(sample.sequence);
                        self.free_samples.push(sample.sequence);
                        live.settle(sample, result);
                    }
                }
            }
            live.forget_batch();
        }
    }

    fn finish_requests(&mut self) {
        let finished: Vec<Live> = self.live.extract_if(.., |live| live.draws.iter().all(Option::is_some)).collect();
        for live in finished {
            let (sequence, cached, complete) = (live.sequence, live.cached, live.logits.is_some());
            let tokens = live.reply();
            let freed = if complete { self.kept.keep(sequence, tokens, cached) } else { vec![sequence] };
            freed.into_iter().for_each(|sequence| self.free_prompt(sequence));
        }
    }
}

impl Live {
    fn new(job: Job, sequence: i32) -> Self {
        let distinct = if job.sampling.temperature <= 0.0 { 1 } else { job.n };
        Live {
            sequence,
            begun: false,
            evaluated: 0,
            pending: 0,
            last_entry: None,
            cached: 0,
            logits: None,
            running: Vec::new(),
            begun_samples: 0,
            draws: vec![None; distinct as usize],
            decoded: 0,
            job,
        }
    }

    /// Samples that are really drawn: one when decoding is greedy, as all would be the same.
    fn distinct(&self) -> u32 {
        u32::try_from(self.draws.len()).unwrap_or(u32::MAX)
    }

    /// Begins with the first tokens of the prompt evaluated already.
    fn begin_after(&mut self, common: usize) {
        self.begun = true;
        self.evaluated = common;
        self.cached = common;
    }

    fn reserved(&self) -> usize {
        self.job.prompt.len() + self.running.len().max(1) * self.job.max_tokens as usize
    }

    fn forget_batch(&mut self) {
        self.pending = 0;
        self.last_entry = None;
    }

    fn fill(&mut self, batch: &mut Batch, room: usize) {
        let prompt = &self.job.prompt;
        let end = prompt.len().min(self.evaluated + room);
        for position in self.evaluated..end {
            let last = position + 1 == prompt.len();
            let entry = batch.push(prompt[position], position, self.sequence, last);
            if last {
                self.last_entry = Some(entry);
            }
        }
        self.pending = end - self.evaluated;
    }

    /// Starts the next sample with its first token; false when that already ended it.
    fn start(&mut self, sequence: i32) -> bool {
        let index = self.begun_samples;
        self.begun_samples += 1;
        let seed = self.job.first_seed.wrapping_add(index);
        let mut sample = Running {
            index,
            sequence,
            sampler: Sampler::new(self.job.sampling, seed, self.job.grammar.clone()),
            text: Assembler::new(&self.job.stop),
            last: LlamaToken::new(0),
            decoded: 0,
            entry: 0,
        };
        match self.job.advance(&mut sample, self.logits.as_deref().unwrap_or_default()) {
            None => {
                self.running.push(sample);
                true
            }
            Some(result) => {
                self.settle(sample, result);
                false
            }
        }
    }

    fn settle(&mut self, sample: Running, result: Result<Finish, ModelError>) {
        self.decoded += u64::from(sample.decoded);
        let draw = result.map(|finish| Draw {
            text: sample.text.finish(),
            finish,
            prompt_tokens: tokens(self.job.prompt.len()),
            decode_tokens: sample.decoded,
            latency_us: u64::try_from(self.job.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            prompt_shared_by: 0,
        });
        self.draws[sample.index as usize] = Some(draw);
    }

    fn fail(&mut self, message: &str) {
        self.draws.iter_mut().for_each(|d| *d = Some(Err(ModelError::new(ModelErrorKind::Engine, message))));
    }

    /// Sends the reply and returns the prompt.
    fn reply(mut self) -> Vec<LlamaToken> {
        let mut draws: Vec<_> = self.draws.drain(..).flatten().collect();
        if let [only] = &draws[..] {
            draws = vec![only.clone(); self.job.n as usize];
        }
        let billed = Usage {
            prompt: self.job.prompt.len() as u64,
            cached_prompt: self.cached as u64,
            decode: self.decoded,
            calls: 1,
        };
        // Nobody listens when the call was cancelled.
        let _ = self.job.reply.send(Outcome { draws, billed });
        self.job.prompt
    }
}

impl Job {
    /// What of the prompt another prompt's cache can serve: all but its last token, of which the distribution is needed.
    fn reusable(&self) -> &[LlamaToken] {
        let most = if self.file.shares_prefixes() { self.prompt.len().saturating_sub(1) } else { 0 };
        &self.prompt[..most]
    }

    /// Draws a sample's next token; a result when that ended the sample.
    fn advance(&self, sample: &mut Running, logits: &[f32]) -> Option<Result<Finish, ModelError>> {
        let Ok(token) = sample.sampler.next(logits) else {
            let message = "no token can continue the text: the grammar allows none, or the distribution is empty";
            return Some(Err(ModelError::new(ModelErrorKind::Engine, message)));
        };
        let model = self.file.model();
        let vocabulary = model.vocab();
        sample.decoded += 1;
        sample.last = token;
        if vocabulary.is_eog(token) || sample.text.push(&vocabulary.token_to_piece(token, false, None)) {
            return Some(Ok(Finish::Stop));
        }
        if let Some(hear) = &self.on_text
            && let Some(part) = sample.text.certain()
        {
            // Nobody hears it where the call was cancelled.
            let _ = hear.send(part.to_owned());
        }
        (sample.decoded >= self.max_tokens).then_some(Ok(Finish::Length))
    }
}

/// The size of the context that a model gets.
pub(super) fn context_size(cells: u32) -> ContextSize {
    ContextSize { cells, sequences: SEQUENCES, batch: BATCH }
}

pub(super) fn tokens(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Job {
    /// Answers every sample with the same error.
    pub(super) fn fail(self, error: &ModelError) {
        let draws = vec![Err(error.clone()); self.n as usize];
        let _ = self.reply.send(Outcome { draws, billed: Usage::default() });
    }
}
