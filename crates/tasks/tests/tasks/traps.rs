//! What is peculiar about the published files: one test for each, named after it, on rows made by hand.

use crate::support::*;
use agenttts_tasks::{PrepareOptions, ReadOptions, inspect, prepare};
use serde_json::{Value, json};

// 2WikiMultiHopQA

#[test]
fn twowiki_answers_list_repeats_of_the_answer_among_its_aliases() {
    let row = json!({"question": "Where?", "answers": ["Galați", "Galatz", "Galați", "Galatz"],
        "ctxs_gt": ["b"], "ctxs_candidate": ["a", "b"]});
    let example = only(&Desk::new().rows("x", &[row]));
    assert_eq!((&example["answers"], &example["aliases"]), (&json!(["Galați"]), &json!(["Galatz"])));
}

#[test]
fn twowiki_agenttts_layout_has_no_ids_and_gold_is_found_by_its_text() {
    let row = json!({"question": "Who?", "answers": ["A"], "ctxs_gt": ["He is the son of B.", "a"],
        "ctxs_candidate": ["a", "c", "He is the son of B."]});
    let desk = Desk::new();
    let found = look(&desk.rows("x", &[row.clone(), row]));
    assert_eq!((&found.shown[0]["id"], &found.shown[1]["id"]), (&json!("row-1"), &json!("row-2")));
    let mut gold = gold_texts(&found.shown[0]);
    gold.sort();
    assert_eq!(gold, ["He is the son of B.", "a"]);
    assert_eq!(found.missing, ["ids (the numbers of rows stand in)", "titles"]);
}

#[test]
fn twowiki_release_with_ids_finds_aliases_and_demonyms_beside_it() {
    let row = json!({"_id": "a", "type": "inference", "question": "Who?", "answer": "Norway", "answer_id": "Q20",
        "entity_ids": "Q1_Q2", "evidences": [["x", "y", "z"]], "evidences_id": [["Q1", "y", "Q2"]],
        "supporting_facts": [["T", 0]], "context": [["T", ["One.", "Two."]], ["U", ["Three."]]]});
    let desk = Desk::new();
    let path = desk.rows("dev.json", &[row]);
    let found = look(&path);
    assert_eq!(found.format, "2WikiMultiHopQA (original release, with ids)");
    assert!(found.missing[0].contains("id_aliases.json"), "{:?}", found.missing);
    desk.write("id_aliases.json", "{\"Q_id\": \"Q20\", \"aliases\": [\"Noreg\", \"Norway\"], \"demonyms\": [\"Norse\"]}\n{\"Q_id\": \"Q9\", \"aliases\": [], \"demonyms\": null}\n");
    let found = look(&path);
    assert_eq!(found.shown[0]["aliases"], json!(["Noreg", "Norse"]));
    assert!(found.missing.is_empty());
    let text = refusal(&desk.path().join("id_aliases.json"));
    assert!(text.contains("it looks like the aliases of 2WikiMultiHopQA"), "{text}");
}

#[test]
fn twowiki_release_without_ids_says_that_aliases_are_missing() {
    let row = json!({"_id": "a", "type": "comparison", "question": "Who?", "answer": "no", "evidences": [],
        "supporting_facts": [["T", 0]], "context": [["T", ["One.", "Two."]]]});
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.format, "2WikiMultiHopQA (original release, without ids)");
    assert!(found.missing[0].starts_with("aliases of answers"));
    assert_eq!(found.shown[0]["candidates"][0]["text"], "One. Two.");
}

// HotpotQA

#[test]
fn hotpotqa_sentences_that_begin_with_a_blank_are_joined_without_another() {
    let example = only(&Desk::new().rows("x", &[hotpot("a", "Who?")]));
    let texts: Vec<&Value> = example["candidates"].as_array().unwrap().iter().map(|c| &c["text"]).collect();
    assert!(texts.contains(&&json!("An engine was planned. Ada wrote its programs.")), "{texts:?}");
    assert!(texts.iter().all(|t| !t.as_str().unwrap().contains("  ")));
}

