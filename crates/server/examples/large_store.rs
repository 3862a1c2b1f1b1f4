//! Writes a store with one very large study, to measure the dashboard with: `large_store FILE [TRIALS] [SAMPLES]`.
//!
//! A small study is searched with fake models; its archive is then continued with made-up trials, each with its outcomes,
//! its samples and its events, written through the store as a search writes them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a tool for measuring may fail loudly, and says how far it is"
)]

use std::path::Path;
use std::sync::Arc;

use agenttts_core::{
    Aggregator, Choice, Cost, CurvePoint, Decoding, Draw, Estimate, Finish, Measurement, Message, ModelIdentity,
    Origin, Plan, Request, Span, Temperature, Trial, TrialState, Usage,
};
use agenttts_engine::{Event, Leader, Observers, SearchOptions, Spent, StopHandle, StudyContext, Workshop};
use agenttts_engine::{load_pipeline, start_study};
use agenttts_store::{
    Amounts, ExampleOutcome, Limits, NewSample, Purpose, SampleHome, Settlement, StageOutcome, Store, Study,
};
use futures::StreamExt;

/// Examples of a trial.
const EXAMPLES: u32 = 10;

/// Trials that are written side by side, so that the store commits them together.
const AT_ONCE: usize = 64;

const MODELS: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "large.db".into());
    let mut number = |default: u32| args.next().map_or(default, |text| text.parse().unwrap());
    let (trials, samples) = (number(100_000), number(10_000_000));
    let each = (samples / trials / EXAMPLES).max(1);
    let store = Store::open(Path::new(&file)).unwrap();
    let name = begin(&store).await;
    let study = Arc::new(store.open_study(&name).await.unwrap());
    let first = store.trials(study.id()).unwrap().len() as u32 + 1;
    let best = Arc::new(std::sync::Mutex::new(None));
    futures::stream::iter(first..=trials)
        .map(|number| {
            let (study, best) = (study.clone(), best.clone());
            tokio::spawn(async move { write(&study, number, each, &best).await })
        })
        .buffered(AT_ONCE)
        .for_each(|written| async { written.unwrap() })
        .await;
    eprintln!("{file}: the study {name} with {trials} trials and {} samples", trials * EXAMPLES * each);
}

/// Searches a study of one trial; its name.
async fn begin(store: &Store) -> String {
    let folder = tempfile::tempdir().unwrap();
    let counts: Vec<String> = (1..=64).map(|n: u32| n.to_string()).collect();
    let stage = |name: &str, metric: &str| {
        format!(
            "[[stages]]\nname = \"{name}\"\nmodels = [\"a\", \"b\", \"c\", \"d\"]\ntemperature = 0.7\nsamples = [{}]\nprompt = \"{name}.j2\"\n\
             max_tokens = 8\n{metric}\nexpected = {{ prompt_tokens = 20, decode_tokens = 4 }}\n",
            counts.join(", ")
        )
    };
    let models: Vec<String> =
        MODELS.iter().map(|m| format!("models.{m} = {{ provider = \"fake\", id = \"p70\", params_b = 1 }}")).collect();
    let pipeline = format!(
        "version = 1\nname = \"large\"\nplan_budget = {{ cost_model = \"tokens\", limit = 100000 }}\n\
         search = {{ method = \"random\", trials = 1 }}\ndata = {{ search = \"search.jsonl\", test = \"test.jsonl\" }}\n\
         {}\n\n{}\n{}",
        models.join("\n"),
        stage("pick", ""),
        stage("answer", "metric = { kind = \"exact-match\", gold = \"gold\" }")
    );
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("pipeline.toml", &pipeline);
    write("pick.j2", "{{ q }}\nanswer: x");
    write("answer.j2", "{{ q }} {{ pick }}\nanswer: {{ gold }}");
    let line = |i: u32| format!("{{\"id\": \"e{i}\", \"q\": \"{i}?\", \"gold\": \"g{i}\"}}\n");
    write("search.jsonl", &(0..100).map(line).collect::<String>());
    write("test.jsonl", &(100..110).map(line).collect::<String>());
    let loaded = load_pipeline(folder.path(), &|_| None).unwrap();
    let workshop = Workshop::new("no-models".into());
    let context = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
    start_study(store, loaded, SearchOptions::default(), context).await.unwrap().study
}

/// A number that looks drawn at random: SplitMix64.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn plan(number: u32) -> Plan {
    let temperature = Temperature::new(0.7).unwrap();
    let choice = |bits: u64| Choice {
        model: MODELS[bits as usize % 4].into(),
        samples: 1 + (bits >> 8) as u32 % 64,
        aggregator: Aggregator::Vote,
        temperature,
    };
    let bits = mixed(u64::from(number));
    Plan { choices: vec![choice(bits), choice(bits >> 32)] }
}

