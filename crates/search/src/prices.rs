//! What a trial still has to draw: trials share draws, so the price of a trial is what the bank lacks.
//!
//! A stage's samples are shared by all plans that show it the same prompt with the same model and temperature: of `n`
//! samples only those beyond the most that were drawn are missing. The prompt is known where the stages upstream of it
//! ran with the same choices before. Where they did not, the prompt is a new one, or with the share seen so far one
//! that other choices had led to. Fusion and judging read particular samples, so their calls are shared only by plans
//! with exactly these.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

use agenttts_core::{Aggregator, Archive, CallTokens, Plan, Space, Span, StageOption, Temperature};

use crate::ask::{Prices, after, reached};

/// What was drawn so far, prompt by prompt, as far as prices need it.
#[derive(Clone, Debug, Default)]
pub struct DrawLog {
    ancestors: Vec<Vec<usize>>,
    /// The prompt that these choices upstream led to; `None` where they failed before it.
    prompts: HashMap<(Site, Upstream), Option<u64>>,
    /// Choices upstream that ran on any example of a stream.
    ran: HashSet<(usize, u32, Upstream)>,
    /// How often a stage runs for a prompt, where that is not once.
    runs: HashMap<(Site, u64), u32>,
    /// For every stage, how often it was reached, and how often it ran then.
    reached: Vec<(f64, f64)>,
    /// All prompts that a stage was shown.
    shown: HashMap<Site, Vec<u64>>,
    samples: HashMap<(Site, u64), Vec<Drawn>>,
    combined: HashSet<(Site, u64, usize)>,
    lengths: HashMap<(usize, usize), Lengths>,
    /// For every stage, choices upstream beyond the first of their example, and how many of them led to a prompt that
    /// was there already.
    repeats: Vec<(f64, f64)>,
}

/// A stage, a stream and an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Site {
    stage: usize,
    stream: u32,
    example: u32,
}

/// A hash of the options upstream of a stage.
type Upstream = u64;

#[derive(Clone, Copy, Debug)]
struct Drawn {
    model: usize,
    temperature: Temperature,
    samples: u32,
}

/// Mean lengths of a stage's calls to one model, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    /// Tokens of a prompt.
    pub prompt: f64,
    /// Tokens of a sample.
    pub decode: f64,
    /// The most samples that share one evaluation of the prompt; 0 = no limit.
    pub shared_by: u32,
}

/// What a stage was shown for one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// A number for all that its prompt is made of: the same for the same prompt.
    pub prompt: u64,
    /// How often it ran: 0 where a condition kept it from running, once for each item where it runs for items.
    pub runs: u32,
}

impl Shown {
    /// A prompt for which a stage runs once.
    pub fn once(prompt: u64) -> Self {
        Shown { prompt, runs: 1 }
    }
}

impl DrawLog {
    /// Nothing drawn yet. `ancestors` are, for every stage, the stages whose outputs its prompt depends on, directly or
    /// not.
    pub fn new(ancestors: Vec<Vec<usize>>) -> Self {
        let none = vec![(0.0, 0.0); ancestors.len()];
        DrawLog { repeats: none.clone(), reached: none, ancestors, ..DrawLog::default() }
    }

    /// Takes in what a trial did with one example: what every stage was shown; `None` for stages that were not reached.
    /// Plans outside the space are left out.
    pub fn record(&mut self, space: &Space, plan: &Plan, stream: u32, example: u32, prompts: &[Option<Shown>]) {
        let Some(options) = space.indices(plan) else { return };
        for (stage, prompt) in prompts.iter().enumerate().take(self.ancestors.len()) {
            let site = Site { stage, stream, example };
            let upstream = self.upstream(stage, &options);
            let known = self.prompts.entry((site, upstream)).or_insert(None);
            let first_time = known.is_none();
            // What another part of the plan kept from running once ran another time.
            *known = known.or(prompt.map(|p| p.prompt));
            self.ran.insert((stage, stream, upstream));
            let Some(Shown { prompt, runs }) = *prompt else { continue };
            self.reached[stage].0 += 1.0;
            self.reached[stage].1 += f64::from(runs);
            self.ran_for(site, prompt, runs);
            let shown = self.shown.entry(site).or_default();
            if first_time && !shown.is_empty() {
                self.repeats[stage].0 += 1.0;
                self.repeats[stage].1 += f64::from(u8::from(shown.contains(&prompt)));
            }
            if !shown.contains(&prompt) {
                shown.push(prompt);
            }
            let option = &space.stages()[stage].options[options[stage]];
            self.found(stage, stream, example, prompt, option.model, option.choice.temperature, wanted(option));
            self.combined.insert((site, prompt, options[stage]));
        }
    }

