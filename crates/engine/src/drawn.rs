//! What a study has drawn, read back from its store, so that trials can be priced by what they still lack.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use agenttts_core::pipeline::Node;
use agenttts_core::{Archive, Example, Trial};
use agenttts_search::{DrawLog, Lengths, Shown};
use agenttts_store::{ExampleOutcome, StageOutcome, Store};
use serde_json::Value;

use crate::error::EngineError;
use crate::execute::Executor;
use crate::load::Loaded;
use crate::streams::{Purpose, stream};

/// The draws of a study. Made from its store alone, so a study that goes on prices as if it had never stopped.
#[derive(Default)]
pub(crate) struct Drawn {
    log: DrawLog,
    /// The place of every example in the study's order, by its id.
    places: HashMap<String, u32>,
    /// Trials that were taken in.
    taken: usize,
    lengths: HashMap<(usize, usize), Sums>,
}

/// Lengths of a stage's samples of one model, summed.
#[derive(Clone, Copy, Default)]
struct Sums {
    samples: f64,
    prompt: f64,
    decode: f64,
    shared_by: u32,
}

/// Where draws are looked up.
pub(crate) struct Sources<'a> {
    pub(crate) loaded: &'a Loaded,
    /// Absent where models are not at hand: then only the study's own draws count.
    pub(crate) executor: Option<&'a Executor>,
    pub(crate) store: &'a Store,
    /// The study's id.
    pub(crate) study: i64,
}

impl Drawn {
    /// Nothing yet, for a study that goes through the examples in this order.
    pub(crate) fn new(loaded: &Loaded, examples: &[Example]) -> Self {
        let stages = loaded.pipeline.stages.len();
        Drawn {
            log: DrawLog::new((0..stages).map(|i| loaded.pipeline.ancestors(i)).collect()),
            places: (0..).zip(examples).map(|(i, e)| (e.id.clone(), i)).collect(),
            taken: 0,
            lengths: HashMap::new(),
        }
    }

    /// The log as it stands.
    pub(crate) fn log(&self) -> &DrawLog {
        &self.log
    }

    /// Takes in what the bank holds of the first prompts of the shared stream: perhaps of another study.
    pub(crate) fn begin(&mut self, from: &Sources<'_>, examples: &[Example]) -> Result<(), EngineError> {
        for (place, example) in (0..).zip(examples) {
            for stage in 0..from.loaded.pipeline.stages.len() {
                if from.loaded.pipeline.stages[stage].from.is_empty() {
                    let prompt = prompt_id(&[]);
                    let runs = self.look_up(from, stage, (0, place, prompt), example, &BTreeMap::new())?;
                    self.log.first_prompt(stage, 0, place, Shown { prompt, runs: runs.unwrap_or(1) });
                }
            }
        }
        Ok(())
    }

    /// Takes in the measured trials that were not taken in yet.
    pub(crate) fn catch_up(&mut self, from: &Sources<'_>, archive: &Archive) -> Result<(), EngineError> {
        let measured: Vec<&Trial> = archive.measured().map(|(t, _)| t).collect();
        for trial in measured.iter().skip(self.taken) {
            let outcomes = from.store.outcomes(from.study, trial.number)?;
            self.measure_lengths(from, trial, &outcomes)?;
            for outcome in &outcomes {
                self.take_in(from, trial, outcome)?;
            }
        }
        self.taken = measured.len();
        Ok(())
    }

    fn take_in(&mut self, from: &Sources<'_>, trial: &Trial, outcome: &ExampleOutcome) -> Result<(), EngineError> {
        let Some(&place) = self.places.get(&outcome.example) else { return Ok(()) };
        let pipeline = &from.loaded.pipeline;
        let example = pipeline.search_split.examples.iter().find(|e| e.id == outcome.example);
        let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
        let mut prompts: Vec<Option<Shown>> = Vec::with_capacity(pipeline.stages.len());
        let mut reached = true;
        for &node in &pipeline.order {
            let stage = match node {
                Node::Stage(stage) => stage,
                Node::Step(step) => {
                    let name = &pipeline.steps[step].name;
                    match outcome.steps.get(name) {
                        Some(step) => {
                            outputs.insert(name.clone(), step.output.clone());
                        }
                        None => reached = false,
                    }
                    continue;
                }
            };
            let spec = &pipeline.stages[stage];
            let read: Vec<&Value> = spec.from.nodes().filter_map(|n| outputs.get(pipeline.node_name(n))).collect();
            let prompt = reached.then(|| prompt_id(&read));
            if let (Some(prompt), Some(example)) = (prompt, example)
                && !self.log.knows(stage, trial.stream, place, prompt)
            {
                self.look_up(from, stage, (trial.stream, place, prompt), example, &outputs)?;
            }
            let done = outcome.stages.get(stage);
            let runs = done.map_or(1, |s| if s.items.is_some() || s.skipped { s.runs().len() as u32 } else { 1 });
            prompts.push(prompt.map(|prompt| Shown { prompt, runs }));
            match done.and_then(|s| s.output.clone()) {
                Some(output) => {
                    outputs.insert(spec.name.clone(), output);
                }
                // An output that is null, and is stored as if it were none.
                None if done.is_some() && outcome.failure.is_none() => {
                    outputs.insert(spec.name.clone(), Value::Null);
                }
                // A stage or step that failed ends its example.
                None => reached = false,
            }
        }
        self.log.record(&from.loaded.space, &trial.plan, trial.stream, place, &prompts);
        Ok(())
    }

