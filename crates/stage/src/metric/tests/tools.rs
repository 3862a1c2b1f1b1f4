//! Metrics of tool graphs: the forms in which TaskBench publishes gold, and those in which models answer.

use MetricKind::{EdgeF1, NodeF1, ParameterNameF1, ParameterValueF1};

use super::*;

const ALL: [MetricKind; 4] = [NodeF1, EdgeF1, ParameterNameF1, ParameterValueF1];

/// Named arguments, as in the daily-life domain.
fn trip() -> Value {
    json!({
        "nodes": [
            {"task": "book_flight", "arguments": [{"name": "from", "value": "New York"}, {"name": "to", "value": "London"}]},
            {"task": "deliver_package", "arguments": [{"name": "package", "value": "Gift"}]},
            {"task": "see_doctor_online", "arguments": [{"name": "disease", "value": "Migraine"}]},
        ],
        "links": [{"source": "deliver_package", "target": "book_flight"}, {"source": "book_flight", "target": "see_doctor_online"}],
        "steps": ["Step 1: Call deliver_package", "Step 2: Call book_flight", "Step 3: Call see_doctor_online"],
    })
}

/// Bare arguments with references, as in the other two domains.
fn pictures() -> Value {
    json!({
        "nodes": [
            {"task": "Image Editing", "arguments": ["<node-2>", "example.jpg"]},
            {"task": "Object Detection", "arguments": ["<node-0>"]},
            {"task": "Summarization", "arguments": ["a long article"]},
        ],
        "links": [{"source": "Image Editing", "target": "Object Detection"}, {"source": "Summarization", "target": "Image Editing"}],
    })
}

fn all(output: &Value, gold: &Value) -> [f64; 4] {
    ALL.map(|kind| of(kind, output.clone(), gold.clone()))
}

#[test]
fn shared_parts_are_counted() {
    let output = json!({
        "nodes": [
            {"task": "deliver_package", "arguments": [{"name": "package", "value": "Gift"}, {"name": "to", "value": "London"}]},
            {"task": "book_flight", "arguments": [{"name": "from", "value": "Boston"}]},
        ],
        "links": [{"source": "deliver_package", "target": "book_flight"}],
    });
    // Tools 2 of 2 and 3; links 1 of 1 and 2; names: package and from, of 3 and 4; with values: package alone.
    assert_eq!(all(&output, &trip()), [4.0 / 5.0, 2.0 / 3.0, 4.0 / 7.0, 2.0 / 7.0]);
}

#[test]
fn order_and_spelling_of_names_do_not_matter() {
    let output = json!({
        "task_nodes": [
            {"task": "See Doctor Online", "arguments": {"Disease": "Migraine"}},
            {"task": "Deliver Package", "arguments": [{"name": "package", "value": " Gift "}]},
            {"tool": "book-flight", "parameters": [{"to": "London"}, {"from": "New  York"}]},
        ],
        "task_links": [["book flight", "SEE_DOCTOR_ONLINE"], {"source": "deliver package", "target": "BOOK FLIGHT"}],
    });
    assert_eq!(all(&output, &trip()), [1.0; 4]);
    // Values are compared with their case.
    let gold = json!({"nodes": [{"task": "a", "arguments": [{"name": "x", "value": "New York"}]}]});
    let output = json!({"nodes": [{"task": "a", "arguments": [{"name": "x", "value": "new york"}]}]});
    assert_eq!(of(ParameterValueF1, output, gold), 0.0);
}

#[test]
fn references_follow_the_node_and_not_its_number() {
    let reordered = json!({
        "nodes": [
            {"task": "Summarization", "arguments": ["a long article"]},
            {"task": "Image Editing", "arguments": ["example.jpg", "<node-0>"]},
            {"task": "Object Detection", "arguments": ["<node-1>"]},
        ],
    });
    assert_eq!(all(&reordered, &pictures()), [1.0; 4]);
    // The gold's own numbers in that order mean other tools, and one that means itself is left out: of the four gold
    // parameters two are shared, of three found. Links: 0 -> none of the gold.
    let misread = json!({
        "nodes": [
            {"task": "Summarization", "arguments": ["a long article"]},
            {"task": "Image Editing", "arguments": ["example.jpg", "<node-2>"]},
            {"task": "Object Detection", "arguments": ["<node-2>"]},
        ],
    });
    assert_eq!(of(ParameterValueF1, misread.clone(), pictures()), 2.0 * 2.0 / 7.0);
    assert_eq!(of(EdgeF1, misread, pictures()), 0.0);
}

