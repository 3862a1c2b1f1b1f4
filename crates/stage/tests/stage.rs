//! A pipeline of two stages from file to score: what the engine does with this crate, without any model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::PipelineFile;
use agenttts_core::{Aggregator, Example, Message, Pipeline, parse_examples};
use agenttts_stage::{Combine, CompiledStage, Sample};
use serde_json::{Value, json};

const PIPELINE: &str = r#"
version = 1
name = "shops"
plan_budget = { cost_model = "tokens", limit = 1e6 }
data = { search = "s.jsonl", test = "t.jsonl" }
models.small = { provider = "fake", id = "fake/p70" }

[[stages]]
name = "pick-docs"
models = ["small"]
samples = { min = 1, max = 9 }
aggregator = ["vote-set", "judge"]
prompt = "pick.j2"
max_tokens = 20
parser = { kind = "ids", among = "documents" }
metric = { kind = "set-f1", gold = "gold" }
expected = { prompt_tokens = 100, decode_tokens = 10 }
judge = { model = "small" }

[[stages]]
name = "answer"
models = ["small"]
samples = 4
aggregator = ["vote", "fuse"]
prompt = "answer.j2"
system = "Be brief, {{ name }}."
max_tokens = 20
parser = { kind = "number", after = "answer:" }
metric = { kind = "number", gold = "price" }
expected = { prompt_tokens = 100, decode_tokens = 10 }
"#;

const PICK: &str =
    "{% for d in documents %}\n{{ d.id }}: {{ d.title }}\n{% endfor %}\nWhich do you need for: {{ question }}\n";
const ANSWER: &str = "{% for d in documents if d.id in pick_docs %}\n{{ d.text }}\n{% endfor %}\n{{ question }}\nEnd with \"Answer:\" and the number.\n";

const LINE: &str = r#"{"id": "q1", "name": "Ann", "question": "What do two pears cost?", "documents": [{"id": "d1", "title": "Pear Shop", "text": "A pear costs 2."}, {"id": "d2", "title": "Bus", "text": "It is late."}], "gold": ["d1"], "price": 4}"#;

fn pipeline_with(text: &str, pick: &str, answer: &str) -> Pipeline {
    let files = BTreeMap::from([("pick.j2".into(), pick.into()), ("answer.j2".into(), answer.into())]);
    let search = parse_examples("s.jsonl", LINE, "id", None).unwrap();
    let test = parse_examples("t.jsonl", &LINE.replace("two", "six"), "id", None).unwrap();
    PipelineFile::parse("pipeline.toml", text).unwrap().resolve(&files, search, test, &|_| None).unwrap()
}

fn fields(pipeline: &Pipeline) -> BTreeSet<String> {
    pipeline.search_split.examples.iter().flat_map(|e| e.fields.keys().cloned()).collect()
}

fn stages() -> (CompiledStage, CompiledStage, Example) {
    let pipeline = pipeline_with(PIPELINE, PICK, ANSWER);
    let compile = |i| CompiledStage::compile(&pipeline, i, &fields(&pipeline)).unwrap();
    (compile(0), compile(1), pipeline.search_split.examples[0].clone())
}

fn problems(text: &str, pick: &str, answer: &str, stage: usize) -> String {
    let pipeline = pipeline_with(text, pick, answer);
    CompiledStage::compile(&pipeline, stage, &fields(&pipeline)).unwrap_err().to_string()
}

fn read<'t>(stage: &CompiledStage, example: &Example, texts: &[&'t str]) -> Vec<Sample<'t>> {
    texts.iter().map(|t| stage.read(t, example)).collect()
}

fn done(combined: Combine) -> agenttts_stage::Aggregate {
    match combined {
        Combine::Done(aggregate) => aggregate.unwrap(),
        Combine::Call(messages) => panic!("a call is needed: {messages:?}"),
    }
}