#[test]
fn hotpotqa_each_sentence_says_for_itself_whether_it_brings_a_blank() {
    let mut row = hotpot("a", "Who?");
    row["context"][2] =
        json!(["Rope", ["Rope is made", " of hemp (now defunct).", "The rope is strong.", "", " So it is."]]);
    let example = only(&Desk::new().rows("x", &[row]));
    let texts = example["candidates"].to_string();
    assert!(texts.contains("Rope is made of hemp (now defunct). The rope is strong. So it is."), "{texts}");
}

#[test]
fn hotpotqa_row_may_have_both_ids_and_sentence_numbers_as_texts() {
    let mut row = hotpot("a", "Who?");
    row["id"] = "b".into();
    row["supporting_facts"] = json!([["Engine", "1"], ["Ada", "0"]]);
    let example = only(&Desk::new().rows("x", &[row]));
    assert_eq!((&example["id"], gold_texts(&example).len()), (&json!("a"), 2));
}

#[test]
fn hotpotqa_gold_is_matched_by_title() {
    let example = only(&Desk::new().rows("x", &[hotpot("a", "Who?")]));
    let mut gold = gold_texts(&example);
    gold.sort();
    assert_eq!(gold, ["Ada was a countess.", "An engine was planned. Ada wrote its programs."]);
}

#[test]
fn hotpotqa_row_may_have_fewer_than_ten_paragraphs() {
    let found = look(&Desk::new().rows("x", &[hotpot("a", "Who?")]));
    assert_eq!(notes(&found), [("fewer than the 10 paragraphs of the original", 1)]);
}

#[test]
fn hotpotqa_repeated_title_overwrites_no_paragraph() {
    let mut row = hotpot("a", "Who?");
    row["context"].as_array_mut().unwrap().insert(0, json!(["Engine", ["Another engine."]]));
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.shown[0]["candidates"].as_array().unwrap().len(), 4);
    assert!(!gold_texts(&found.shown[0]).contains(&"Another engine.".to_owned()), "its second sentence is gold");
    assert!(notes(&found).contains(&("a title occurs twice in the context", 1)));
}

#[test]
fn hotpotqa_sentence_number_beyond_the_paragraph_is_noted() {
    let mut row = hotpot("a", "Who?");
    row["supporting_facts"][1][1] = 7.into();
    let found = look(&Desk::new().rows("x", &[row]));
    assert!(notes(&found).contains(&("a supporting sentence's number is beyond its paragraph", 1)));
    assert_eq!(found.gold.unwrap().least, 2);
}

#[test]
fn hotpotqa_hf_layout_has_lists_of_titles_and_of_sentences() {
    let row = json!({"id": "a", "question": "Who?", "answer": "Ada", "type": "bridge", "level": "hard",
        "supporting_facts": {"title": ["B"], "sent_id": [0]},
        "context": {"title": ["A", "B"], "sentences": [["x."], ["y.", " z."]]}});
    let desk = Desk::new();
    let path = desk.write("x.jsonl", format!("{row}\n\n{row}\n").replacen("\"a\"", "\"b\"", 1));
    let found = look(&path);
    assert_eq!((found.format.as_str(), found.examples), ("HotpotQA (layout of the datasets library)", 2));
    assert_eq!(gold_texts(&found.shown[0]), ["y. z."]);
}