#[test]
fn the_name_of_a_tool_is_a_reference_too() {
    let by_name = json!({
        "nodes": [
            {"task": "Image Editing", "arguments": ["Summarization", "example.jpg"]},
            {"task": "Object Detection", "arguments": ["Image_Editing"]},
            {"task": "Summarization", "arguments": ["a long article"]},
        ],
    });
    assert_eq!(all(&by_name, &pictures()), [1.0; 4]);
    // Also in gold, as published: the argument names a tool where others have <node-0>.
    assert_eq!(all(&pictures(), &by_name), [1.0; 4]);
    // A gold argument has `from` in the place of `value`.
    let gold = json!({"nodes": [
        {"task": "get_weather", "arguments": []},
        {"task": "send_sms", "arguments": [{"name": "content", "from": "get_weather"}]},
    ]});
    let output = json!({"nodes": [
        {"task": "get_weather", "arguments": []},
        {"task": "send_sms", "arguments": [{"name": "content", "value": "<node-0>"}]},
    ]});
    assert_eq!(of(ParameterValueF1, output, gold), 1.0);
}

#[test]
fn repeats_count_once() {
    let call = |who: &str| json!({"task": "send_sms", "arguments": [{"name": "to", "value": who}]});
    let gold = json!({"nodes": [call("Ann"), call("Ben")], "links": []});
    assert_eq!(all(&json!({"nodes": [call("Ben"), call("Ann")], "links": []}), &gold), [1.0; 4]);
    assert_eq!(all(&json!({"nodes": [call("Ann")], "links": []}), &gold), [1.0, 1.0, 1.0, 2.0 / 3.0]);
    assert_eq!(of(NodeF1, json!({"nodes": [call("Ann"), call("Ann"), call("Ann")]}), gold), 1.0);
}

#[test]
fn unnamed_arguments_are_called_by_what_they_are() {
    let gold = json!({"nodes": [{"task": "t", "arguments": ["<node-1>", "a.jpg", "b.MP4", "loud", "see c.wav, please"]}, {"task": "u"}]});
    let output =
        json!({"nodes": [{"task": "t", "arguments": ["u", "other.png", "x.mov", "quiet", "d.mp3"]}, {"task": "u"}]});
    assert_eq!(of(ParameterNameF1, output.clone(), gold.clone()), 1.0);
    assert_eq!(of(ParameterValueF1, output, gold), 0.2);
}

#[test]
fn taskbench_node_k_arguments_are_the_same_with_and_without_names() {
    // The resource domains publish arguments as texts; models name them after their types, or otherwise.
    let named = json!({
        "nodes": [
            {"task": "Image Editing", "arguments": [{"name": "text", "value": "<node-2>"}, {"name": "image", "value": "example.jpg"}]},
            {"task": "Object Detection", "arguments": {"input": "<node-0>"}},
            {"task": "Summarization", "arguments": [{"text": "a long article"}]},
        ],
        "links": pictures()["links"],
    });
    assert_eq!(all(&named, &pictures()), [1.0; 4]);
    // A reference to another tool is still a wrong one, and so is a text.
    let mut wrong = named.clone();
    wrong["nodes"][1]["arguments"]["input"] = json!("<node-2>");
    assert_eq!(of(ParameterValueF1, wrong.clone(), pictures()), 0.75);
    wrong["nodes"][1]["arguments"]["input"] = json!("node 0");
    assert_eq!(of(ParameterValueF1, wrong, pictures()), 0.75);
    // Where gold has names, a value without one is no match.
    let bare = json!({"nodes": [{"task": "deliver_package", "arguments": ["Gift"]}]});
    assert_eq!(of(ParameterValueF1, bare, trip()), 0.0);
}

#[test]
fn both_releases_give_the_same_graph() {
    let old =
        json!({"id": "1", "task_nodes": trip()["nodes"], "task_links": trip()["links"], "task_steps": trip()["steps"]});
    let new = json!({"id": "1", "tool_nodes": trip()["nodes"].to_string(), "tool_links": trip()["links"].to_string()});
    for (output, gold) in [(&old, &new), (&new, &old), (&json!({"result": old}), &trip())] {
        assert_eq!(all(output, gold), [1.0; 4]);
    }
    // The fields of an example can be named one by one.
    assert_eq!(of(NodeF1, trip(), trip()["nodes"].clone()), 1.0);
    assert_eq!(of(ParameterValueF1, trip(), json!(trip()["nodes"].to_string())), 1.0);
    assert_eq!(of(EdgeF1, trip(), trip()["links"].clone()), 1.0);
}

