//! Each parser on what models write.

use crate::NoCode;
use agenttts_core::pipeline::ParserSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ParseFailure, Parser};

fn parse(spec: &ParserSpec, text: &str) -> Result<Value, ParseFailure> {
    parse_for(spec, text, &json!({}))
}

fn parse_for(spec: &ParserSpec, text: &str, example: &Value) -> Result<Value, ParseFailure> {
    Parser::compile(spec).unwrap().parse(text, example.as_object().unwrap())
}

#[test]
fn text_is_trimmed_and_never_empty() {
    assert_eq!(parse(&ParserSpec::Text, "  Paris\nFrance \n"), Ok(json!("Paris\nFrance")));
    assert_eq!(parse(&ParserSpec::Text, " \n "), Err(ParseFailure::Empty));
}

#[test]
fn last_line_skips_blank_lines_and_fences() {
    assert_eq!(parse(&ParserSpec::LastLine, "Let me think.\n**Paris**\n```\n\n"), Ok(json!("Paris")));
}

#[test]
fn after_takes_the_last_marker_without_case() {
    let spec = ParserSpec::After { after: "Answer:".into() };
    assert_eq!(parse(&spec, "Answer: no\nso\nANSWER:  Paris \nBye"), Ok(json!("Paris")));
    assert_eq!(parse(&spec, "**Answer:** **Paris**"), Ok(json!("Paris")));
    assert_eq!(parse(&spec, "Answer:\n\nParis\nBye"), Ok(json!("Paris")));
    assert_eq!(parse(&spec, "Paris"), Err(ParseFailure::NoMarker("Answer:".into())));
    assert_eq!(parse(&spec, "Answer: \n"), Err(ParseFailure::NothingAfterMarker("Answer:".into())));
}

#[test]
fn number_prefers_the_first_after_the_marker() {
    let spec = ParserSpec::Number { after: Some("answer".into()) };
    assert_eq!(parse(&spec, "3 + 4 = 7. The answer is $1,234.50 for 2."), Ok(json!(1234.5)));
    assert_eq!(parse(&spec, "3 + 4 = 7"), Ok(json!(7)));
    assert_eq!(parse(&spec, "it is 7, that is my answer"), Ok(json!(7)));
    assert_eq!(parse(&ParserSpec::Number { after: None }, "3 + 4 = 7.0"), Ok(json!(7)));
    assert_eq!(parse(&ParserSpec::Number { after: None }, "seven"), Err(ParseFailure::NoNumber));
}

#[test]
fn regex_takes_the_first_group_of_the_last_match() {
    let spec = |p: &str| ParserSpec::Regex { pattern: p.into() };
    assert_eq!(parse(&spec(r"x=(\w+)"), "x=1 x=2"), Ok(json!("2")));
    assert_eq!(parse(&spec(r"\d+"), "1 22"), Ok(json!("22")));
    assert_eq!(parse(&spec(r"a=(\d)|b=(\d)"), "a=1 b=2"), Ok(json!("2")));
    assert_eq!(parse(&spec(r"\d+"), "none"), Err(ParseFailure::NoMatch));
    assert_eq!(parse(&spec(r"a(b)?"), "a"), Err(ParseFailure::NoMatch));
    assert_eq!(parse(&spec(r"\d*"), "12 apples"), Ok(json!("12")));
}

