//! Bad files: what is said, where, and what to do.

use crate::support::*;
use agenttts_tasks::{Dataset, PrepareOptions, ReadOptions, inspect, prepare};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn truncated_json_is_placed() {
    let text = json!([hotpot("a", "Who?"), hotpot("b", "What?")]).to_string();
    let desk = Desk::new();
    let text = refusal(&desk.write("x.json", &text[..text.len() - 20]));
    assert!(text.starts_with("x.json:1:"), "{text}");
    assert!(text.contains("example 2: the file ends in the middle of a value: it is truncated\n  hint: "), "{text}");
}

#[test]
fn a_row_that_is_cut_off_between_rows_is_truncated_too() {
    let desk = Desk::new();
    let text = refusal(&desk.write("x.json", format!("[{},", hotpot("a", "Who?"))));
    assert!(text.contains("it is truncated"), "{text}");
}

#[test]
fn a_bad_line_is_placed() {
    let desk = Desk::new();
    let row = hotpot("a", "Who?");
    let text = refusal(&desk.write("x.jsonl", format!("{row}\n{{\"_id\": }}\n")));
    assert!(text.starts_with("x.jsonl:2:9: example 2: not valid JSON: expected value\n  hint: "), "{text}");
}

#[test]
fn utf16_is_named() {
    let utf16: Vec<u8> = "\u{feff}[{}]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bare: Vec<u8> = "[{\"a\": 1}]".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [utf16, bare] {
        let text = refusal(&Desk::new().write("x", bytes));
        assert_eq!(text, "x: is UTF-16, not UTF-8\n  hint: convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW");
    }
}

#[test]
fn latin_1_is_placed() {
    let mut bytes = json!([hotpot("a", "Who is Zo# here?")]).to_string().replace(", ", ",\n").into_bytes();
    let at = bytes.iter().position(|b| *b == b'#').unwrap();
    bytes[at] = 0xEB;
    let text = refusal(&Desk::new().write("x", bytes));
    assert!(text.contains(": example 1: is not UTF-8: these bytes are no character\n  hint: "), "{text}");
    let text = refusal(&Desk::new().write("y", b"Name,Description,Category\nA,Caf\xE9 now,B\n"));
    assert!(text.starts_with("y:2:1: ") && text.contains("is not UTF-8"), "{text}");
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    let text = format!("\u{feff}{}", json!([hotpot("a", "Who?")]));
    assert_eq!(look(&Desk::new().write("x", text)).examples, 1);
}

#[test]
fn a_field_of_another_type_is_named_and_placed() {
    let mut row = hotpot("b", "What?");
    row["context"][1][1] = "Ada was a countess.".into();
    let rows = format!("[\n{},\n{row}\n]", hotpot("ü", "Who?"));
    let found = faults(&Desk::new().write("x", rows));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("x:3:"), "{found:?}");
    assert!(found[0].contains("example 2: the field context"), "{found:?}");
    assert!(found[0].contains("invalid type: string \"Ada was a countess.\", expected a sequence"), "{found:?}");
}

#[test]
fn a_missing_field_is_named() {
    let mut row = hotpot("b", "What?");
    row.as_object_mut().unwrap().remove("question");
    let found = faults(&Desk::new().rows("x", &[hotpot("a", "Who?"), row]));
    assert!(found[0].contains("example 2: missing field `question`"), "{found:?}");
}

#[test]
fn duplicate_ids_are_refused() {
    let desk = Desk::new();
    let path = desk.rows("x", &[hotpot("a", "Who?"), hotpot("a", "What?")]);
    assert!(faults(&path)[0].contains("example 2: the id \"a\" was already used by example 1"));
    let text = prepare(&path, &PrepareOptions::default()).unwrap_err().to_string();
    assert!(text.contains("--skip-bad"), "{text}");
}

#[test]
fn bad_examples_are_left_out_only_where_that_was_asked_for() {
    let mut bad = hotpot("c", "Where?");
    bad["supporting_facts"][0][0] = "Nowhere".into();
    let desk = Desk::new();
    let path = desk.rows("x", &[hotpot("a", "Who?"), hotpot("b", "What?"), bad]);
    let text = prepare(&path, &PrepareOptions::default()).unwrap_err().to_string();
    assert!(text.contains("example 3: the gold paragraph \"Nowhere\" is not among its candidates\n  hint: "), "{text}");
    let options = PrepareOptions { skip_bad: true, ..PrepareOptions::default() };
    let made = prepare(&path, &options).unwrap();
    assert_eq!((made.search.examples.len(), made.test.examples.len(), made.report.left_out), (1, 1, 1));
}

#[test]
fn gold_that_is_not_among_the_candidates_is_refused() {
    let row = json!({"question": "Who?", "answers": ["A"], "ctxs_gt": ["gold"], "ctxs_candidate": ["a"]});
    assert!(faults(&Desk::new().rows("x", &[row]))[0].contains("the gold text \"gold\" is not among its candidates"));
    let mut row = taskbench("a");
    row["task_nodes"][0]["task"] = "fly".into();
    let desk = Desk::new();
    desk.write("tool_desc.json", TOOLS);
    let found = faults(&desk.write("data.json", row.to_string()));
    assert!(found[0].contains("the gold tool \"fly\" is not among the tools of dailylifeapis"), "{found:?}");
}

#[test]
fn an_empty_candidate_list_is_refused() {
    let mut empty = hotpot("a", "Who?");
    empty["context"] = json!([]);
    let mut triples = cwq("a", "b");
    triples["2hop_triples"] = json!([]);
    triples["crucial_triples"] = json!([]);
    let texts = json!({"question": "Who?", "answers": ["A"], "ctxs_gt": [], "ctxs_candidate": []});
    for row in [empty, triples, texts] {
        let found = faults(&Desk::new().rows("x", &[row]));
        assert!(found[0].contains("there is nothing to retrieve from"), "{found:?}");
    }
}

#[test]
fn a_file_of_another_data_set_is_named() {
    let desk = Desk::new();
    let path = desk.rows("x", &[webqsp("a")]);
    let options = ReadOptions { expected: Some(Dataset::HotpotQa), ..ReadOptions::default() };
    let text = inspect(&path, &options).unwrap_err().message;
    assert_eq!(text, "does not hold HotpotQA: it looks like WebQSP (questions with parses, without triples)");
    let found = faults(&desk.rows("y", &[hotpot("a", "Who?"), webqsp("a")]));
    assert!(found[0].contains("example 2: looks like WebQSP"), "{found:?}");
    let text = refusal(&desk.rows("z", &[json!({"_id": 1, "question": "x", "supporting_facts": []})]));
    assert!(text.contains("it looks most like HotpotQA or 2WikiMultiHopQA, but has no answer, context"), "{text}");
    let text = refusal(&desk.rows("w", &[json!({"colour": 1, "size": 2})]));
    assert!(text.contains("is of none of the data sets: its fields are colour, size\n"), "{text}");
}

#[test]
fn test_files_without_gold_are_called_that() {
    let mut row = hotpot("a", "Who?");
    row.as_object_mut().unwrap().remove("answer");
    row.as_object_mut().unwrap().remove("supporting_facts");
    let desk = Desk::new();
    let text = prepare(&desk.rows("x", &[row]), &PrepareOptions::default()).unwrap_err().to_string();
    assert!(text.contains("it has no answer or no supporting facts\n  hint: test files are published"), "{text}");
}

#[test]
fn what_is_no_text_file_is_named() {
    for (bytes, what) in [
        (&b""[..], "is empty"),
        (b" \n ", "is empty"),
        (b"[]", "holds no example"),
        (b"\x1F\x8B\x08", "is compressed with gzip"),
        (b"PK\x03\x04", "is a zip archive"),
        (b"PAR1", "is a Parquet file"),
        (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS, not the file itself"),
        (b"<!DOCTYPE html>", "is a web page or XML"),
        (b"[1, 2]", "an example must be a JSON object"),
        (b"hello\nworld\n", "is of none of the data sets"),
    ] {
        let text = refusal(&Desk::new().write("x", bytes));
        assert!(text.contains(what) && text.contains("\n  hint: "), "{text}");
    }
    let text = refusal(&Desk::new().path().join("absent"));
    assert!(text.contains("absent: cannot be read: "), "{text}");
}

#[test]
fn a_double_encoded_list_that_is_broken_is_named() {
    let desk = Desk::new();
    desk.write("tool_desc.json", TOOLS);
    let row =
        json!({"id": "a", "instruction": "x", "tool_steps": "[]", "tool_nodes": "[{\"task\": ", "tool_links": "[]"});
    let found = faults(&desk.write("data.json", row.to_string()));
    assert!(found[0].contains("the field tool_nodes: the text must hold a list as JSON"), "{found:?}");
}

#[test]
fn taskbench_without_its_tools_can_be_looked_at_but_not_prepared() {
    let desk = Desk::new();
    let path = desk.write("data.json", taskbench("a").to_string());
    assert!(look(&path).missing[0].starts_with("the tools"));
    let text = prepare(&path, &PrepareOptions::default()).unwrap_err().to_string();
    assert!(text.contains("the tools of TaskBench are not at hand\n  hint: put the tool_desc.json"), "{text}");
    desk.write("tool_desc.json", "{\"nodes\": 3}");
    assert!(refusal(&path).contains("tool_desc.json:1:11: is no description of tools"));
}

#[test]
fn a_folder_stands_for_the_one_data_file_in_it() {
    let desk = Desk::new();
    assert!(refusal(desk.path()).contains("holds no file of a known data set"));
    desk.rows("dev.json", &[hotpot("a", "Who?")]);
    desk.write("notes.txt", "x");
    assert_eq!(look(desk.path()).examples, 1);
    desk.rows("train.json", &[hotpot("a", "Who?")]);
    assert!(refusal(desk.path()).contains("holds several data files: dev.json, train.json"));
}

#[test]
fn a_test_file_of_its_own_shares_no_question_with_the_search() {
    let desk = Desk::new();
    let train = desk.rows("train", &[hotpot("a", "Who?"), hotpot("b", "What?")]);
    let dev = desk.rows("dev", &[hotpot("x", "who? "), hotpot("y", "Where?")]);
    let options = PrepareOptions { test_from: Some(dev.clone()), search: Some(2), ..PrepareOptions::default() };
    let made = prepare(&train, &options).unwrap();
    let ids: Vec<&str> = made.test.examples.iter().map(|e| e.id.as_str()).collect();
    assert_eq!((ids, made.report.unused_relatives), (vec!["y"], 1));
    let options = PrepareOptions { test: Some(2), ..options };
    let text = prepare(&train, &options).unwrap_err().to_string();
    assert!(text.contains("the test split needs 2 examples, but only 1 are left"), "{text}");
}

fn seeds() -> Vec<Vec<u8>> {
    let wrapped = json!({"Version": 1, "Questions": [webqsp("a"), webqsp("b")]});
    let lists = json!({"names": ["A", "B"], "tasks": ["Make A", "Make B"]});
    [
        json!([hotpot("a", "Who?"), hotpot("b", "What?")]).to_string(),
        format!("{}\n{}\n", hotpot("a", "Who?"), hotpot("b", "What?")),
        json!([cwq("a", "b"), cwq("c", "d")]).to_string(),
        wrapped.to_string(),
        format!("{}\n{}\n", taskbench("a"), taskbench("b")),
        lists.to_string(),
        "Name,Description,Category\nA,\"x, y\",C\nB,z,C\n".to_owned(),
        json!([{"question": "q", "answers": ["a"], "ctxs_gt": ["x"], "ctxs_candidate": ["x", "y"]}]).to_string(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn mutated_bytes_never_panic(
        which in 0_usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = seeds()[which].clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.insert(at.min(bytes.len()), byte),
                1 if !bytes.is_empty() => bytes[at] = byte,
                _ if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let desk = Desk::new();
        desk.write("tool_desc.json", TOOLS);
        let path = desk.write("data.json", bytes);
        let _ = inspect(&path, &ReadOptions::default());
        let _ = prepare(&path, &PrepareOptions { skip_bad: true, ..PrepareOptions::default() });
    }

    #[test]
    fn any_json_is_an_example_or_a_fault(text in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,80}") {
        let _ = inspect(&Desk::new().write("x", text), &ReadOptions::default());
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refusal(&Desk::new().write("x", &deep));
    refusal(&Desk::new().write("y", format!("[{{\"a\": {deep}}}]")));
    let mut row = hotpot("a", "Who?");
    row["extra"] = Value::String("#".into());
    let text = json!([row]).to_string().replace("\"#\"", &deep);
    refusal(&Desk::new().write("z", text));
}
