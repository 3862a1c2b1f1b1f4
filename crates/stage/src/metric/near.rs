//! What of an output is found out by others before it is scored: whether its code runs, how near it is to a text, what a
//! judge says.

use std::collections::BTreeMap;

use agenttts_core::Example;
use agenttts_core::pipeline::MetricSpec;
use serde_json::Value;

use crate::code::without_remarks;
use crate::field::{lookup, plain_text};

/// What was found out about an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Whether its code ran without a traceback; `None` where it was not run.
    pub passed: Option<bool>,
    /// The cosine of its embedding and that of another text, by [`Near::key`].
    pub near: BTreeMap<(String, String), f64>,
    /// What a judge gives it; `None` where none was asked.
    pub judged: Option<f64>,
}

/// Two texts whose embeddings a metric compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// The model that embeds them, and the field of the second: the key under which [`Seen::near`] wants the cosine.
    pub key: (String, String),
    /// The output and the text of the example.
    pub texts: [String; 2],
}

/// The cosine of two vectors; 0 where there is none, as for vectors of different lengths or of nothing but zeros.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let size = (dot(a, a) * dot(b, b)).sqrt();
    if a.len() == b.len() && size > 0.0 && size.is_finite() { dot(a, b) / size } else { 0.0 }
}

/// The texts that a metric and its parts compare; none where either side is empty.
pub(crate) fn wanted(spec: &MetricSpec, output: &Value, example: &Example) -> Vec<Near> {
    let near = |part: &MetricSpec| {
        let key = key(part)?;
        let texts = [text(output), text(lookup(&example.fields, &key.1)?)];
        texts.iter().all(|t| !t.trim().is_empty()).then_some(Near { key, texts })
    };
    spec.parts().into_iter().filter_map(near).collect()
}

pub(super) fn key(spec: &MetricSpec) -> Option<(String, String)> {
    Some((spec.embedder.clone().filter(|_| spec.kind.embeds())?, spec.gold.clone()?))
}

/// A value as a text: the files of a program one after another, those in Python without comments and docstrings, in which
/// a model could repeat what it was asked for.
fn text(value: &Value) -> String {
    match value {
        Value::Object(files) if !files.is_empty() && files.values().all(Value::is_string) => {
            let bare = |(name, text): (&String, &Value)| match text {
                Value::String(code) if name.ends_with(".py") => without_remarks(code),
                other => plain_text(other),
            };
            files.iter().map(bare).collect::<Vec<_>>().join("\n")
        }
        other => plain_text(other),
    }
}

#[cfg(test)]
mod tests {
    use agenttts_core::pipeline::MetricKind;
    use serde_json::json;

    use super::*;
    use crate::metric::score;

    fn example() -> Example {
        serde_json::from_value(json!({"id": "1", "line": 1, "fields": {"task": "a game of chess"}})).unwrap()
    }

    fn spec() -> MetricSpec {
        serde_json::from_value(json!({"kind": "consistency", "gold": "task", "embedder": "e"})).unwrap()
    }

    #[test]
    fn the_cosine_of_what_was_embedded_is_the_score() {
        let output = json!({"main.py": "# A game of chess\nimport chess", "board.py": "rows = 8"});
        let wanted = wanted(&spec(), &output, &example());
        assert_eq!(wanted[0].texts, ["import chess\nrows = 8".to_owned(), "a game of chess".to_owned()]);
        let seen = |cosine: f64| Seen { near: [(wanted[0].key.clone(), cosine)].into(), ..Seen::default() };
        let scored = |seen: &Seen| score(&spec(), &output, &example(), seen).unwrap();
        assert_eq!((scored(&seen(0.7)), scored(&seen(-0.2)), scored(&Seen::default())), (0.7, 0.0, 0.0));
        let both =
            MetricSpec { of: vec![spec(), spec()], gold: None, embedder: None, kind: MetricKind::Product, ..spec() };
        assert!((score(&both, &output, &example(), &seen(0.5)).unwrap() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_near_to_nothing() {
        assert!(wanted(&spec(), &json!(" "), &example()).is_empty());
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f64.sqrt()).abs() < 1e-12);
        assert_eq!((cosine(&[1.0], &[1.0, 0.0]), cosine(&[0.0], &[1.0]), cosine(&[], &[])), (0.0, 0.0, 0.0));
        let lacking = MetricSpec { gold: Some("none".into()), ..spec() };
        assert!(score(&lacking, &json!("x"), &example(), &Seen::default()).is_err());
    }
}
