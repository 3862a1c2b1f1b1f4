//! Conditions and lists of stages: what runs, for which items, and what is wrong with an expression before any example.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::PipelineFile;
use agenttts_core::{Aggregator, Example, Message, parse_examples};
use agenttts_stage::{Combine, CompiledStage, Flow};
use serde_json::{Value, json};

const LINE: &str =
    r#"{"id": "q1", "question": "Book and pay", "kind": "plan", "tools": ["book", "pay"], "gold": ["a", "b"]}"#;

/// The second of two stages, with these keys and this prompt.
fn compiled(keys: &str, prompt: &str) -> Result<(CompiledStage, Example), String> {
    let stage = |name: &str, keys: &str| {
        format!(
            "[[stages]]\nname = \"{name}\"\nmodels = [\"m\"]\nsamples = 3\naggregator = [\"vote\", \"fuse\"]\n\
             prompt = \"{name}.j2\"\nmax_tokens = 9\n{keys}\n"
        )
    };
    let text = "version = 1\nname = \"p\"\nplan_budget = { cost_model = \"tokens\", limit = 1e6 }\n\
                data = { search = \"s\", test = \"t\" }\nmodels.m = { provider = \"fake\" }\n";
    let expected = "expected = { prompt_tokens = 9, decode_tokens = 9 }";
    let metric = "metric = { kind = \"set-f1\", gold = \"gold\" }";
    let text = format!("{text}{}{}", stage("select", expected), stage("fill", &format!("{metric}\n{keys}")));
    let files = BTreeMap::from([("select.j2".into(), "{{ question }}".into()), ("fill.j2".into(), prompt.into())]);
    let search = parse_examples("s", LINE, "id", None).unwrap();
    let test = parse_examples("t", &LINE.replace("Book", "Look"), "id", None).unwrap();
    let file = PipelineFile::parse("pipeline.toml", &text).map_err(|e| e.to_string())?;
    let pipeline = file.resolve(&files, search, test, &|_| None).map_err(|e| e.to_string())?;
    let example = pipeline.search_split.examples[0].clone();
    let fields: BTreeSet<String> = example.fields.keys().cloned().collect();
    CompiledStage::compile(&pipeline, 1, &fields).map(|stage| (stage, example)).map_err(|e| e.to_string())
}

const ONCE: &str = "expected = { prompt_tokens = 9, decode_tokens = 9 }";
const ITEMS: &str = "expected = { prompt_tokens = 9, decode_tokens = 9, runs = 2 }";

fn outputs(select: Value) -> BTreeMap<String, Value> {
    [("select".to_owned(), select)].into()
}

#[test]
fn a_condition_on_an_earlier_output_tells_whether_a_stage_runs() {
    let keys = format!("when = \"select != 'none' and kind == 'plan'\"\notherwise = \"[select, tools[0]]\"\n{ONCE}");
    let (fill, example) = compiled(&keys, "{{ select }}").unwrap();
    assert_eq!(fill.flow(&example, &outputs(json!("book"))).unwrap(), Flow::Once);
    let skipped = fill.flow(&example, &outputs(json!("none"))).unwrap();
    assert_eq!(skipped, Flow::Skipped(json!(["none", "book"])));
    assert!(fill.has_otherwise() && fill.render_all(&example, &outputs(json!("none"))).unwrap().is_empty());
    // What tells whether it runs is needed of every example, what its prompt reads is not.
    assert_eq!(fill.fields(), BTreeSet::new(), "an `and` may do without its second part");
    let (fill, _) = compiled(&format!("when = \"kind\"\notherwise = \"1\"\n{ONCE}"), "{{ question }}").unwrap();
    assert_eq!(fill.fields(), ["kind".to_owned()].into());
}

#[test]
fn without_a_word_on_it_the_output_of_a_skipped_stage_is_null() {
    let (fill, example) = compiled(&format!("when = \"select\"\notherwise = \"none\"\n{ONCE}"), "x").unwrap();
    for (value, runs) in
        [(json!(""), false), (json!([]), false), (json!(0), false), (json!(null), false), (json!("a"), true)]
    {
        let expected = if runs { Flow::Once } else { Flow::Skipped(Value::Null) };
        assert_eq!(fill.flow(&example, &outputs(value.clone())).unwrap(), expected, "{value}");
    }
}