#[test]
fn an_upstream_output_feeds_the_next_prompt() {
    let (pick, answer, example) = stages();
    let none = BTreeMap::new();
    let messages = pick.render(&example, &none).unwrap();
    assert_eq!(messages, [Message::user("d1: Pear Shop\nd2: Bus\nWhich do you need for: What do two pears cost?")]);

    let samples = read(&pick, &example, &["The Pear Shop.", "d1 and d2", "I don't know", "pear shop"]);
    let picked = done(pick.combine(Aggregator::VoteSet, &example, &none, &samples).unwrap());
    assert_eq!(picked.output, json!(["d1"]));
    assert_eq!(pick.score(&picked.output, &example).unwrap(), Ok(1.0));

    assert_eq!(answer.reads().collect::<Vec<_>>(), ["pick-docs"]);
    let outputs = BTreeMap::from([("pick-docs".to_owned(), picked.output)]);
    let messages = answer.render(&example, &outputs).unwrap();
    assert_eq!(
        messages,
        [
            Message::system("Be brief, Ann."),
            Message::user("A pear costs 2.\nWhat do two pears cost?\nEnd with \"Answer:\" and the number.")
        ]
    );
    let samples = read(&answer, &example, &["2 * 2 = 5. Answer: 5", "Answer: 4.0", "two of them. Answer: 4"]);
    let answered = done(answer.combine(Aggregator::Vote, &example, &outputs, &samples).unwrap());
    assert_eq!((answered.output.clone(), answered.support), (json!(4), 2.0 / 3.0));
    assert_eq!(answer.score(&answered.output, &example).unwrap(), Ok(1.0));
}

fn picked() -> BTreeMap<String, Value> {
    BTreeMap::from([("pick-docs".to_owned(), json!(["d1"]))])
}