#[test]
fn hotpotqa_pool_comes_from_all_paragraphs_of_the_file_with_gold() {
    let rows: Vec<Value> = (0..30)
        .map(|i| {
            let mut row = hotpot(&format!("id{i}"), &format!("Which engine had rope {i}?"));
            row["context"][2] = json!([format!("Rope {i}"), [format!("Rope number {i} is made of hemp.")]]);
            row
        })
        .collect();
    let desk = Desk::new();
    let path = desk.rows("x", &rows);
    let options = PrepareOptions { candidates: 12, search: Some(10), test: Some(10), ..PrepareOptions::default() };
    let made = prepare(&path, &options).unwrap();
    assert_eq!(made.report.corpus, Some(32));
    for example in &made.search.examples {
        assert_eq!(example.fields["candidates"].as_array().unwrap().len(), 12);
        assert_eq!(example.fields["gold_ids"].as_array().unwrap().len(), 2);
        let number = example.id.trim_start_matches("id");
        let texts = example.fields["candidates"].to_string();
        assert!(texts.contains(&format!("Rope number {number} is")), "the best match is in the pool");
    }
}

// ComplexWebQuestions

#[test]
fn cwq_a_flat_answer_is_one_string_where_others_list_more() {
    let row = json!({"ID": "a", "question": "When?", "webqsp_ID": "b", "compositionality_type": "composition",
        "answer": "2014 World Series", "topic_entity": {"m.03": "Lou Seal"}, "qid_topic_entity": {}});
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.shown[0]["answers"], json!(["2014 World Series"]));
    assert_eq!(found.shown[0]["topic_entities"], json!(["Lou Seal"]));
    assert_eq!(notes(&found), [("its answer is one text, where other releases may list more", 1)]);
    assert!(found.missing[0].starts_with("candidate and gold triples"));
}

#[test]
fn cwq_b_crucial_triples_are_gold_and_the_other_gold_ones_are_missing_from_the_graph() {
    let desk = Desk::new();
    let path = desk.rows("x", &[cwq("a", "b")]);
    let example = only(&path);
    assert_eq!(gold_texts(&example), ["Giants | team.mascot | Seal"]);
    assert!(!example["candidates"].to_string().contains("mascot.team"));
    let whole = ReadOptions { complete_graph: true, ..ReadOptions::default() };
    let example = inspect(&path, &whole).unwrap().shown[0].clone();
    let mut gold = gold_texts(&example);
    gold.sort();
    assert_eq!(gold, ["Giants | team.mascot | Seal", "Seal | mascot.team | Giants"]);
}

#[test]
fn cwq_c_rows_without_crucial_triple_have_no_gold_and_are_kept() {
    let mut row = cwq("a", "b");
    row["crucial_triples"] = json!([]);
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!((found.bad, &found.shown[0]["gold_ids"]), (0, &json!([])));
    assert_eq!(notes(&found), [("it has no gold triple (retrieval cannot be scored)", 1)]);
}

#[test]
fn cwq_d_answers_that_occur_in_no_gold_triple_are_noted() {
    let mut row = cwq("a", "b");
    row["answer"] = json!(["The Giants"]);
    assert_eq!(notes(&look(&Desk::new().rows("x", &[row]))), [("no answer occurs in its gold triples", 1)]);
}

#[test]
fn cwq_e_repeated_gold_and_gold_among_the_two_hop_triples_are_one_candidate() {
    let mut row = cwq("a", "b");
    let gold = json!(["Giants", "team.mascot", "Seal"]);
    row["crucial_triples"] = json!([gold, gold]);
    row["2hop_triples"] =
        json!([gold, ["Seal", "mascot.team", "Giants"], ["Giants", "team.city", "SF"], ["Giants", "team.city", "SF"]]);
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.shown[0]["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(notes(&found), [("a gold triple is listed twice", 1)]);
}

#[test]
fn cwq_f_unnamed_entities_stay_as_their_mids() {
    let example = only(&Desk::new().rows("x", &[cwq("a", "b")]));
    let all = example["candidates"].as_array().unwrap();
    assert!(all.iter().any(|c| c["tail"] == "m.0jb" && c["text"] == "Giants | team.roster | m.0jb"));
}

#[test]
fn cwq_g_original_release_lists_answers_as_objects_with_aliases() {
    let row = json!({"ID": "a", "question": "When?", "machine_question": "x", "webqsp_ID": "b", "webqsp_question": "y",
        "compositionality_type": "composition", "composition_answer": "z", "created": "2018", "sparql": "S",
        "answers": [{"answer": "Giants", "answer_id": "m.1", "aliases": ["SF Giants", "Giants"]},
            {"answer": null, "answer_id": "m.2", "aliases": []}, {"answer": 2014, "answer_id": "m.3"}]});
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.format, "ComplexWebQuestions (original release, answers with aliases)");
    let example = &found.shown[0];
    assert_eq!((&example["answers"], &example["aliases"]), (&json!(["Giants", "2014"]), &json!(["SF Giants"])));
}