    /// Takes in the prompt of a stage that reads no other: it is known before anything ran.
    pub fn first_prompt(&mut self, stage: usize, stream: u32, example: u32, shown: Shown) {
        let Shown { prompt, runs } = shown;
        let (site, upstream) = (Site { stage, stream, example }, self.upstream(stage, &[]));
        if self.ancestors[stage].is_empty() && self.prompts.insert((site, upstream), Some(prompt)).is_none() {
            self.ran.insert((stage, stream, upstream));
            self.shown.insert(site, vec![prompt]);
            self.ran_for(site, prompt, runs);
        }
    }

    /// Takes in that so many samples of a prompt are there, whoever drew them: of each item, where there are several.
    #[expect(clippy::too_many_arguments, reason = "together they name one request")]
    pub fn found(
        &mut self,
        stage: usize,
        stream: u32,
        example: u32,
        prompt: u64,
        model: usize,
        temperature: Temperature,
        samples: u32,
    ) {
        let there = self.samples.entry((Site { stage, stream, example }, prompt)).or_default();
        match there.iter_mut().find(|d| d.model == model && d.temperature == temperature) {
            Some(known) => known.samples = known.samples.max(samples),
            None => there.push(Drawn { model, temperature, samples }),
        }
    }

    /// Whether anything is known of the draws of this prompt.
    pub fn knows(&self, stage: usize, stream: u32, example: u32, prompt: u64) -> bool {
        self.samples.contains_key(&(Site { stage, stream, example }, prompt))
    }

    /// Sets the mean lengths of a stage's calls to the pool's model `model`. Expected lengths count until then, corrected
    /// by how far they were off for the stage's other models.
    pub fn set_lengths(&mut self, stage: usize, model: usize, lengths: Lengths) {
        self.lengths.insert((stage, model), lengths);
    }

    fn ran_for(&mut self, site: Site, prompt: u64, runs: u32) {
        if runs != 1 {
            self.runs.insert((site, prompt), runs);
        }
    }

    /// How often a stage runs for an example on average: as expected until it was reached.
    fn mean_runs(&self, space: &Space, stage: usize) -> f64 {
        match self.reached.get(stage) {
            Some(&(reached, ran)) if reached > 0.0 => ran / reached,
            _ => space.stages()[stage].stage.runs.as_f64(),
        }
    }

    fn upstream(&self, stage: usize, options: &[usize]) -> Upstream {
        let mut hasher = DefaultHasher::new();
        self.ancestors[stage].iter().for_each(|&a| options[a].hash(&mut hasher));
        hasher.finish()
    }

    /// The share of new choices upstream that lead to a prompt that is there already.
    fn repeat_share(&self, stage: usize) -> f64 {
        // Until it is seen, every second.
        let (others, repeated) = self.repeats[stage];
        (repeated + 2.0) / (others + 4.0)
    }

    fn drawn(&self, site: Site, prompt: u64, option: &StageOption) -> u32 {
        let same = |d: &&Drawn| d.model == option.model && d.temperature == option.choice.temperature;
        self.samples.get(&(site, prompt)).and_then(|all| all.iter().find(same)).map_or(0, |d| d.samples)
    }