#[test]
fn fusion_reads_all_samples_and_its_reply_is_parsed() {
    let (_, answer, example) = stages();
    let samples = read(&answer, &example, &["Answer: 5", "no idea", "Answer: 4", "Answer: 5"]);
    let Combine::Call(messages) = answer.combine(Aggregator::Fuse, &example, &picked(), &samples).unwrap() else {
        panic!("fusion needs a call");
    };
    assert_eq!(messages[0], Message::system("Be brief, Ann."));
    let text = &messages[1].content;
    assert!(text.starts_with("A pear costs 2.\nWhat do two pears cost?"), "{text}");
    for part in ["4 draft replies", "Draft 1:\nAnswer: 5\n", "Draft 2:\nno idea\n", "Draft 4:\nAnswer: 5\n"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let fused = answer.conclude(Aggregator::Fuse, &example, &samples, "So: Answer: 4").unwrap();
    assert_eq!((fused.output, fused.sample, fused.support, fused.fallback), (json!(4), None, 1.0 / 3.0, None));

    let voted = answer.conclude(Aggregator::Fuse, &example, &samples, "I cannot say").unwrap();
    assert_eq!((voted.output, voted.sample), (json!(5), Some(0)));
    assert_eq!(
        voted.fallback.as_deref(),
        Some("the fused reply has no output (there is no number): the samples' vote instead")
    );
}

#[test]
fn a_judge_sees_only_parsed_samples_and_picks_by_number() {
    let (pick, _, example) = stages();
    let none = BTreeMap::new();
    let samples = read(&pick, &example, &["no idea", "Bus", "Pear Shop", "bus"]);
    let Combine::Call(messages) = pick.combine(Aggregator::Judge, &example, &none, &samples).unwrap() else {
        panic!("the judge must be asked");
    };
    assert_eq!(messages.len(), 1);
    let text = &messages[0].content;
    assert!(
        !text.contains("no idea") && text.contains("Reply 2:\nPear Shop\n") && text.ends_with("from 1 to 3."),
        "{text}"
    );
    let judged = pick.conclude(Aggregator::Judge, &example, &samples, " 2.").unwrap();
    assert_eq!((judged.output, judged.sample, judged.support), (json!(["d1"]), Some(2), 1.0 / 3.0));
    let voted = pick.conclude(Aggregator::Judge, &example, &samples, "all are bad").unwrap();
    assert_eq!(voted.output, json!(["d2"]));
    assert!(voted.fallback.unwrap().starts_with("the judge named none of 3 replies"));
}

#[test]
fn calls_are_spared_where_nothing_is_to_be_decided() {
    let (pick, answer, example) = stages();
    let none = BTreeMap::new();
    let agreed = read(&pick, &example, &["Bus", "it is the bus", "?"]);
    let judged = done(pick.combine(Aggregator::Judge, &example, &none, &agreed).unwrap());
    assert_eq!((judged.output, judged.support), (json!(["d2"]), 1.0));
    let one = read(&answer, &example, &["Answer: 4"]);
    assert_eq!(done(answer.combine(Aggregator::Fuse, &example, &picked(), &one).unwrap()).output, json!(4));
    let unparsed = read(&pick, &example, &["?", "??"]);
    let Combine::Done(Err(failure)) = pick.combine(Aggregator::Judge, &example, &none, &unparsed).unwrap() else {
        panic!("there is nothing to judge");
    };
    assert_eq!(
        failure.to_string(),
        "none of the 2 samples has an output; the first: none of the 2 candidates is named"
    );
}

#[test]
fn fewer_samples_give_what_they_alone_would_give() {
    let (pick, _, example) = stages();
    let all = read(&pick, &example, &["Bus", "Pear Shop", "Pear Shop", "Bus", "Bus"]);
    let none = BTreeMap::new();
    for n in 1..=all.len() {
        let prefix = done(pick.combine(Aggregator::VoteSet, &example, &none, &all[..n]).unwrap());
        let alone = read(&pick, &example, &["Bus", "Pear Shop", "Pear Shop", "Bus", "Bus"][..n]);
        assert_eq!(prefix, done(pick.combine(Aggregator::VoteSet, &example, &none, &alone).unwrap()));
    }
}

#[test]
fn undefined_variables_are_found_in_every_template() {
    let text = problems(PIPELINE, PICK, "x\n{{ qestion }}", 1);
    assert!(
        text.starts_with("answer.j2:2:4: the variable `qestion` is not defined\n  hint: did you mean `question`?"),
        "{text}"
    );
    let text = problems(&PIPELINE.replace("{{ name }}", "{{ nme }}"), PICK, ANSWER, 1);
    assert!(text.starts_with("pipeline.toml (system of stage answer):1:14: the variable `nme`"), "{text}");
    let text = problems(PIPELINE, "{{ answer }}", ANSWER, 0);
    assert!(text.contains("does not read the stage \"answer\""), "{text}");
}

#[test]
fn fields_that_no_example_has_are_found_before_the_run() {
    let text = problems(&PIPELINE.replace("among = \"documents\"", "among = \"docments\""), PICK, ANSWER, 0);
    assert!(text.contains("stage \"pick-docs\": the parser's `among` names the field \"docments\""), "{text}");
    assert!(text.contains("did you mean `documents`? Fields: documents, gold, id, name, price, question"), "{text}");
    let text = problems(&PIPELINE.replace("gold = \"price\"", "gold = \"cost\""), PICK, ANSWER, 1);
    assert!(text.contains("the metric's `gold` names the field \"cost\""), "{text}");
}

#[test]
fn a_stage_must_not_be_called_like_a_field() {
    let text = problems(&PIPELINE.replace("pick-docs", "question"), PICK, "{{ question }}", 1);
    assert!(
        text.contains("the output of stage \"question\" and a field of the examples are both called `question`"),
        "{text}"
    );
}

#[test]
fn a_vote_on_sets_needs_sets() {
    let text = problems(&PIPELINE.replace("[\"vote\", \"fuse\"]", "\"vote-set\""), PICK, ANSWER, 1);
    assert!(text.contains("stage \"answer\": the aggregator `vote-set` needs outputs that are lists"), "{text}");
}

#[test]
fn compiled_stages_are_shared_between_threads() {
    fn shareable<T: Send + Sync + Clone + 'static>() {}
    shareable::<CompiledStage>();
}