async fn write(study: &Study, number: u32, each: u32, best: &std::sync::Mutex<Option<Leader>>) {
    let plan = plan(number);
    // Better models and more samples score higher, with a peak.
    let quality = |c: &Choice| {
        let model = MODELS.iter().position(|m| *m == c.model).unwrap_or(0) as f64;
        0.1 * model + 0.12 * f64::from(c.samples).log2() - 0.012 * f64::from(c.samples).log2().powi(2)
    };
    let chance = 0.15 + 0.5 * (quality(&plan.choices[0]) * 0.4 + quality(&plan.choices[1]));
    let hit = |i: u32| (mixed(u64::from(number) << 8 | u64::from(i)) % 1000) as f64 / 1000.0 < chance;
    let scores: Vec<f64> = (0..EXAMPLES).map(|i| f64::from(u8::from(hit(i)))).collect();
    let mut outcomes = Vec::new();
    for (i, score) in scores.iter().enumerate() {
        let ids = draw(study, number, i as u32, each).await;
        let stage = |samples: Vec<i64>, score| StageOutcome {
            output: Some("x".into()),
            score,
            support: Some(0.75),
            samples,
            combined: None,
            items: None,
            skipped: false,
        };
        outcomes.push(ExampleOutcome {
            example: format!("e{}", (number + i as u32) % 100),
            index: Some((number + i as u32) % 100),
            objective: *score,
            cost: 100.0,
            failure: None,
            fault: None,
            quarantined: false,
            stages: vec![stage(ids[..1].to_vec(), None), stage(ids, Some(*score))],
            steps: Default::default(),
        });
    }
    let objective = Estimate::of_scores(&scores);
    let tokens: f64 = plan.choices.iter().map(|c| 20.0 + 4.0 * f64::from(c.samples)).sum();
    let point = |samples| CurvePoint { samples, score: objective };
    let usage = Usage { prompt: 400, cached_prompt: 0, decode: 40 * u64::from(each), calls: u64::from(EXAMPLES) };
    let measured = Measurement {
        objective,
        stages: vec![None, Some(objective)],
        cost: Estimate::of_values(&[tokens * 0.98, tokens, tokens * 1.02]),
        scores,
        failures: 0,
        failure_reasons: vec![],
        curves: vec![vec![], [1, 2, 4, 8, 16].map(point).to_vec()],
        fitting: vec![],
        fresh: usage,
        drawn: usage,
        seconds: 0.5,
        raced_out: None,
    };
    let trial = Trial {
        number,
        round: number / 4,
        plan: plan.clone(),
        nominal_cost: Cost(tokens as i128),
        origin: Origin { method: "random".into(), reason: "drawn uniformly from the space".into(), repairs: vec![] },
        stream: number,
        span: Some(Span { first: number % 90, count: EXAMPLES }),
        state: TrialState::Measured(Box::new(measured)),
    };
    study.put_trial(trial, outcomes).await.unwrap();
    let leader = {
        let mut best = best.lock().unwrap();
        if best.as_ref().is_none_or(|b: &Leader| b.objective.mean < objective.mean) {
            *best = Some(Leader { trial: number, plan: plan.clone(), objective, cost: tokens });
        }
        best.clone()
    };
    let began = Event::TrialStarted { trial: number, plan: plan.clone() };
    let ended = Event::TrialMeasured {
        trial: number,
        plan,
        objective,
        cost: tokens,
        span: None,
        pooled: None,
        best: false,
        raced_out: None,
        leader,
        failures: 0,
        spent: Spent::default(),
    };
    for event in [began, ended] {
        study.append_event(1_700_000_000_000, serde_json::to_string(&event).unwrap()).await.unwrap();
    }
}

/// Pays for samples of one prompt and stores them; their ids.
async fn draw(study: &Study, trial: u32, example: u32, count: u32) -> Vec<i64> {
    let identity = ModelIdentity { model: "fake:p70".into(), revision: "1".into() };
    let decoding = Decoding {
        temperature: Temperature::new(0.7).unwrap(),
        top_p: None,
        max_tokens: 8,
        stop: vec![],
        constraint: None,
    };
    // Prompts of a thousand examples and upstream outputs; streams of the trials.
    let asked = format!("{}? x\nanswer: g{}", trial % 100, example);
    let request = Request { messages: vec![Message::user(asked)], decoding };
    let home = SampleHome { key: request.key(&identity), stream: u64::from(trial), identity, request };
    let amounts = Amounts { tokens: 40 + 4 * u64::from(count), calls: 1, ..Amounts::default() };
    let purpose = Purpose { kind: "sample".into(), model: "a".into() };
    let reserved = study.reserve(purpose, amounts, &Limits::default()).await.unwrap().unwrap();
    let sample = |index| NewSample {
        index,
        draw: Draw {
            text: format!("the answer is g{}", (example + index) % 7),
            finish: Finish::Stop,
            prompt_tokens: 40,
            decode_tokens: 4,
            latency_us: 250_000,
            prompt_shared_by: 0,
        },
        fingerprint: None,
    };
    let usage = Usage { prompt: 40, cached_prompt: 0, decode: 4 * u64::from(count), calls: 1 };
    let settlement = Settlement { amounts, usage, error: None };
    study.settle(reserved, settlement, Some((home, (0..count).map(sample).collect()))).await.unwrap()
}