    /// Mean lengths of a stage's calls to a model: measured ones, or expected ones corrected by the stage's other models.
    fn lengths_of(&self, space: &Space, stage: usize, model: usize) -> Lengths {
        if let Some(measured) = self.lengths.get(&(stage, model)) {
            return *measured;
        }
        let expected = &space.stages()[stage].stage;
        let (prompt, decode) = (expected.prompt_tokens as f64, expected.decode_tokens as f64);
        let others: Vec<&Lengths> = (0..expected.models.len()).filter_map(|m| self.lengths.get(&(stage, m))).collect();
        if others.is_empty() {
            return Lengths { prompt, decode, shared_by: 0 };
        }
        let mean = |of: fn(&Lengths) -> f64| others.iter().map(|l| of(l)).sum::<f64>() / others.len() as f64;
        let shared_by = others.iter().map(|l| l.shared_by).filter(|&s| s > 0).min().unwrap_or(0);
        Lengths { prompt: mean(|l| l.prompt), decode: mean(|l| l.decode), shared_by }
    }
}

/// Samples that an option draws: greedy ones are all alike, so one stands for all.
fn wanted(option: &StageOption) -> u32 {
    if option.choice.temperature.is_greedy() { 1 } else { option.choice.samples }
}

/// Tokens that a stage of a trial has to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Missing {
    /// Prompt tokens of its samples' calls.
    pub prompt: f64,
    /// Tokens of its samples.
    pub decode: f64,
    /// Prompt tokens of fusion or judging.
    pub combining_prompt: f64,
    /// Tokens that fusion or judging decodes.
    pub combining_decode: f64,
}

impl Missing {
    /// All of them.
    pub fn tokens(&self) -> f64 {
        self.prompt + self.decode + self.combining_prompt + self.combining_decode
    }

    fn times(self, factor: f64) -> Missing {
        Missing {
            prompt: self.prompt * factor,
            decode: self.decode * factor,
            combining_prompt: self.combining_prompt * factor,
            combining_decode: self.combining_decode * factor,
        }
    }
}

impl AddAssign for Missing {
    fn add_assign(&mut self, other: Missing) {
        self.prompt += other.prompt;
        self.decode += other.decode;
        self.combining_prompt += other.combining_prompt;
        self.combining_decode += other.combining_decode;
    }
}

/// Prices of trials in drawn tokens.
///
/// A price is a sum over stages, and what a stage lacks depends on few things, so all of a large space can be priced: each
/// sum is found in a table after its first use.
#[derive(Debug)]
pub struct DrawPrices<'a> {
    space: &'a Space,
    log: &'a DrawLog,
    pool: Option<u32>,
    /// How far each plan has come: its last stream, and one past the last example in it.
    last: HashMap<&'a Plan, (u32, u32)>,
    known: Mutex<HashMap<Key, Missing>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    stage: usize,
    option: usize,
    /// Absent where these choices upstream never ran in this stream.
    upstream: Option<Upstream>,
    stream: u32,
    span: Span,
}

impl<'a> DrawPrices<'a> {
    /// Prices after these trials and draws. `pool` is the number of examples of the search split, as in
    /// [`place`](crate::place).
    pub fn new(space: &'a Space, archive: &'a Archive, pool: Option<u32>, log: &'a DrawLog) -> Self {
        let mut last: HashMap<&Plan, (u32, u32)> = HashMap::new();
        for trial in &archive.trials {
            if let Some(end) = reached(trial, pool) {
                let known = last.entry(&trial.plan).or_insert(end);
                *known = (*known).max(end);
            }
        }
        DrawPrices { space, log, pool, last, known: Mutex::default() }
    }

    /// Where a plan's next trial on so many examples runs.
    pub fn next(&self, plan: &Plan, examples: u32) -> (u32, Span) {
        let (stream, span) = after(self.last.get(plan).copied(), Some(examples), self.pool);
        (stream, span.unwrap_or(Span { first: 0, count: self.pool.unwrap_or(1) }))
    }

    /// What each stage of a plan has to draw on these examples of a stream; empty for plans outside the space.
    pub fn missing(&self, plan: &Plan, stream: u32, span: Span) -> Vec<Missing> {
        let Some(options) = self.space.indices(plan) else { return Vec::new() };
        (0..options.len()).map(|stage| self.stage(stage, &options, stream, span)).collect()
    }