#[test]
fn cwq_h_examples_of_one_base_question_stay_together() {
    let rows: Vec<Value> = (0..12).map(|i| cwq(&format!("q{i}"), &format!("base{}", i % 4))).collect();
    let desk = Desk::new();
    let path = desk.rows("x", &rows);
    let made = split(&path, 2, 6);
    let base = |e: &agenttts_core::Example| e.id[1..].parse::<u32>().unwrap() % 4;
    assert!(made.search.examples.iter().all(|s| made.test.examples.iter().all(|t| base(s) != base(t))));
    assert_eq!(made.report.unused_relatives, 1, "the third of the group that the search took two of");
    let options = PrepareOptions { search: Some(2), test: Some(10), ..PrepareOptions::default() };
    let text = prepare(&path, &options).unwrap_err().to_string();
    assert!(text.contains("the test split needs 10 examples, but only 9 are left"), "{text}");
}

#[test]
fn cwq_gold_only_file_has_its_pool_from_the_triples_of_all_rows() {
    let rows: Vec<Value> = (0..20)
        .map(|i| {
            let mut row = cwq(&format!("q{i}"), &format!("b{i}"));
            let triple = json!([format!("Team {i}"), "team.city", format!("City {i}")]);
            row["gt_triples"] = json!([triple]);
            row["crucial_triples"] = json!([triple]);
            row.as_object_mut().unwrap().remove("2hop_triples");
            row
        })
        .collect();
    let desk = Desk::new();
    let made = split(&desk.rows("x", &rows), 5, 5);
    let example = &made.search.examples[0].fields;
    assert_eq!(example["candidates"].as_array().unwrap().len(), 20, "all there are");
    assert_eq!(example["gold_ids"].as_array().unwrap().len(), 1);
    assert!(example["candidates"][3]["head"].is_string());
}

