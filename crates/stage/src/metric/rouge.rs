//! ROUGE, as the package `rouge_score` defines it.

use std::collections::HashMap;

use agenttts_core::pipeline::MetricKind;
use snowball_stemmers_rs::{Algorithm, Stemmer};

use super::{f1, shared};

/// Words of more letters than this are stemmed.
const UNSTEMMED: usize = 3;

/// The F-measure of ROUGE-1, ROUGE-2 or ROUGE-L; 0 if a text has nothing to compare.
pub(super) fn rouge(kind: MetricKind, stem: bool, text: &str, gold: &str) -> f64 {
    use MetricKind::{Rouge1, Rouge2, StepsRouge1, StepsRouge2};
    let (found, wanted) = (words(text, stem), words(gold, stem));
    match kind {
        Rouge1 | StepsRouge1 => ngram_f1(1, &found, &wanted),
        Rouge2 | StepsRouge2 => ngram_f1(2, &found, &wanted),
        _ if found.is_empty() || wanted.is_empty() => 0.0,
        _ => f1(longest_common_subsequence(&found, &wanted), found.len(), wanted.len()),
    }
}

fn words(text: &str, stem: bool) -> Vec<String> {
    let stemmer = stem.then(|| Stemmer::create(Algorithm::Porter));
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let stemmed = |word: &str| match &stemmer {
        Some(stemmer) if word.len() > UNSTEMMED => stemmer.stem(word).into_owned(),
        _ => word.to_owned(),
    };
    words.map(stemmed).collect()
}

fn ngram_f1(n: usize, found: &[String], wanted: &[String]) -> f64 {
    let counts = [found, wanted].map(|words| (words.len() + 1).saturating_sub(n));
    if counts.contains(&0) { 0.0 } else { f1(shared(found.windows(n), wanted.windows(n)), counts[0], counts[1]) }
}

/// Its length, by the usual table, of which two rows are kept.
fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut numbers = HashMap::new();
    let mut number = |word| {
        let next = numbers.len();
        *numbers.entry(word).or_insert(next)
    };
    let a: Vec<usize> = a.iter().map(&mut number).collect();
    let b: Vec<usize> = b.iter().map(&mut number).collect();
    let mut row = vec![0usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == *other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}