#[test]
fn a_graph_is_found_in_a_text() {
    let text = format!("The plan [of three steps]:\n```json\n{}\n```", trip());
    assert_eq!(all(&json!(text), &trip()), [1.0; 4]);
    assert_eq!(of(NodeF1, json!(["Deliver Package", "book_flight", "see_doctor_online"]), trip()), 1.0);
}

#[test]
fn links_may_point_to_nodes_by_position() {
    let output = json!({"nodes": trip()["nodes"], "links": [{"source": "<node-1>", "target": "<node-0>"}, {"source": 0, "target": 2}]});
    assert_eq!(of(EdgeF1, output, trip()), 1.0);
}

#[test]
fn a_task_of_one_tool_has_no_links() {
    let gold =
        json!({"nodes": [{"task": "play_movie", "arguments": [{"name": "title", "value": "Inception"}]}], "links": []});
    assert_eq!(all(&json!({"nodes": [{"task": "play movie", "arguments": []}]}), &gold), [1.0, 1.0, 0.0, 0.0]);
    let linked = json!({"nodes": ["play_movie", "pay"], "links": [["play_movie", "pay"]]});
    assert_eq!(all(&linked, &gold), [2.0 / 3.0, 0.0, 0.0, 0.0]);
}

#[test]
fn what_is_no_graph_scores_nothing() {
    for output in
        [json!(null), json!("I cannot."), json!(5), json!({"answer": []}), json!([1, 2]), json!({"nodes": "x"})]
    {
        assert_eq!(all(&output, &trip()), [0.0; 4], "{output}");
        // Not even where there is nothing to find.
        assert_eq!(of(EdgeF1, output, json!({"nodes": [{"task": "a"}], "links": []})), 0.0);
    }
    // A node that cannot be read is a wrong one, and keeps its position: 2 * 1 / (2 + 3).
    assert_eq!(of(NodeF1, json!({"nodes": [7, {"task": "book_flight"}]}), trip()), 0.4);
    assert_eq!(of(EdgeF1, json!({"nodes": ["a"], "links": [{"source": "<node-9>", "target": 3}]}), trip()), 0.0);
}

#[test]
fn gold_that_is_no_graph_is_named() {
    let message = |kind, gold| score(&spec(kind), &json!(null), &example(gold)).unwrap_err().to_string();
    assert!(
        message(NodeF1, json!("x")).contains("is a string\n  hint: the metric node-f1 needs an object with `nodes`")
    );
    assert!(message(EdgeF1, json!({"steps": []})).contains("needs an object with `links`"));
    let text = message(ParameterNameF1, json!({"nodes": [{"tusk": "a"}]}));
    assert!(text.contains("is a tool graph with parts that cannot be read"), "{text}");
}

#[test]
fn brackets_in_prose_are_no_plan() {
    use MetricKind::StepsRouge1;
    let gold = json!({"steps": ["Step 1: search the weather", "Step 2: send it"]});
    let prose = "Step 1: search the weather [Rome] and [\"tech\"]\nStep 2: send it";
    let said = of(StepsRouge1, json!(prose), gold.clone());
    assert!(said > 0.8 && said < 1.0, "{said}");
    assert_eq!(of(StepsRouge1, json!("[\"Step 1: search the weather\", \"Step 2: send it\"]"), gold), 1.0);
    // A graph counts before a list that stands in front of it.
    let graph = "Tools: [\"send_sms\"] are not all. {\"nodes\": [{\"task\": \"get_weather\"}]}";
    assert_eq!(of(NodeF1, json!(graph), json!({"nodes": [{"task": "get_weather"}]})), 1.0);
}

#[test]
fn an_argument_may_be_called_name() {
    let object =
        json!({"nodes": [{"task": "book_hotel", "arguments": {"date": "May 1", "name": "Hilton"}}], "links": []});
    let pairs = json!({"nodes": [{"task": "book_hotel",
        "arguments": [{"name": "date", "value": "May 1"}, {"name": "name", "value": "Hilton"}]}], "links": []});
    assert_eq!(all(&object, &pairs), [1.0; 4]);
}
