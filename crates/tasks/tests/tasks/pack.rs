//! Every loader on every file of the pack; skipped where the pack is not there.

use std::collections::{BTreeMap, HashSet};

use crate::support::*;
use agenttts_tasks::{Dataset, PrepareOptions, ReadOptions, inspect, prepare};
use serde_json::Value;

const FILES: [(&str, &str); 15] = [
    ("2wiki/tts_test.json", "2WikiMultiHopQA (layout of AgentTTS, sentences without titles)"),
    ("2wiki/dev_original_format.json", "2WikiMultiHopQA (original release, without ids)"),
    ("hotpotqa/hotpot_distractor.json", "HotpotQA (original release)"),
    ("hotpotqa/hotpot_hf_layout.jsonl", "HotpotQA (layout of the datasets library)"),
    ("cwq/data_with_ct_0.5.json", "ComplexWebQuestions (with triples)"),
    ("cwq/data_with_ct_0.4_gold_only.json", "ComplexWebQuestions (with triples)"),
    ("cwq/cwq_flat.json", "ComplexWebQuestions (flat, without triples)"),
    ("webqsp/webqsp_flat.json", "WebQSP (questions with parses, without triples)"),
    ("webqsp/data_with_candidates_derived.json", "WebQSP (questions with parses and triples)"),
    ("taskbench/data_dailylifeapis/data.json", "TaskBench (fields task_steps, task_nodes, task_links)"),
    ("taskbench/data_huggingface/data.json", "TaskBench (fields task_steps, task_nodes, task_links)"),
    ("taskbench/data_multimedia/data.json", "TaskBench (fields task_steps, task_nodes, task_links)"),
    (
        "taskbench/data_dailylifeapis_release2024-09/data_task_fields.json",
        "TaskBench (fields task_steps, task_nodes, task_links)",
    ),
    ("taskbench/data_dailylifeapis_release2024-09/data.json", "TaskBench (fields tool_steps, tool_nodes, tool_links)"),
    ("srdd/tasks.json", "SRDD (names and descriptions)"),
];

fn rows(file: &str) -> Option<usize> {
    let text = std::fs::read_to_string(pack(file)?).unwrap();
    Some(match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(rows)) => rows.len(),
        Ok(Value::Object(lists)) => lists["names"].as_array().unwrap().len(),
        _ => text.lines().count(),
    })
}

#[test]
fn every_file_is_recognised_and_every_row_is_an_example() {
    for (file, format) in FILES {
        let Some(path) = pack(file) else { return };
        let found = look(&path);
        assert_eq!((found.format.as_str(), found.bad), (format, 0), "{file}: {:?}", found.faults);
        assert_eq!(Some(found.examples), rows(file), "{file}");
        assert_eq!(found.shown.len(), 3, "{file}");
    }
}

#[test]
fn every_file_becomes_two_disjoint_splits_with_gold_among_the_candidates() {
    for (file, _) in FILES {
        let Some(path) = pack(file) else { return };
        let tools = pack("taskbench/data_dailylifeapis/tool_desc.json").filter(|_| file.contains("release"));
        let read = ReadOptions { tools, ..ReadOptions::default() };
        let options = PrepareOptions { read, ..PrepareOptions::default() };
        let made = prepare(&path, &options).unwrap();
        assert!(!made.search.examples.is_empty() && !made.test.examples.is_empty(), "{file}");
        let ids: HashSet<&str> = made.search.examples.iter().map(|e| e.id.as_str()).collect();
        assert!(made.test.examples.iter().all(|e| !ids.contains(e.id.as_str())), "{file}");
        for example in made.search.examples.iter().chain(&made.test.examples) {
            if let Some(gold) = example.fields.get("gold_ids") {
                let known: HashSet<&str> = example.fields["candidates"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|c| c["id"].as_str().unwrap())
                    .collect();
                assert!(gold.as_array().unwrap().iter().all(|g| known.contains(g.as_str().unwrap())), "{file}");
            }
        }
    }
}

#[test]
fn equal_arguments_give_equal_splits_and_seeds_matter() {
    let Some(path) = pack("hotpotqa/hotpot_hf_layout.jsonl") else { return };
    let (one, two) = (split(&path, 8, 8), split(&path, 8, 8));
    assert_eq!((&one.search, &one.test), (&two.search, &two.test));
    let options = PrepareOptions { seed: 2, search: Some(8), test: Some(8), ..PrepareOptions::default() };
    assert_ne!(prepare(&path, &options).unwrap().search, one.search);
}

#[test]
fn what_was_written_is_what_a_pipeline_reads() {
    let Some(path) = pack("hotpotqa/hotpot_distractor.json") else { return };
    let (desk, made) = (Desk::new(), split(&path, 20, 30));
    let paths = made.write(&desk.path().join("out"), false).unwrap();
    for (path, split, count) in [(&paths[0], &made.search, 20), (&paths[1], &made.test, 30)] {
        let text = std::fs::read_to_string(path).unwrap();
        let read = agenttts_core::parse_examples(&split.file, &text, "id", None).unwrap();
        assert_eq!(read.examples.len(), count);
        assert_eq!(read, *split);
    }
    let error = made.write(&desk.path().join("out"), false).unwrap_err().to_string();
    assert!(error.contains("search.jsonl: is there already"), "{error}");
    made.write(&desk.path().join("out"), true).unwrap();
}

