//! Metrics against values computed by hand.

mod code;
mod rouge;
mod tools;

use agenttts_core::Example;
use agenttts_core::pipeline::{MetricKind, MetricSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::MetricError;

fn example(gold: Value) -> Example {
    Example { id: "q7".into(), line: 12, fields: json!({"question": "?", "gold": gold}).as_object().unwrap().clone() }
}

fn spec(kind: MetricKind) -> MetricSpec {
    MetricSpec {
        kind,
        gold: Some("gold".into()),
        aliases: vec![],
        stem: false,
        of: vec![],
        embedder: None,
        judge: None,
    }
}

fn score(spec: &MetricSpec, output: &Value, example: &Example) -> Result<f64, MetricError> {
    super::score(spec, output, example, &super::Seen::default())
}

fn of(kind: MetricKind, output: Value, gold: Value) -> f64 {
    score(&spec(kind), &output, &example(gold)).unwrap()
}

#[test]
fn exact_match_is_after_normalisation_and_against_any_gold() {
    use MetricKind::ExactMatch;
    assert_eq!(of(ExactMatch, json!("The  Eiffel Tower."), json!("eiffel tower")), 1.0);
    assert_eq!(of(ExactMatch, json!("Eiffel"), json!("eiffel tower")), 0.0);
    assert_eq!(of(ExactMatch, json!("NYC"), json!(["New York", "NYC"])), 1.0);
    assert_eq!(of(ExactMatch, json!(5), json!("5")), 1.0);
    assert_eq!(of(ExactMatch, json!("true"), json!(true)), 1.0);
    // To the letter as the script of SQuAD has it.
    assert_eq!(of(ExactMatch, json!("1.5"), json!("15")), 1.0);
}

#[test]
fn f1_counts_shared_tokens() {
    use MetricKind::F1;
    // "barack hussein obama" and "obama barack": 2 shared of 3 and 2, so 2*2/5.
    assert_eq!(of(F1, json!("Barack Hussein Obama"), json!("Obama, Barack")), 0.8);
    // Repeats count as often as they are shared: 2*1/(3+1).
    assert_eq!(of(F1, json!("no no no"), json!("no")), 0.5);
    // The better of 2*1/(2+1) and 0.
    assert_eq!(of(F1, json!("big cat"), json!(["dog", "cat"])), 2.0 / 3.0);
    assert_eq!(of(F1, json!("x"), json!("y")), 0.0);
}

#[test]
fn aliases_are_as_good_as_the_gold_answer() {
    let spec =
        |kind, aliases: &[&str]| MetricSpec { aliases: aliases.iter().map(|a| (*a).into()).collect(), ..spec(kind) };
    let example = Example {
        fields: json!({"gold": ["USA", "America"], "alias": ["the United States"], "more": {"demonyms": "American"}, "none": []})
            .as_object()
            .unwrap()
            .clone(),
        ..example(json!(null))
    };
    let of = |kind, aliases: &[&str], output| score(&spec(kind, aliases), &json!(output), &example).unwrap();
    assert_eq!(of(MetricKind::ExactMatch, &[], "united states"), 0.0);
    assert_eq!(of(MetricKind::ExactMatch, &["alias"], "united states"), 1.0);
    assert_eq!(of(MetricKind::ExactMatch, &["alias", "more.demonyms"], "American."), 1.0);
    assert_eq!(of(MetricKind::F1, &["alias"], "the united kingdom"), 0.5);
    assert_eq!(of(MetricKind::Contains, &["alias"], "It is the United States."), 1.0);
    assert_eq!(of(MetricKind::Rouge1, &["alias"], "United States"), 0.8);
    // An example without aliases still has its gold answer.
    assert_eq!(of(MetricKind::ExactMatch, &["none", "absent"], "america"), 1.0);
}

#[test]
fn aliases_that_are_no_texts_are_named() {
    let example =
        Example { fields: json!({"gold": "x", "alias": [["y"]]}).as_object().unwrap().clone(), ..example(json!(null)) };
    let spec = MetricSpec { aliases: vec!["alias".into()], ..spec(MetricKind::F1) };
    let error = score(&spec, &json!("x"), &example).unwrap_err().to_string();
    assert!(error.contains("\"alias\" is a list with a list"), "{error}");
}

#[test]
fn verdicts_count_only_whole_in_hotpotqa() {
    use MetricKind::{F1, HotpotF1};
    // SQuAD's F1 gives half a point for "no" in "no one": 2*1/(1+2).
    assert_eq!(of(F1, json!("no"), json!("no one")), 2.0 / 3.0);
    assert_eq!(of(HotpotF1, json!("no"), json!("no one")), 0.0);
    assert_eq!(of(HotpotF1, json!("yes, it is"), json!("yes")), 0.0);
    assert_eq!(of(HotpotF1, json!("Yes."), json!("yes")), 1.0);
    assert_eq!(of(HotpotF1, json!("noanswer"), json!("Paris")), 0.0);
    assert_eq!(of(HotpotF1, json!("no"), json!(["yes", "No"])), 1.0);
    // Where neither is a verdict it is F1: 2*2/(3+2).
    assert_eq!(of(HotpotF1, json!("Barack Hussein Obama"), json!("Obama, Barack")), 0.8);
    assert_eq!(of(HotpotF1, json!("no one at all"), json!("no one")), 2.0 / 3.0);
}

#[test]
fn contains_is_by_whole_words() {
    use MetricKind::Contains;
    assert_eq!(of(Contains, json!("It is in New  York, I think."), json!("new york")), 1.0);
    assert_eq!(of(Contains, json!("a party"), json!("art")), 0.0);
    assert_eq!(of(Contains, json!("anything"), json!("")), 0.0);
}

#[test]
fn numbers_are_equal_by_value() {
    use MetricKind::Number;
    assert_eq!(of(Number, json!(1234.5), json!("$1,234.50")), 1.0);
    assert_eq!(of(Number, json!("so 18 apples"), json!(18.0)), 1.0);
    assert_eq!(of(Number, json!(0.1 + 0.2), json!(0.3)), 1.0);
    assert_eq!(of(Number, json!(1000001), json!(1000000)), 0.0);
    assert_eq!(of(Number, json!(0), json!(0)), 1.0);
    assert_eq!(of(Number, json!("none"), json!(3)), 0.0);
    assert_eq!(of(Number, json!(72), json!("5 * 2 = 10\n#### 72")), 1.0);
    assert_eq!(of(Number, json!(4), json!([3, 4])), 1.0);
}

#[test]
fn sets_are_scored_by_shared_ids() {
    use MetricKind::{SetF1, SetPrecision, SetRecall};
    let (output, gold) = (json!(["a", "b", "c"]), json!(["b", {"id": "c"}, "d", "e"]));
    assert_eq!(of(SetPrecision, output.clone(), gold.clone()), 2.0 / 3.0);
    assert_eq!(of(SetRecall, output.clone(), gold.clone()), 0.5);
    assert_eq!(of(SetF1, output, gold), 4.0 / 7.0);
    assert_eq!(of(SetF1, json!(["7"]), json!(7)), 1.0);
    assert_eq!(of(SetF1, json!("a"), json!("a")), 1.0);
}

/// A question of WebQSP with several parses is answered if it is answered by one of them (the official script).
#[test]
fn of_several_gold_sets_the_best_counts() {
    use MetricKind::{SetF1, SetPrecision, SetRecall};
    let golds = json!([["Woolf"], ["Joyce", "Woolf"]]);
    assert_eq!(of(SetF1, json!(["Woolf"]), golds.clone()), 1.0);
    assert_eq!(of(SetF1, json!(["Woolf", "Joyce"]), golds.clone()), 1.0);
    assert_eq!(of(SetRecall, json!(["Joyce"]), golds.clone()), 0.5);
    assert_eq!(of(SetPrecision, json!(["Joyce", "Proust"]), golds.clone()), 0.5);
    assert_eq!(super::gold_output(&spec(SetF1), &golds), Some(json!(["Woolf"])));
    assert_eq!(of(SetF1, json!([]), json!([["a"], []])), 1.0);
    let mixed = score(&spec(SetF1), &json!([]), &example(json!([["a"], "b"]))).unwrap_err();
    assert!(mixed.to_string().contains("is a list with a list"), "{mixed}");
}

#[test]
fn empty_sets_follow_the_documented_rules() {
    use MetricKind::{SetF1, SetPrecision, SetRecall};
    for kind in [SetF1, SetPrecision, SetRecall] {
        assert_eq!(of(kind, json!([]), json!([])), 1.0);
        assert_eq!(of(kind, json!([]), json!(["a"])), 0.0);
    }
    assert_eq!(of(SetPrecision, json!(["a"]), json!([])), 0.0);
    assert_eq!(of(SetF1, json!(["a"]), json!([])), 0.0);
    assert_eq!(of(SetRecall, json!(["a"]), json!([])), 1.0);
}

#[test]
fn gold_lies_at_a_dotted_path() {
    let example = Example { id: "1".into(), line: 1, fields: json!({"a": {"b": "x"}}).as_object().unwrap().clone() };
    let spec = MetricSpec { gold: Some("a.b".into()), ..spec(MetricKind::ExactMatch) };
    assert_eq!(score(&spec, &json!("X"), &example), Ok(1.0));
}

#[test]
fn a_missing_or_useless_gold_field_names_the_example() {
    let missing = MetricSpec { gold: Some("answer".into()), ..spec(MetricKind::F1) };
    let error = score(&missing, &json!("x"), &example(json!("x"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "example \"q7\" (line 12) has no gold field \"answer\"\n  hint: its fields are question, gold"
    );
    let error = score(&spec(MetricKind::Number), &json!("x"), &example(json!("many"))).unwrap_err();
    assert!(matches!(&error, MetricError::UnusableGold { found, .. } if found == "without a number"), "{error}");
    let error = score(&spec(MetricKind::ExactMatch), &json!("x"), &example(json!(["x", null]))).unwrap_err();
    assert!(error.to_string().contains("is a list with null"), "{error}");
    assert!(score(&spec(MetricKind::ExactMatch), &json!("x"), &example(json!([]))).is_err());
}

/// Any JSON, with keys and texts that metrics look for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab12. the-]{0,12}|\\PC{0,8}".prop_map(Value::from),
        "<node-[0-9]{1,25}>|<node-|tool_a|Tool A|x.jpg|yes|\\[\\{\"task\": \"tool a\"\\}\\]".prop_map(Value::from),
        "(def f\\(\\):|class A:|```(py)?| |\n|pass|\\.\\.\\.|# TODO|\"\"\"|[(\\[{]|x = 1){0,12}".prop_map(Value::from),
    ];
    let key =
        "nodes|tool_nodes|links|task_links|steps|result|task|arguments|name|value|from|source|target|id|a\\.py|content";
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            inner.clone().prop_map(|v| json!({"id": v})),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn scores_are_shares(output in any_json(), gold in any_json()) {
        for kind in MetricKind::ALL {
            for stem in [false, true] {
                if let Ok(s) = score(&MetricSpec { stem, ..spec(kind) }, &output, &example(gold.clone())) {
                    prop_assert!((0.0..=1.0).contains(&s), "{kind:?}: {s}");
                }
            }
        }
    }

    #[test]
    fn an_output_equal_to_the_gold_scores_one(text in "[a-z]{2,5}( [a-z]{2,5}){1,3}") {
        let others = [MetricKind::Number, MetricKind::EdgeF1, MetricKind::ParameterNameF1, MetricKind::ParameterValueF1,
            MetricKind::NodeF1, MetricKind::Completeness, MetricKind::Executability, MetricKind::Consistency, MetricKind::LlmJudge,
            MetricKind::Mean, MetricKind::Product];
        for kind in MetricKind::ALL.into_iter().filter(|k| !others.contains(k)) {
            prop_assert_eq!(of(kind, json!(text), json!(text)), 1.0);
        }
    }
}
