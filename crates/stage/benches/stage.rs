//! What the demo's stages do to an example besides asking a model, each beside the least that it could be: filling in a
//! prompt beside copying it, reading a reply beside looking for the titles in it, a vote beside counting texts.
//!
//! `cargo xtask bench inner stage`
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first error")]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::path::Path;

use agenttts_core::pipeline::{Facts, PipelineFile};
use agenttts_core::{Aggregator, Example, Pipeline, Shape, parse_examples};
use agenttts_stage::{CompiledStage, aggregate};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/demo");

/// Votes that are counted.
const SAMPLES: usize = 64;

fn stage(criterion: &mut Criterion) {
    let pipeline = demo();
    let example = &pipeline.search_split.examples[0];
    let fields = example.fields.keys().cloned().collect();
    let compiled = |index| CompiledStage::compile(&pipeline, index, &fields).unwrap();
    let (pick, answer) = (compiled(0), compiled(1));
    render(criterion, &answer, example);
    read(criterion, &pick, example);
    vote(criterion, &answer, example);
}

fn render(criterion: &mut Criterion, stage: &CompiledStage, example: &Example) {
    let outputs = BTreeMap::from([("pick".to_owned(), json!(["r4"]))]);
    let rendered = stage.render(example, &outputs).unwrap();
    let mut group = criterion.benchmark_group("render");
    group.bench_function("copy", |bencher| bencher.iter(|| black_box(&rendered).clone()));
    group.bench_function("stage", |bencher| bencher.iter(|| stage.render(black_box(example), &outputs).unwrap()));
    group.finish();
}

fn read(criterion: &mut Criterion, stage: &CompiledStage, example: &Example) {
    const REPLY: &str = "The question names Copper Market.";
    let records = example.fields["records"].as_array().unwrap();
    let titles: Vec<&str> = records.iter().filter_map(|record| record["title"].as_str()).collect();
    assert_eq!(stage.read(REPLY, example).parsed.unwrap(), json!(["r4"]));
    let mut group = criterion.benchmark_group("read");
    group.bench_function("contains", |bencher| {
        bencher.iter(|| titles.iter().position(|title| black_box(REPLY).contains(title)));
    });
    group.bench_function("stage", |bencher| bencher.iter(|| stage.read(black_box(REPLY), example).parsed));
    group.finish();
}

fn vote(criterion: &mut Criterion, stage: &CompiledStage, example: &Example) {
    let texts: Vec<String> = (0..SAMPLES).map(|i| format!("9*12 + 4*5 = 108 + 20 = {}", 128 + i % 5)).collect();
    let parsed: Vec<_> = texts.iter().map(|text| stage.read(text, example).parsed).collect();
    let mut group = criterion.benchmark_group("vote");
    group.bench_function("count", |bencher| {
        bencher.iter(|| {
            let mut votes: HashMap<String, usize> = HashMap::new();
            black_box(&parsed).iter().flatten().for_each(|output: &Value| {
                *votes.entry(output.to_string()).or_default() += 1;
            });
            votes.into_iter().max_by_key(|(_, votes)| *votes)
        });
    });
    group.bench_function("stage", |bencher| {
        bencher.iter(|| aggregate(Aggregator::Vote, black_box(&parsed), &[]).unwrap());
    });
    group.finish();
}

/// The demo, with figures in the place of those that its models' files have.
fn demo() -> Pipeline {
    let text = |file: &str| std::fs::read_to_string(Path::new(DEMO).join(file)).unwrap();
    let file = PipelineFile::parse("pipeline.toml", &text("pipeline.toml")).unwrap();
    let files = file.needed_files().into_iter().map(|name| (name.clone(), text(&name))).collect();
    let split = |name: &str| parse_examples(name, &text(name), "id", None).unwrap();
    let facts = |_: &str| Some(Facts { params: 100_000_000, shape: Shape { layers: 30, width: 576 }, context: 8_192 });
    file.resolve(&files, split("data/search.jsonl"), split("data/test.jsonl"), &facts).unwrap()
}

criterion_group!(benches, stage);
criterion_main!(benches);