#[test]
fn json_takes_the_last_object_or_its_part() {
    let whole = ParserSpec::Json { pointer: None };
    let part = ParserSpec::Json { pointer: Some("/answer".into()) };
    let text = "First {\"answer\": 1}, no:\n```json\n{\"z\": 2.0, \"answer\": \" Paris \"}\n``` (see [1])";
    assert_eq!(parse(&whole, text).unwrap().to_string(), r#"{"answer":" Paris ","z":2}"#);
    assert_eq!(parse(&part, text), Ok(json!("Paris")));
    assert_eq!(parse(&whole, "ids: [\"a\", \"b\"]"), Ok(json!(["a", "b"])));
    assert_eq!(parse(&part, "{\"x\": 1}"), Err(ParseFailure::NothingAtPointer("/answer".into())));
    assert_eq!(parse(&part, "{\"answer\": null}"), Err(ParseFailure::NothingAtPointer("/answer".into())));
    assert_eq!(parse(&whole, "{\"x\": "), Err(ParseFailure::NoJson));
}

#[test]
fn ids_are_found_by_title_or_id() {
    let spec = ParserSpec::Ids { among: "documents".into() };
    let example = json!({"documents": [
        {"id": "d2", "title": "Corner Shop"},
        {"id": "d1", "title": "Corner Shop 2"},
        {"id": 7, "title": "Old Mill"},
    ]});
    assert_eq!(parse_for(&spec, "I need \"old mill\" and corner shop 2.", &example), Ok(json!(["7", "d1"])));
    assert_eq!(parse_for(&spec, "D2, Corner Shop, d2", &example), Ok(json!(["d2"])));
    assert_eq!(parse_for(&spec, "none helps", &example), Err(ParseFailure::NoCandidate(3)));
    for nothing in ["none", " None.\n", "[]"] {
        assert_eq!(parse_for(&spec, nothing, &example), Ok(json!([])), "{nothing:?}");
    }
}

#[test]
fn candidates_may_be_strings_and_nested() {
    let spec = ParserSpec::Ids { among: "data.titles".into() };
    let example = json!({"data": {"titles": ["Paris", "Rome"]}});
    assert_eq!(parse_for(&spec, "ROME then paris", &example), Ok(json!(["Paris", "Rome"])));
}

#[test]
fn an_example_without_candidates_is_named_as_the_cause() {
    let spec = ParserSpec::Ids { among: "docs".into() };
    for (example, found) in
        [(json!({}), "missing"), (json!({"docs": "x"}), "a string"), (json!({"docs": []}), "an empty list")]
    {
        let failure = parse_for(&spec, "x", &example).unwrap_err();
        assert_eq!(failure, ParseFailure::BadCandidates { field: "docs".into(), found: found.into() });
    }
}

#[test]
fn choice_takes_the_option_named_last_in_its_own_spelling() {
    let spec = ParserSpec::Choice { options: vec!["Yes".into(), "No".into(), "Not sure".into()] };
    assert_eq!(parse(&spec, "Yes? I think NO."), Ok(json!("No")));
    assert_eq!(parse(&spec, "not sure"), Ok(json!("Not sure")));
    assert_eq!(parse(&spec, "nothing known"), Err(ParseFailure::NoChoice));
}

#[test]
fn bad_parsers_are_problems_with_advice() {
    let problem = |spec| Parser::compile(&spec).unwrap_err().to_string();
    let text = problem(ParserSpec::Regex { pattern: "(a".into() });
    assert!(text.contains("\"(a\" is not a regular expression: unclosed group"), "{text}");
    let text = problem(ParserSpec::Json { pointer: Some("a.b".into()) });
    assert!(text.contains("hint: write \"/a/b\""), "{text}");
    assert!(problem(ParserSpec::After { after: " ".into() }).contains("empty"));
    assert!(problem(ParserSpec::Choice { options: vec![] }).contains("options"));
}

fn all_parsers() -> Vec<ParserSpec> {
    vec![
        ParserSpec::Text,
        ParserSpec::LastLine,
        ParserSpec::After { after: "Answer:".into() },
        ParserSpec::Number { after: None },
        ParserSpec::Number { after: Some("=".into()) },
        ParserSpec::Regex { pattern: r"(\w)?".into() },
        ParserSpec::Json { pointer: None },
        ParserSpec::Json { pointer: Some("/a/0".into()) },
        ParserSpec::Ids { among: "docs".into() },
        ParserSpec::Choice { options: vec!["a".into(), "ab".into(), "é".into()] },
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic_and_outputs_are_canonical(
        text in "[-0-9.,:$\\[\\]{}\"*` \nAanswer:İßé]{0,60}|\\PC{0,60}(\n\\PC{0,20})?"
    ) {
        let example = json!({"docs": ["a", "İ", {"id": "b", "title": "0.5"}]});
        for spec in all_parsers() {
            if let Ok(output) = parse_for(&spec, &text, &example) {
                prop_assert!(!output.is_null());
                if let Value::String(s) = &output {
                    prop_assert!(!s.is_empty() && s.trim() == s, "{spec:?} gave {s:?}");
                }
            }
        }
    }
}

#[test]
fn code_is_the_files_of_a_program() {
    let text = "Here is the program.\n\nmain.py\n```python\nprint(1)\n```\n";
    assert_eq!(parse(&ParserSpec::Code, text), Ok(json!({"main.py": "print(1)\n"})));
    assert_eq!(parse(&ParserSpec::Code, "I cannot."), Err(ParseFailure::NoCode(NoCode::None)));
}