#[test]
fn a_stage_runs_once_for_each_item_and_sees_it_in_all_its_templates() {
    let keys = format!("each = \"select.steps\"\nsystem = \"Item {{{{ index }}}}.\"\n{ITEMS}");
    let (fill, example) =
        compiled(&keys, "{{ question }}: {{ item.tool }} of {{ stages.select.steps|length }}").unwrap();
    let read = outputs(json!({"steps": [{"tool": "book"}, {"tool": "pay"}]}));
    let rendered = fill.render_all(&example, &read).unwrap();
    let expected = |i: usize, tool: &str| {
        vec![Message::system(format!("Item {i}.")), Message::user(format!("Book and pay: {tool} of 2"))]
    };
    assert_eq!(rendered, [expected(0, "book"), expected(1, "pay")]);
    let with_item = CompiledStage::with_item(&read, &json!({"tool": "pay"}), 1);
    let samples = ["a", "b", "b"].map(|text| fill.read(text, &example));
    let Combine::Call(fused) = fill.combine(Aggregator::Fuse, &example, &with_item, &samples).unwrap() else {
        panic!("fusion calls a model");
    };
    assert!(fused[1].content.starts_with("Book and pay: pay of 2"), "{fused:?}");
    assert_eq!(fill.flow(&example, &outputs(json!({"steps": []}))).unwrap(), Flow::Each(vec![]));
}

#[test]
fn what_is_no_list_or_too_long_a_list_fails_the_example() {
    let (fill, example) = compiled(&format!("each = \"select.steps\"\n{ITEMS}"), "{{ item }}").unwrap();
    let error = |select: Value| fill.flow(&example, &outputs(select)).unwrap_err().to_string();
    assert_eq!(
        error(json!({"steps": "book"})),
        "pipeline.toml (each of stage fill): `each` gave a string, and it must be a list (stage \"fill\", example \"q1\" in line 1 of its file)"
    );
    assert!(error(json!({"steps": null})).contains("`each` gave null"));
    assert!(error(json!({"steps": {"a": 1}})).contains("`each` gave an object"));
    assert!(error(json!({"steps": vec![1; 101]})).contains("a list of 101 items, and 100 is the most"));
    assert!(
        error(json!({"step": []})).contains("`select.steps` is not defined for this example"),
        "{}",
        error(json!({}))
    );
    assert!(fill.flow(&example, &outputs(json!({"steps": vec![1; 100]}))).is_ok());
}

#[test]
fn a_bad_expression_is_found_before_any_example() {
    let problem = |keys: String| compiled(&keys, "{{ question }}").unwrap_err();
    let text = problem(format!("when = \"selekt == 'a'\"\notherwise = \"1\"\n{ONCE}"));
    assert!(text.starts_with("pipeline.toml (when of stage fill):1:1: the variable `selekt` is not defined"), "{text}");
    assert!(text.contains("did you mean `select`?"), "{text}");
    let text = problem(format!("when = \"select ==\"\notherwise = \"1\"\n{ONCE}"));
    assert!(text.contains("the expression cannot be read: ") && text.contains("Jinja without braces"), "{text}");
    let text = problem(format!("each = \"tools|firsts\"\n{ITEMS}"));
    assert!(text.starts_with("pipeline.toml (each of stage fill):1:7: there is no filter `firsts`"), "{text}");
    let text = problem(format!("each = \"tools[item]\"\n{ITEMS}"));
    assert!(text.contains("the variable `item` is not defined"), "`each` itself has no item: {text}");
    let text = compiled(ONCE, "{{ item }}").unwrap_err();
    assert!(text.contains("the variable `item` is not defined"), "{text}");
}

proptest::proptest! {
    #[test]
    fn no_expression_makes_the_check_or_its_value_panic(expression in "[a-z0-9.|\\[\\]() '=<>+-]{0,20}") {
        let keys = format!("when = \"{expression}\"\notherwise = \"{expression}\"\n{ONCE}");
        if let Ok((stage, example)) = compiled(&keys, "x") {
            let _ = stage.flow(&example, &outputs(json!({"a": [1, "x"]})));
        }
    }
}
