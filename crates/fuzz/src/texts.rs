//! Texts that models write: samples that are parsed, voted on, scored and run.

use std::sync::LazyLock;

use agenttts_core::pipeline::{ParserSpec, Scale};
use agenttts_stage::{Parser, code_files, normalise, read_verdict, vote_key};
use serde_json::{Map, Value, json};

/// A sample's text, by every parser.
pub(crate) fn sample(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    static PARSERS: LazyLock<Vec<Parser>> = LazyLock::new(parsers);
    for parser in &*PARSERS {
        if let Ok(output) = parser.parse(&text, &fields()) {
            let _ = vote_key(&output);
            let _ = code_files(&output);
        }
    }
    let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let normal = normalise(&text);
    assert_eq!(normal, spaces(&normal), "spaces are single, and none stands at an end");
    let words = Scale::Words(vec![("right".into(), 1.0), ("wrong".into(), 0.0)]);
    for scale in [Scale::Points(1, 5), words, Scale::Against("other".into())] {
        let score = read_verdict(&scale, 0, &text).unwrap_or(0.0);
        assert!((0.0..=1.0).contains(&score), "a verdict of {score}");
    }
}

fn fields() -> Map<String, Value> {
    let candidates = json!([{"id": "a1", "title": "Bern"}, {"id": "a10", "title": "The Aare (river)"}, "plain"]);
    Map::from_iter([("facts".to_owned(), candidates)])
}

fn parsers() -> Vec<Parser> {
    let after = || "Answer:".to_owned();
    let specs = [
        ParserSpec::Text,
        ParserSpec::LastLine,
        ParserSpec::After { after: after() },
        ParserSpec::Number { after: None },
        ParserSpec::Number { after: Some(after()) },
        ParserSpec::Regex { pattern: r"(?i)answer is\s+(\S+)".into() },
        ParserSpec::Json { pointer: None },
        ParserSpec::Json { pointer: Some("/answer/0".into()) },
        ParserSpec::Ids { among: "facts".into() },
        ParserSpec::Choice { options: vec!["yes".into(), "no".into()] },
        ParserSpec::Code,
    ];
    specs.iter().filter_map(|spec| Parser::compile(spec).ok()).collect()
}