#[test]
fn cwq_a_dropped_gold_triple_is_nobodys_distractor() {
    let gold_only = |id: &str, kept: Value| {
        let mut row = cwq(id, id);
        row["crucial_triples"] = kept;
        row.as_object_mut().unwrap().remove("2hop_triples");
        row
    };
    // What the second row keeps the first one lacks, though it answers its question too.
    let rows = [
        gold_only("a", json!([["Giants", "team.mascot", "Seal"]])),
        gold_only("b", json!([["Seal", "mascot.team", "Giants"]])),
    ];
    let made = split(&Desk::new().rows("x", &rows), 1, 1);
    for example in made.search.examples.iter().chain(&made.test.examples) {
        let candidates = example.fields["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 1, "{candidates:?}");
    }
}

// WebQSP

#[test]
fn webqsp_several_parses_are_each_a_set_of_answers() {
    let mut row = webqsp("a");
    row["Parses"].as_array_mut().unwrap().push(json!({"TopicEntityName": "a", "InferentialChain": ["x"], "Answers": [
        {"AnswerType": "Entity", "AnswerArgument": "m.02", "EntityName": "Joyce"},
        {"AnswerType": "Entity", "AnswerArgument": "m.01", "EntityName": "Woolf"}]}));
    let found = look(&Desk::new().rows("x", &[row]));
    assert_eq!(found.shown[0]["answers"], json!(["Woolf", "Joyce"]));
    assert_eq!(found.shown[0]["answer_sets"], json!([["Woolf"], ["Joyce", "Woolf"]]));
    assert_eq!(notes(&found), [("it has several parses (any of them may be answered)", 1)]);
}

#[test]
fn webqsp_inferential_chain_may_be_null() {
    let mut row = webqsp("a");
    row["Parses"][0]["InferentialChain"] = Value::Null;
    only(&Desk::new().rows("x", &[row]));
}

#[test]
fn webqsp_literal_answers_have_no_name() {
    let mut row = webqsp("a");
    row["Parses"][0]["Answers"] = json!([{"AnswerType": "Value", "AnswerArgument": "2009-01-20", "EntityName": null}]);
    assert_eq!(only(&Desk::new().rows("x", &[row]))["answers"], json!(["2009-01-20"]));
}

#[test]
fn webqsp_official_file_wraps_its_questions() {
    let wrapped = json!({"Version": "1.0", "FreebaseVersion": "2015-08-09", "Questions": [webqsp("a"), webqsp("b")]});
    let desk = Desk::new();
    let found = look(&desk.write("x", serde_json::to_string_pretty(&wrapped).unwrap()));
    assert_eq!((found.dataset, found.examples), ("webqsp", 2));
    assert_eq!(found.shown[1]["topic_entities"], json!(["b"]));
}

// TaskBench

fn tools(rows: &[Value]) -> (Desk, std::path::PathBuf) {
    let desk = Desk::new();
    desk.write("tool_desc.json", TOOLS);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let path = desk.write("data.json", lines.join("\n"));
    (desk, path)
}

/// The same row as the later release lays it out.
fn later(row: &Value) -> Value {
    let text = |key: &str| row[key].to_string();
    json!({"id": row["id"], "type": row["type"], "instruction": "Other words", "sampled_nodes": "[]",
        "tool_steps": text("task_steps"), "tool_nodes": text("task_nodes"), "tool_links": text("task_links")})
}

#[test]
fn taskbench_1_both_families_of_fields_give_the_same_gold() {
    let (old, new) = (tools(&[taskbench("a")]), tools(&[later(&taskbench("a"))]));
    let (old, new) = (only(&old.1), only(&new.1));
    assert_eq!((&old["gold"], &old["gold_tools"]), (&new["gold"], &new["gold_tools"]));
    assert_eq!(old["gold"]["links"], json!([{"source": "get_weather", "target": "send_sms"}]));
    assert_eq!(old["gold"]["steps"], json!(["Step 1: ask", "Step 2: send"]));
}

#[test]
fn taskbench_1_mixed_release_has_lists_beside_double_encoded_strings() {
    let mut row = taskbench("a");
    row["sampled_nodes"] = "[{\"task\": \"x\"}]".into();
    row["instruction"] = row.as_object_mut().unwrap().remove("user_request").unwrap();
    assert!(only(&tools(&[row]).1)["request"].as_str().unwrap().starts_with("Text me"));
}

#[test]
fn taskbench_2_request_and_gold_are_of_the_same_release() {
    let (mut both, other) = (taskbench("a"), later(&taskbench("a")));
    both["instruction"] = "Other words".into();
    let found = look(&tools(&[both, other.clone()]).1);
    assert!(found.shown[0]["request"].as_str().unwrap().starts_with("Text me"));
    assert_eq!(notes(&found), [("it has a user_request and an instruction that differ", 1)]);
    let mut both = other;
    both["user_request"] = "Old words".into();
    assert_eq!(only(&tools(&[both]).1)["request"], "Other words");
}

#[test]
fn taskbench_3_arguments_that_the_tool_does_not_have_are_noted() {
    let mut row = taskbench("a");
    row["task_nodes"][1]["arguments"][0]["name"] = "town".into();
    let found = look(&tools(&[row]).1);
    assert_eq!(notes(&found), [("a gold argument has a name that its tool does not have", 1)]);
}

#[test]
fn taskbench_4_a_demonstration_must_not_be_an_example_of_the_split() {
    // Prompts show no example of a file: what a split holds is all that is searched or tested on.
    let rows: Vec<Value> = (0..9).map(|i| taskbench(&format!("{i}"))).collect();
    let (_desk, path) = tools(&rows);
    let made = split(&path, 4, 5);
    assert_eq!((made.search.examples.len(), made.test.examples.len(), made.report.unused_relatives), (4, 5, 0));
}

#[test]
fn taskbench_5_nodes_keep_their_order_and_execution_order_comes_from_links() {
    let example = only(&tools(&[taskbench("a")]).1);
    let gold = &example["gold"];
    assert_eq!((&gold["nodes"][0]["task"], &gold["order"]), (&json!("send_sms"), &json!([1, 0])));
}

#[test]
fn taskbench_6_an_argument_without_value_refers_to_the_node_that_it_comes_from() {
    let mut row = taskbench("a");
    row["task_nodes"][0]["arguments"] = json!([{"name": "content", "from": "get_weather"}]);
    let found = look(&tools(&[row]).1);
    assert_eq!(found.shown[0]["gold"]["nodes"][0]["arguments"], json!([{"name": "content", "value": "<node-1>"}]));
    assert_eq!(notes(&found), [("a gold argument has no value but comes from another tool", 1)]);
}

#[test]
fn taskbench_6_a_tool_that_a_value_comes_from_is_found_however_it_is_spelled() {
    let mut row = taskbench("a");
    row["task_nodes"][0]["arguments"] = json!([{"name": "content", "from": "Get Weather"}]);
    let example = only(&tools(&[row]).1);
    assert_eq!(example["gold"]["nodes"][0]["arguments"][0]["value"], "<node-1>");
}

#[test]
fn taskbench_arguments_have_many_forms() {
    for (given, read) in [
        (
            json!([{"name": "to", "value": 20.0}, {"name": "all", "value": true}]),
            json!([{"name": "to", "value": 20.0}, {"name": "all", "value": true}]),
        ),
        (
            json!({"date": "May 1", "name": "Hilton"}),
            json!([{"name": "date", "value": "May 1"}, {"name": "name", "value": "Hilton"}]),
        ),
        (json!([{"name": "Hilton"}]), json!([{"name": "name", "value": "Hilton"}])),
        (json!([{"name": "to", "value": ["a", "b"]}, null, true]), json!([{"name": "to", "value": ["a", "b"]}, true])),
        (json!(null), json!([])),
    ] {
        let mut row = taskbench("a");
        row["task_nodes"][0]["arguments"] = given;
        assert_eq!(only(&tools(&[row]).1)["gold"]["nodes"][0]["arguments"], read);
    }
}

#[test]
fn taskbench_7_values_are_taken_from_the_nodes_not_from_the_steps() {
    let mut row = taskbench("a");
    row["task_steps"][0] = "Step 1: ask about Oslo".into();
    assert_eq!(only(&tools(&[row]).1)["gold"]["nodes"][1]["arguments"][0]["value"], "Rome");
}

const RESOURCES: &str = r#"{"nodes": [
    {"id": "Image Classification", "desc": "x", "input-type": ["image"], "output-type": ["text"]},
    {"id": "Token Classification", "desc": "x", "input-type": ["text"], "output-type": ["text"]}
]}"#;

