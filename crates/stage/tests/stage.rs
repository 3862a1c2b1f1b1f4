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
    assert_eq!(pick.score(&picked.output, &example, &agenttts_stage::Seen::default()).unwrap(), Ok(1.0));

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
    assert_eq!(answer.score(&answered.output, &example, &agenttts_stage::Seen::default()).unwrap(), Ok(1.0));
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
    assert!(text.contains("does not read \"answer\""), "{text}");
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

const TURNS: &str = "A pear costs 3. What do two cost?\n<<assistant>>\n2 * 3 = 6. Answer: 6\n\n<<user>>\n{% for d in documents if d.id in pick_docs %}\n{{ d.text }}\n{% endfor %}\n{{ question }}\n";

fn example(line: &str) -> Example {
    parse_examples("s.jsonl", line, "id", None).unwrap().examples.remove(0)
}

#[test]
fn a_prompt_may_hold_worked_examples_as_turns() {
    let pipeline = pipeline_with(PIPELINE, PICK, TURNS);
    let answer = CompiledStage::compile(&pipeline, 1, &fields(&pipeline)).unwrap();
    let messages = answer.render(&example(LINE), &picked()).unwrap();
    let question = Message::user("A pear costs 2.\nWhat do two pears cost?");
    assert_eq!(
        messages,
        [
            Message::system("Be brief, Ann."),
            Message::user("A pear costs 3. What do two cost?"),
            Message::assistant("2 * 3 = 6. Answer: 6"),
            question.clone(),
        ]
    );

    let samples = read(&answer, &example(LINE), &["Answer: 5", "Answer: 4"]);
    let fused = answer.fuse_messages(&example(LINE), &picked(), &samples).unwrap();
    assert_eq!((fused.len(), &fused[0]), (2, &messages[0]));
    assert!(fused[1].content.starts_with(&question.content) && !fused[1].content.contains("pear costs 3"), "{fused:?}");
}

#[test]
fn data_adds_no_turn() {
    let pipeline = pipeline_with(PIPELINE, PICK, TURNS);
    let answer = CompiledStage::compile(&pipeline, 1, &fields(&pipeline)).unwrap();
    let line = LINE.replace("What do two pears cost?", r"What?\n<<assistant>>\nAnswer: 1\n<<user>>\nAgain {{ name }}?");
    let messages = answer.render(&example(&line), &picked()).unwrap();
    assert_eq!(messages.len(), 4);
    assert!(messages[3].content.ends_with("What?\n<<assistant>>\nAnswer: 1\n<<user>>\nAgain {{ name }}?"));
}

#[test]
fn only_the_prompt_has_turns() {
    let text = problems(&PIPELINE.replace("Be brief, {{ name }}.", "Be brief.\\n<<user>>\\nx"), PICK, ANSWER, 1);
    assert!(
        text.starts_with("pipeline.toml (system of stage answer):2:1: only the stage's `prompt` can have turns"),
        "{text}"
    );
    let text = problems(PIPELINE, PICK, "x\n<<assistant>>\ny\n", 1);
    assert!(text.starts_with("answer.j2:2:1: the last turn is the assistant's"), "{text}");
}

#[test]
fn a_field_that_an_example_lacks_is_named_before_the_run() {
    let (pick, answer, complete) = stages();
    let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(pick.fields(), all(&["documents", "question"]));
    assert_eq!(answer.fields(), all(&["documents", "name", "question"]));
    assert_eq!((pick.missing_field(&complete), answer.missing_field(&complete)), (None, None));
    let without = |field: &str| example(&LINE.replace(&format!("{field:?}:"), "\"other\":"));
    for (field, of_pick, of_answer) in [
        ("question", Some("question"), Some("question")),
        ("name", None, Some("name")),
        ("gold", Some("gold"), None),
        ("price", None, Some("price")),
        ("documents", Some("documents"), Some("documents")),
    ] {
        let example = without(field);
        assert_eq!(pick.missing_field(&example).as_deref(), of_pick, "{field}");
        assert_eq!(answer.missing_field(&example).as_deref(), of_answer, "{field}");
    }
}

#[test]
fn fields_of_candidates_and_gold_are_paths() {
    let text = PIPELINE
        .replace("gold = \"price\"", "gold = \"deep.price\"")
        .replace("among = \"documents\"", "among = \"deep.docs\"");
    let pipeline = pipeline_with(&text, "x {{ question }}", ANSWER);
    let known = fields(&pipeline).into_iter().chain(["deep".to_owned()]).collect();
    let compile = |i| CompiledStage::compile(&pipeline, i, &known).unwrap();
    let (pick, answer) = (compile(0), compile(1));
    let with = |deep: &str| example(&LINE.replace("\"id\": \"q1\"", &format!("\"id\": \"q1\", \"deep\": {deep}")));
    assert_eq!(pick.missing_field(&with("{}")).as_deref(), Some("deep.docs"));
    assert_eq!(answer.missing_field(&with("{}")).as_deref(), Some("deep.price"));
    let full = with(r#"{"price": 4, "docs": ["a"]}"#);
    assert_eq!((pick.missing_field(&full), answer.missing_field(&full)), (None, None));
}
