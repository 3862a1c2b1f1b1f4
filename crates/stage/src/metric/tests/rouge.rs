//! ROUGE: the values that `rouge_score` documents, and others by hand.

use MetricKind::{Rouge1, Rouge2, RougeL, StepsRouge1, StepsRouge2, StepsRougeL};

use super::*;

fn stemmed(kind: MetricKind, output: &str, gold: &str) -> f64 {
    score(&MetricSpec { stem: true, ..spec(kind) }, &json!(output), &example(json!(gold))).unwrap()
}

#[test]
fn the_examples_of_rouge_score() {
    let gold = json!("testing one two");
    assert_eq!(of(Rouge1, json!("testing"), gold.clone()), 0.5);
    assert_eq!(of(Rouge1, json!("testing one"), gold.clone()), 0.8);
    assert_eq!(of(Rouge2, json!("testing one"), gold.clone()), 2.0 / 3.0);
    assert_eq!(of(RougeL, json!("testing one"), gold.clone()), 0.8);
    assert_eq!(of(RougeL, json!("testing two"), gold.clone()), 0.8);
    for kind in [Rouge1, Rouge2, RougeL] {
        assert_eq!(of(kind, json!(""), gold.clone()), 0.0);
        assert_eq!(of(kind, json!("/"), gold.clone()), 0.0);
        assert_eq!(of(kind, json!(""), json!("")), 0.0);
    }
}

#[test]
fn values_by_hand() {
    let gold = json!("The quick brown fox jumps over the lazy dog");
    let output = json!("The quick brown dog jumps on the log.");
    // 9 and 8 words; shared: the (twice), quick, brown, dog, jumps.
    assert_eq!(of(Rouge1, output.clone(), gold.clone()), 2.0 * 6.0 / 17.0);
    // 8 and 7 pairs; shared: the quick, quick brown.
    assert_eq!(of(Rouge2, output.clone(), gold.clone()), 2.0 * 2.0 / 15.0);
    // the quick brown jumps the.
    assert_eq!(of(RougeL, output, gold), 2.0 * 5.0 / 17.0);
    // Order counts for ROUGE-L alone: two of three words in order.
    assert_eq!(of(Rouge1, json!("c b a"), json!("a b c")), 1.0);
    assert_eq!(of(RougeL, json!("b c a"), json!("a b c")), 2.0 / 3.0);
}

#[test]
fn words_are_runs_of_latin_letters_and_digits() {
    assert_eq!(of(Rouge1, json!("Mid-August, 1963!"), json!("mid august 1963")), 1.0);
    assert_eq!(of(RougeL, json!("don't"), json!("don t")), 1.0);
    assert_eq!(of(Rouge1, json!("猫"), json!("猫")), 0.0);
}

#[test]
fn the_best_of_several_golds_counts() {
    assert_eq!(of(RougeL, json!("a b"), json!(["x y", "a b c", "b"])), 0.8);
}

#[test]
fn stemming_joins_the_forms_of_a_word() {
    assert_eq!(of(Rouge1, "booked flights".into(), json!("booking a flight")), 0.0);
    assert_eq!(stemmed(Rouge1, "booked flights", "booking flight"), 1.0);
    assert_eq!(stemmed(Rouge1, "relational databases", "relate database"), 1.0);
    // Words of up to three letters stay: "was" is not "wa".
    assert_eq!(stemmed(Rouge1, "was", "wa"), 0.0);
}

#[test]
fn the_steps_of_a_plan_are_one_text() {
    let gold = json!({"steps": ["Step 1: find it", "Step 2: send it"], "nodes": []});
    let same = [
        json!(["Step 1: find it", "Step 2: send it"]),
        json!({"task_steps": ["Step 1: find it", "Step 2: send it"]}),
        json!({"tool_steps": "[\"Step 1: find it\", \"Step 2: send it\"]"}),
        json!({"result": {"steps": [{"step": "Step 1: find it"}, {"description": "Step 2: send it"}]}}),
        json!("Here you are:\n```json\n{\"steps\": [\"Step 1: find it\", \"Step 2: send it\"]}\n```"),
        json!("Step 1: find it\nStep 2: send it"),
    ];
    for output in same {
        for kind in [StepsRouge1, StepsRouge2, StepsRougeL] {
            assert_eq!(of(kind, output.clone(), gold.clone()), 1.0, "{output}");
        }
    }
    // 4 of 4 and 8 words in order.
    assert_eq!(of(StepsRougeL, json!(["Step 1: find it"]), gold.clone()), 2.0 * 4.0 / 12.0);
    assert_eq!(
        of(StepsRougeL, json!(["Step 1: find it"]), json!(["Step 1: find it", "Step 2: send it"])),
        2.0 * 4.0 / 12.0
    );
    assert_eq!(of(StepsRougeL, json!(null), gold.clone()), 0.0);
    assert_eq!(of(StepsRougeL, json!(7), gold), 0.0);
    assert!(score(&spec(StepsRougeL), &json!("x"), &example(json!({"answer": "x"}))).is_err());
}
