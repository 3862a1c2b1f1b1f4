//! Answers: short texts and numbers.

use serde_json::Value;

use super::{f1, shared};
use crate::field::plain_text;
use crate::parse::number::numbers;

/// Two numbers are the same if they differ by no more than this share of the larger one.
const TOLERANCE: f64 = 1e-9;

/// SQuAD's token F1 of two normalised texts: the harmonic mean of the shares of shared tokens, repeats counted.
pub(super) fn token_f1(answer: &str, gold: &str) -> f64 {
    let tokens = |text| str::split(text, ' ').filter(|t| !t.is_empty());
    f1(shared(tokens(answer), tokens(gold)), tokens(answer).count(), tokens(gold).count())
}

/// [`token_f1`], but an answer that is a verdict shares no token with anything else: "no" is not half of "no one".
pub(super) fn hotpot_f1(answer: &str, gold: &str) -> f64 {
    let is_verdict = |text| matches!(text, "yes" | "no" | "noanswer");
    if answer != gold && (is_verdict(answer) || is_verdict(gold)) { 0.0 } else { token_f1(answer, gold) }
}

pub(super) fn contains_tokens(answer: &str, gold: &str) -> bool {
    if gold.is_empty() { answer.is_empty() } else { format!(" {answer} ").contains(&format!(" {gold} ")) }
}

pub(super) fn last_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        other => numbers(&plain_text(other)).last()?.1.as_f64(),
    }
}

pub(super) fn is_same_number(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}