    /// What each stage of a plan takes on so many examples when nothing is there.
    pub fn from_nothing(&self, plan: &Plan, examples: u32) -> Vec<Missing> {
        let Some(options) = self.space.indices(plan) else { return Vec::new() };
        let one = |(stage, option): (usize, &usize)| {
            let runs = self.log.mean_runs(self.space, stage);
            self.lacking(stage, *option, 0, false).times(runs * f64::from(examples))
        };
        options.iter().enumerate().map(one).collect()
    }

    fn stage(&self, stage: usize, options: &[usize], stream: u32, span: Span) -> Missing {
        let upstream = self.log.upstream(stage, options);
        let ran = self.log.ran.contains(&(stage, stream, upstream));
        let key = Key { stage, option: options[stage], upstream: ran.then_some(upstream), stream, span };
        // Sums that a panic elsewhere left are whole: each is put in by one call.
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *known;
        }
        let mut sum = Missing::default();
        for example in span.first..span.end() {
            let site = Site { stage, stream, example };
            sum += match key.upstream.and_then(|u| self.log.prompts.get(&(site, u))) {
                // What failed before this stage fails again: the draws are the same.
                Some(None) => Missing::default(),
                Some(Some(prompt)) => self.of_prompt(site, *prompt, options[stage]),
                None => self.of_unknown_prompt(site, options[stage]),
            };
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sum);
        sum
    }

    fn of_prompt(&self, site: Site, prompt: u64, option: usize) -> Missing {
        let drawn = self.log.drawn(site, prompt, &self.space.stages()[site.stage].options[option]);
        let runs = self.log.runs.get(&(site, prompt)).copied().unwrap_or(1);
        let combined = self.log.combined.contains(&(site, prompt, option));
        self.lacking(site.stage, option, drawn, combined).times(f64::from(runs))
    }

    fn of_unknown_prompt(&self, site: Site, option: usize) -> Missing {
        let fresh = self.lacking(site.stage, option, 0, false).times(self.log.mean_runs(self.space, site.stage));
        let Some(shown) = self.log.shown.get(&site).filter(|s| !s.is_empty()) else { return fresh };
        let again = self.log.repeat_share(site.stage);
        let mut expected = fresh.times(1.0 - again);
        for &prompt in shown {
            expected += self.of_prompt(site, prompt, option).times(again / shown.len() as f64);
        }
        expected
    }

    /// What an option lacks in one run of which so many samples are there, and perhaps its combining call.
    fn lacking(&self, stage: usize, option: usize, drawn: u32, combined: bool) -> Missing {
        let priced = &self.space.stages()[stage];
        let option = &priced.options[option];
        let lengths = self.log.lengths_of(self.space, stage, option.model);
        let n = wanted(option).saturating_sub(drawn);
        let prompts = match lengths.shared_by {
            0 => u32::from(n > 0),
            by => n.div_ceil(by),
        };
        let mut missing = Missing {
            prompt: f64::from(prompts) * lengths.prompt,
            decode: f64::from(n) * lengths.decode,
            ..Missing::default()
        };
        let spec = &priced.stage.models[option.model];
        let (sampling, combining) = priced.stage.planned_calls(spec, option.choice.samples, option.choice.aggregator);
        if let Some((_, call)) = combining.filter(|_| !combined) {
            let CallTokens { prompt, decode, samples, .. } = sampling;
            let each = decode as f64 / f64::from(samples.max(1));
            let longer = |real: f64, expected: f64| if expected > 0.0 { real / expected } else { 1.0 };
            let read = lengths.prompt + f64::from(wanted(option)) * lengths.decode;
            missing.combining_prompt = call.prompt as f64 * longer(read, (prompt + decode) as f64);
            // A judge's verdict is as short as ever.
            let factor = if option.choice.aggregator == Aggregator::Judge { 1.0 } else { longer(lengths.decode, each) };
            missing.combining_decode = call.decode as f64 * factor;
        }
        missing
    }
}

impl Prices for DrawPrices<'_> {
    fn price(&self, plan: &Plan, examples: u32) -> f64 {
        let (stream, span) = self.next(plan, examples);
        let Some(options) = self.space.indices(plan) else { return f64::INFINITY };
        (0..options.len()).map(|stage| self.stage(stage, &options, stream, span).tokens()).sum()
    }
}