#[test]
fn pools_of_hotpotqa_hold_a_hundred_paragraphs_of_the_file() {
    let Some(path) = pack("hotpotqa/hotpot_distractor.json") else { return };
    let made = split(&path, 30, 5);
    assert_eq!(made.report.corpus, Some(1042));
    for example in &made.search.examples {
        assert_eq!(example.fields["candidates"].as_array().unwrap().len(), 100);
        assert_eq!(example.fields["gold_ids"].as_array().unwrap().len(), 2);
    }
    let first: Vec<usize> = made.search.examples.iter().filter_map(|e| place_of_gold(&e.fields)).collect();
    let mean = first.iter().sum::<usize>() as f64 / first.len() as f64;
    assert!((35.0..65.0).contains(&mean), "gold stands anywhere in the pool: {mean}");
}

fn place_of_gold(example: &serde_json::Map<String, Value>) -> Option<usize> {
    let id = example["gold_ids"].as_array()?.last()?.as_str()?.to_owned();
    example["candidates"].as_array()?.iter().position(|c| c["id"] == *id)
}

#[test]
fn both_layouts_of_hotpotqa_give_the_same_examples() {
    let (Some(hf), Some(original)) = (pack("hotpotqa/hotpot_hf_layout.jsonl"), pack("hotpotqa/hotpot_distractor.json"))
    else {
        return;
    };
    let all: BTreeMap<String, Value> = {
        let made = split(&original, 50, 55);
        let both = made.search.examples.into_iter().chain(made.test.examples);
        both.map(|e| (e.id, e.fields["answers"].clone())).collect()
    };
    let made = split(&hf, 10, 10);
    let same = made.search.examples.iter().chain(&made.test.examples);
    assert!(same.filter_map(|e| Some((all.get(&e.id)?, &e.fields["answers"]))).all(|(a, b)| a == b));
}

#[test]
fn cwq_keeps_paraphrases_of_one_base_question_on_one_side() {
    let Some(path) = pack("cwq/data_with_ct_0.5.json") else { return };
    let base = |id: &str| id.split_once('_').unwrap().0.to_owned();
    for seed in 1..4 {
        let options = PrepareOptions { seed, search: Some(15), test: Some(15), ..PrepareOptions::default() };
        let made = prepare(&path, &options).unwrap();
        let search: HashSet<String> = made.search.examples.iter().map(|e| base(&e.id)).collect();
        assert!(made.test.examples.iter().all(|e| !search.contains(&base(&e.id))));
    }
}

#[test]
fn srdd_is_split_evenly_over_its_sorted_categories() {
    let Some(path) = pack("srdd/data_attribute_format.csv") else { return };
    let found = look(&path);
    assert_eq!((found.examples, found.bad, found.format.as_str()), (120, 0, "SRDD (names and descriptions)"));
    let made = split(&path, 40, 80);
    let category = |e: &agenttts_core::Example| e.fields["category"].as_str().unwrap().to_owned();
    let search: HashSet<String> = made.search.examples.iter().map(category).collect();
    assert_eq!(search.len(), 40);
    let first: HashSet<String> = made.search.examples.iter().take(5).map(category).collect();
    assert_eq!(first.len(), 5, "the first five are not of one category");
}

#[test]
fn taskbench_is_split_evenly_over_types_of_graph() {
    let Some(path) = pack("taskbench/data_dailylifeapis/data.json") else { return };
    let made = split(&path, 26, 26);
    let count = |split: &agenttts_core::Split| {
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        for example in &split.examples {
            *counts.entry(example.fields["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    };
    let (search, test) = (count(&made.search), count(&made.test));
    assert!(search.iter().all(|(kind, n)| (n - test.get(kind).unwrap_or(&0)).abs() <= 2), "{search:?} {test:?}");
    let example = &made.search.examples[0].fields;
    assert_eq!((example["tools"].as_array().unwrap().len(), &example["domain"]), (40, &"dailylifeapis".into()));
}

#[test]
fn the_domains_of_taskbench_are_told_apart() {
    for domain in ["huggingface", "multimedia"] {
        let Some(path) = pack(&format!("taskbench/data_{domain}")) else { return };
        assert_eq!(look(&path).shown[0]["domain"], domain);
    }
}

#[test]
fn companions_of_the_data_are_called_by_name() {
    for (file, what) in [
        ("taskbench/data_dailylifeapis/tool_desc.json", "the tool descriptions of TaskBench"),
        ("taskbench/data_dailylifeapis/graph_desc.json", "the tool graph of TaskBench"),
        ("taskbench/data_dailylifeapis/user_requests.json", "the requests of TaskBench without their gold"),
        ("gsm8k/test.jsonl", "questions and answers such as GSM8K's"),
        ("game24/gpt4_cot.csv", "Game of 24"),
    ] {
        let Some(path) = pack(file) else { return };
        let text = refusal(&path);
        assert!(text.contains(&format!("is of none of the data sets; it looks like {what}\n  hint: ")), "{text}");
    }
}

#[test]
fn every_file_is_refused_where_another_data_set_is_expected() {
    for (file, format) in FILES {
        let Some(path) = pack(file) else { return };
        for expected in Dataset::ALL {
            let options = ReadOptions { expected: Some(expected), ..ReadOptions::default() };
            match inspect(&path, &options) {
                Ok(found) => assert_eq!(found.dataset, expected.name()),
                Err(error) => assert!(error.message.contains(&format!("it looks like {format}")), "{error}"),
            }
        }
    }
}