fn resources(nodes: Value, links: Value) -> (Desk, std::path::PathBuf) {
    let row = json!({"id": 7, "user_request": "Say what it is", "task_steps": ["1. look", "2. read"], "type": "chain",
        "task_nodes": nodes, "task_links": links});
    let (desk, path) = tools(&[row]);
    desk.write("tool_desc.json", RESOURCES);
    (desk, path)
}

#[test]
fn taskbench_8_a_tool_named_where_a_reference_belongs_is_kept_and_noted() {
    let nodes = json!([{"task": "Image Classification", "arguments": ["example.jpg"]},
        {"task": "Token Classification", "arguments": ["Image_Classification"]}]);
    let (_desk, path) = resources(nodes, json!([]));
    let found = look(&path);
    assert_eq!(found.shown[0]["gold"]["nodes"][1]["arguments"], json!(["Image_Classification"]));
    assert_eq!(found.shown[0]["gold"]["steps"], json!(["1. look", "2. read"]));
    assert_eq!(notes(&found), [("an argument names a tool where a reference such as <node-0> belongs", 1)]);
}

#[test]
fn taskbench_9_texts_with_quotes_and_backslashes_stay_whole() {
    let mut row = taskbench("a");
    row["task_nodes"][1]["arguments"][0]["value"] = "\"[Rome]\" \\ {'x'}".into();
    let example = only(&tools(&[later(&row)]).1);
    assert_eq!(example["gold"]["nodes"][1]["arguments"][0]["value"], "\"[Rome]\" \\ {'x'}");
}