    /// Asks the bank for the samples of one prompt, of every model and temperature of its stage; of items, for those that
    /// all of them have. Tells how often the stage runs, where that can be found out.
    fn look_up(
        &mut self,
        from: &Sources<'_>,
        stage: usize,
        (trial_stream, place, prompt): (u32, u32, u64),
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Option<u32>, EngineError> {
        let purpose = Purpose::Trial(trial_stream);
        let Some(found) = from.executor.and_then(|executor| executor.keys(stage, example, outputs, purpose)) else {
            return Ok(None);
        };
        let draws = stream(from.loaded.pipeline.search.seed, purpose);
        for (model, temperature, keys) in found.keys {
            let mut there = None;
            for (key, anyway) in keys {
                let count = from.store.sample_count(&key, draws)?.max(anyway);
                there = Some(there.map_or(count, |least: u32| least.min(count)));
            }
            self.log.found(stage, trial_stream, place, prompt, model, temperature, there.unwrap_or(0));
        }
        Ok(Some(found.runs))
    }

    fn measure_lengths(
        &mut self,
        from: &Sources<'_>,
        trial: &Trial,
        outcomes: &[ExampleOutcome],
    ) -> Result<(), EngineError> {
        let options = from.loaded.space.indices(&trial.plan).unwrap_or_default();
        for (stage, option) in options.into_iter().enumerate() {
            let ids: Vec<i64> = outcomes
                .iter()
                .filter_map(|o| o.stages.get(stage))
                .flat_map(StageOutcome::runs)
                .flat_map(|(s, _)| s.to_vec())
                .collect();
            let model = from.loaded.space.stages()[stage].options[option].model;
            let sums = self.lengths.entry((stage, model)).or_default();
            for taking in from.store.takings(&ids)? {
                sums.samples += 1.0;
                sums.prompt += f64::from(taking.prompt_tokens);
                sums.decode += f64::from(taking.decode_tokens);
                sums.shared_by = match (sums.shared_by, taking.prompt_shared_by) {
                    (a, 0) | (0, a) => a,
                    (a, b) => a.min(b),
                };
            }
            if sums.samples > 0.0 {
                let mean = |sum: f64| sum / sums.samples;
                let lengths =
                    Lengths { prompt: mean(sums.prompt), decode: mean(sums.decode), shared_by: sums.shared_by };
                self.log.set_lengths(stage, model, lengths);
            }
        }
        Ok(())
    }
}

/// A number for a prompt: within an example, a prompt is told by the outputs that it reads.
fn prompt_id(read: &[&Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    read.iter().for_each(|v| v.to_string().hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use agenttts_core::{Plan, Span};
    use agenttts_search::DrawPrices;

    use super::*;
    use crate::event::Observers;
    use crate::load::load_pipeline;
    use crate::settings::SearchOptions;
    use crate::stop::StopHandle;
    use crate::study::{StudyContext, start_study};
    use crate::workshop::Workshop;

    const PIPELINE: &str = r#"
version = 1
name = "two"
plan_budget = { cost_model = "tokens", limit = 100000 }
search = { method = "grid", trials = 6, examples_per_trial = 4 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.a = { provider = "fake", id = "p60" }
models.b = { provider = "fake", id = "p80" }

[[stages]]
name = "pick"
models = ["a", "b"]
samples = [1, 3]
prompt = "pick.j2"
max_tokens = 8
expected = { prompt_tokens = 20, decode_tokens = 4 }

[[stages]]
name = "answer"
models = ["a", "b"]
samples = [1, 4]
prompt = "answer.j2"
max_tokens = 8
metric = { kind = "exact-match", gold = "gold" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

    /// A study of a pipeline over eight examples, searched, and its examples in the study's order.
    struct Searched {
        _folder: tempfile::TempDir,
        loaded: Loaded,
        store: Store,
        executor: Executor,
        study: i64,
        archive: Archive,
        examples: Vec<Example>,
    }

    impl Searched {
        /// `pick` is the prompt of the first stage; questions end with `mark`.
        async fn new(pipeline: &str, pick: &str, mark: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
            fs::write(folder.path().join("pick.j2"), pick).unwrap();
            fs::write(folder.path().join("answer.j2"), "{{ q }} {{ pick }}\nanswer: {{ gold }}").unwrap();
            let line = |i: u32| format!("{{\"id\": \"e{i}\", \"q\": \"{i}{mark}\", \"gold\": \"g{i}\"}}\n");
            fs::write(folder.path().join("search.jsonl"), (0..6).map(line).collect::<String>()).unwrap();
            fs::write(folder.path().join("test.jsonl"), (6..8).map(line).collect::<String>()).unwrap();
            let loaded = load_pipeline(folder.path(), &|_| None).unwrap();
            let store = Store::open(&folder.path().join("store.db")).unwrap();
            let workshop = Workshop::new("no-models".into());
            let context =
                StudyContext { workshop: workshop.clone(), observers: Observers::default(), stop: StopHandle::new() };
            let done = start_study(&store, loaded.clone(), SearchOptions::default(), context).await.unwrap();
            let order = crate::order::ExampleOrder::Seeded.of(6, loaded.pipeline.search.seed);
            let split = &loaded.pipeline.search_split.examples;
            let examples = order.into_iter().map(|i| split[i].clone()).collect();
            let models = workshop.connect(&loaded.pipeline).unwrap();
            let executor = Executor::new(&loaded, models, workshop.steps(&loaded).unwrap());
            let study = store.study(&done.study).unwrap().id;
            Searched { _folder: folder, loaded, store, executor, study, archive: done.archive, examples }
        }

        fn sources(&self) -> Sources<'_> {
            Sources { loaded: &self.loaded, executor: Some(&self.executor), store: &self.store, study: self.study }
        }

        /// The tokens that are missing, stage by stage.
        fn missing(&self, log: &DrawLog, plan: &Plan, span: Span) -> Vec<f64> {
            let archive = Archive::default();
            let prices = DrawPrices::new(&self.loaded.space, &archive, Some(6), log);
            prices.missing(plan, 0, span).iter().map(|m| m.tokens()).collect()
        }
    }

    #[tokio::test]
    async fn the_store_tells_what_is_missing_even_to_another_study() {
        let searched = Searched::new(PIPELINE, "{{ q }}\nanswer: x | y", "?").await;
        let Searched { loaded, archive, examples, .. } = &searched;
        let from = searched.sources();

        let mut own = Drawn::new(loaded, examples);
        own.catch_up(&from, archive).unwrap();
        let (ran, rest) = (Span { first: 0, count: 4 }, Span { first: 4, count: 2 });
        for (trial, measured) in archive.measured() {
            assert_eq!(searched.missing(own.log(), &trial.plan, ran), [0.0, 0.0], "{}", trial.plan);
            let more: f64 = searched.missing(own.log(), &trial.plan, rest).iter().sum();
            assert!(more > 0.0);
            // Lengths are the measured ones: two examples take half of what four took.
            let took = measured.fresh.tokens() as f64;
            assert!((more / took - 0.5).abs() < 0.2, "{more} of {took}");
        }

        // A study that begins now finds the first stage's draws in the bank, of these examples and no others.
        let mut other = Drawn::new(loaded, examples);
        other.begin(&from, examples).unwrap();
        // Of a plan of three samples there: baselines drew one sample of all examples.
        let plan = archive.trials.iter().map(|t| &t.plan).find(|p| p.choices[0].samples == 3).unwrap();
        assert_eq!(searched.missing(other.log(), plan, ran)[0], 0.0);
        let after = searched.missing(other.log(), plan, rest);
        assert!(after[0] > 0.0 && after[1] > 0.0, "{after:?}");
    }

    /// The same where the first stage runs for items and the second under a condition.
    #[tokio::test]
    async fn runs_for_items_and_under_conditions_are_priced_as_they_were_made() {
        let pipeline = PIPELINE
            .replace("name = \"pick\"\n", "name = \"pick\"\neach = \"range(q|int % 3)|list\"\n")
            .replace("name = \"answer\"\n", "name = \"answer\"\nwhen = \"pick\"\notherwise = \"gold\"\n")
            .replacen("decode_tokens = 4 }", "decode_tokens = 4, runs = 2 }", 1);
        let searched = Searched::new(&pipeline, "{{ q }} {{ item }}\nanswer: x | y", "").await;
        let Searched { loaded, archive, examples, .. } = &searched;
        let from = searched.sources();

        let mut own = Drawn::new(loaded, examples);
        own.begin(&from, examples).unwrap();
        own.catch_up(&from, archive).unwrap();
        let ran = Span { first: 0, count: 4 };
        for (trial, _) in archive.measured() {
            assert_eq!(searched.missing(own.log(), &trial.plan, ran), [0.0, 0.0], "{}", trial.plan);
        }
        // The first stage reads the example alone, so it is known how often it will run for those that no trial had.
        let mut fresh = Drawn::new(loaded, examples);
        fresh.begin(&from, examples).unwrap();
        let plan = loaded.space.smallest_once();
        let per_run = f64::from(20u8 + 4);
        for (place, example) in (0..).zip(examples) {
            let items = f64::from(example.fields["q"].as_str().unwrap().parse::<u32>().unwrap() % 3);
            let price = searched.missing(fresh.log(), &plan, Span { first: place, count: 1 })[0];
            // Drawn by baselines, or not yet.
            assert!(price == 0.0 || price == items * per_run, "{price} for {items} items");
        }
    }
}