#[test]
fn taskbench_10_links_are_not_checked_against_the_graph_of_tools() {
    let (desk, path) = tools(&[taskbench("a")]);
    desk.write("graph_desc.json", TOOLS);
    assert_eq!(look(&path).bad, 0);
}

#[test]
fn taskbench_11_names_with_underscores_are_the_tools_with_blanks() {
    let nodes = json!([{"task": "image_classification", "arguments": ["a.jpg"]},
        {"task": "Token Classification", "arguments": ["<node-0>"]}]);
    let links = json!([{"source": "Image_Classification", "target": "Token_Classification"}]);
    let (_desk, path) = resources(nodes, links);
    let example = only(&path);
    assert_eq!(example["gold"]["nodes"][0]["task"], "Image Classification");
    assert_eq!(example["gold"]["links"][0]["source"], "Image Classification");
    assert_eq!((&example["domain"], &example["id"]), (&json!("huggingface"), &json!("7")));
    assert_eq!(example["tools"][0]["input_types"], json!(["image"]));
}

// SRDD

#[test]
fn srdd_a_name_that_occurs_twice_stays_two_examples() {
    let text = "Name,Description,Category\nA,\"One, two\",Game\nA,Other,Game\n";
    let found = look(&Desk::new().write("x", text));
    let ids: Vec<&Value> = found.shown.iter().map(|e| &e["id"]).collect();
    assert_eq!(ids, ["A", "A#2"]);
    assert_eq!((&found.shown[0]["description"], found.notes.len()), (&json!("One, two"), 1));
}

#[test]
fn srdd_header_with_trailing_tabs_is_understood() {
    let text = "Name,Description,Category\t\t\t\nA,\"First\nsecond\",Game\n";
    let found = look(&Desk::new().write("x", text));
    assert_eq!(found.shown[0]["category"], "Game");
}

#[test]
fn srdd_names_and_tasks_have_no_categories() {
    let desk = Desk::new();
    let found = look(&desk.write("x", "{\n \"names\": [\"A\",\n\"B\"], \"tasks\": [\"Make A\", \"Make B\"]}"));
    assert_eq!((found.examples, &found.shown[1]["description"]), (2, &json!("Make B")));
    assert!(found.missing[0].starts_with("categories"));
    let text = refusal(&desk.write("y", "{\"names\": [\"A\"], \"tasks\": []}"));
    assert!(text.contains("there are 1 names, but 0 tasks"), "{text}");
}

#[test]
fn srdd_sorted_file_is_split_evenly_by_category() {
    let mut text = "Name,Description,Category\n".to_owned();
    for i in 0..40 {
        text += &format!("N{i},Make {i},C{}\n", i / 10);
    }
    let desk = Desk::new();
    let made = split(&desk.write("x", text), 4, 8);
    for (split, each) in [(&made.search, 1), (&made.test, 2)] {
        for category in ["C0", "C1", "C2", "C3"] {
            assert_eq!(split.examples.iter().filter(|e| e.fields["category"] == category).count(), each);
        }
    }
}
