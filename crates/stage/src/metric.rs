//! Metrics: how good an output is, in `0..=1`.

mod answer;
mod gold;
mod graph;
mod near;
mod rouge;
mod set;
mod tools;

use agenttts_core::Example;
use agenttts_core::pipeline::{LlmJudge, MetricKind, MetricSpec};
use serde_json::Value;

use crate::code;
use crate::field::{id_of, lookup, plain_text};
use crate::normalise::squad;
use gold::{Gold, alternatives};

pub use gold::MetricError;
pub(crate) use near::wanted;
pub use near::{Near, Seen, cosine};

/// Scores an output against the example's gold answer, in `0..=1`, higher is better. An output that a metric cannot
/// read scores 0.
///
/// Gold answers are strings, numbers, booleans, objects with an `id`, or a list of these. For metrics of answers and
/// texts a list holds alternatives, fields of aliases add more, and the best counts; for the set metrics it is the gold
/// set, and a list of lists holds alternatives of it.
///
/// # Answers (version [`METRIC_VERSION`](crate::METRIC_VERSION))
/// * `exact-match`, `f1`: SQuAD's, over texts [normalised](squad) as its script does; F1 is over the multiset of tokens.
/// * `hotpot-f1`: F1, but where one side is "yes", "no" or "noanswer" and the other is not the same, it is 0 (Yang et al.
///   2018, the official evaluation script).
/// * `contains`: 1 if the tokens of a gold answer occur one after another in the output (cover exact match).
/// * `number`: 1 if the output's last number equals the gold answer's last number within a relative 1e-9.
///
/// # Sets (the same version)
/// * `set-precision`, `set-recall`, `set-f1`: of ids, compared exactly. If both sets are empty all three are 1. With an
///   empty output and a gold set all are 0 (saying nothing is not precise). With an output and an empty gold set
///   precision and F1 are 0, and recall is 1 (nothing was missed).
///
/// # Texts (version [`ROUGE_VERSION`](crate::ROUGE_VERSION))
/// * `rouge-1`, `rouge-2`, `rouge-l`: the F-measure of shared words, shared pairs of words and the longest common
///   subsequence of words (Lin 2004), with the words of the package `rouge_score`: runs of a-z and 0-9 in lower case,
///   stemmed by Porter's algorithm if asked for and if longer than 3 letters. A text without words scores 0.
/// * `steps-rouge-1`, `steps-rouge-2`, `steps-rouge-l`: the same of the steps of a plan, joined to one text; output and
///   gold answer are lists of steps, or tool graphs with steps.
///
/// # Tool graphs (version [`GRAPH_VERSION`](crate::GRAPH_VERSION))
/// `node-f1`, `edge-f1`, `parameter-name-f1`, `parameter-value-f1`: `2 shared / (found + wanted)` over sets of
/// tools, of pairs (tool, tool), of pairs (tool, parameter) and of triples (tool, parameter, value), as in TaskBench
/// (Shen et al. 2024), whose script counts over all examples together instead of example by example, and leaves tools out that
/// do not exist, where here they count as wrong. Two empty sets score 1: a task of one tool has no links, and an output
/// with none is right.
///
/// # Code (version [`CODE_VERSION`](crate::CODE_VERSION))
/// `completeness`: 1 if the output holds Python code and no placeholder in it. ChatDev (Qian et al. 2024) looks for lines
/// with "pass" or "todo"; here the code is parsed, so that only placeholders count.
///
/// `executability`: 1 if the output's code ran without a traceback. That is found out elsewhere: `seen` tells it, and an
/// output that was not run scores 0.
///
/// # Embeddings
/// `consistency`: the cosine of the embeddings of the output and of the gold field's text (ChatDev: of the requirement), 0
/// where it is negative. That is found out elsewhere too; an output without any text scores 0.
///
/// # Judges (version [`JUDGE_VERSION`](crate::JUDGE_VERSION))
/// `llm-judge`: what a model said of the output, which `seen` tells; an output without any text scores 0.
///
/// # Combinations
/// `mean`, `product`: of the scores by the metrics that they name. A product of shares of which all must be high, as the
/// completeness, executability and consistency of ChatDev, is 0 as soon as one of them is.
///
/// # Errors
/// The gold answer is missing or is not what the metric needs.
pub fn score(spec: &MetricSpec, output: &Value, example: &Example, seen: &Seen) -> Result<f64, MetricError> {
    let gold = Gold { spec, example };
    let best_answer = |score: fn(&str, &str) -> f64| {
        let answer = squad(&plain_text(output));
        Ok(best(&gold.texts_and_aliases()?, |g| score(&answer, &squad(g))))
    };
    match spec.kind {
        MetricKind::ExactMatch => best_answer(|answer, gold| share(answer == gold)),
        MetricKind::F1 => best_answer(answer::token_f1),
        MetricKind::HotpotF1 => best_answer(answer::hotpot_f1),
        MetricKind::Contains => best_answer(|answer, gold| share(answer::contains_tokens(answer, gold))),
        MetricKind::Number => {
            let golds = gold.numbers()?;
            let answer = answer::last_number(output);
            Ok(share(answer.is_some_and(|a| golds.iter().any(|&g| answer::is_same_number(a, g)))))
        }
        MetricKind::SetF1 | MetricKind::SetPrecision | MetricKind::SetRecall => {
            let output = set::set_of(output);
            Ok(best(&gold.sets()?, |gold| set::set_score(spec.kind, &output, gold)))
        }
        MetricKind::Rouge1 | MetricKind::Rouge2 | MetricKind::RougeL => {
            let text = plain_text(output);
            Ok(best(&gold.texts_and_aliases()?, |g| rouge::rouge(spec.kind, spec.stem, &text, g)))
        }
        MetricKind::StepsRouge1 | MetricKind::StepsRouge2 | MetricKind::StepsRougeL => {
            let wanted = gold.steps()?;
            let found = graph::steps(output).or_else(|| output.as_str().map(str::to_owned));
            Ok(found.map_or(0.0, |found| rouge::rouge(spec.kind, spec.stem, &found, &wanted)))
        }
        MetricKind::NodeF1 | MetricKind::EdgeF1 | MetricKind::ParameterNameF1 | MetricKind::ParameterValueF1 => {
            Ok(tools::graph_score(spec.kind, output, &gold.graph()?))
        }
        MetricKind::Completeness => Ok(share(code::is_complete(output))),
        MetricKind::Executability => Ok(share(seen.passed == Some(true))),
        MetricKind::Consistency => {
            // A gold answer that cannot be compared is told before anything is embedded.
            let _ = gold.texts()?;
            Ok(near::key(spec).and_then(|key| seen.near.get(&key).copied()).unwrap_or(0.0).clamp(0.0, 1.0))
        }
        MetricKind::LlmJudge => {
            // What cannot be compared, and labels that cannot be read, are told before anything is judged.
            if let Some(judge) = &spec.judge {
                judge.against().map(|field| gold.reference(field)).transpose()?;
                label(judge, output, example).transpose()?;
            }
            Ok(seen.judged.unwrap_or(0.0).clamp(0.0, 1.0))
        }
        MetricKind::Mean | MetricKind::Product => {
            let parts: Result<Vec<f64>, MetricError> =
                spec.of.iter().map(|part| score(part, output, example, seen)).collect();
            let parts = parts?;
            Ok(match spec.kind {
                MetricKind::Product => parts.iter().product(),
                _ => parts.iter().sum::<f64>() / parts.len().max(1) as f64,
            })
        }
    }
}

/// The score of an output by the metric that calibrates a judge, where the example has its gold answer.
pub(crate) fn label(judge: &LlmJudge, output: &Value, example: &Example) -> Option<Result<f64, MetricError>> {
    let metric = judge.calibrate_with.as_deref()?;
    lookup(&example.fields, metric.gold.as_deref()?).filter(|gold| !gold.is_null())?;
    Some(score(metric, output, example, &Seen::default()))
}

/// The gold answer as an output: of alternatives the first, of sets the ids, of graphs the graph.
pub(crate) fn gold_output(spec: &MetricSpec, gold: &Value) -> Option<Value> {
    match spec.kind {
        MetricKind::SetF1 | MetricKind::SetPrecision | MetricKind::SetRecall => {
            let set = alternatives(gold).first()?;
            let items = set.as_array().map_or(std::slice::from_ref(set), Vec::as_slice);
            let ids: Option<std::collections::BTreeSet<String>> = items.iter().map(id_of).collect();
            Some(ids?.into_iter().collect::<Vec<_>>().into())
        }
        MetricKind::StepsRouge1 | MetricKind::StepsRouge2 | MetricKind::StepsRougeL => Some(gold.clone()),
        MetricKind::NodeF1 | MetricKind::EdgeF1 | MetricKind::ParameterNameF1 | MetricKind::ParameterValueF1 => {
            // A graph that is written as a text is the graph.
            let read = gold.as_str().and_then(|text| serde_json::from_str(text).ok());
            Some(read.unwrap_or_else(|| gold.clone()))
        }
        MetricKind::Completeness | MetricKind::Executability | MetricKind::Consistency | MetricKind::LlmJudge => None,
        // Parts may have different gold answers, and there is one output.
        MetricKind::Mean | MetricKind::Product => None,
        _ => match gold {
            Value::Array(alternatives) => alternatives.first().cloned(),
            one => Some(one.clone()),
        },
    }
}

fn best<G>(golds: &[G], score: impl Fn(&G) -> f64) -> f64 {
    golds.iter().map(score).fold(0.0, f64::max)
}

fn share(is_met: bool) -> f64 {
    f64::from(u8::from(is_met))
}

/// `2 shared / (found + wanted)`: the harmonic mean of precision and recall; 1 where there is nothing on either side.
fn f1(shared: usize, found: usize, wanted: usize) -> f64 {
    if found + wanted == 0 { 1.0 } else { 2.0 * shared as f64 / (found + wanted) as f64 }
}

/// How many members two multisets share.
fn shared<T: Ord>(found: impl IntoIterator<Item = T>, wanted: impl IntoIterator<Item = T>) -> usize {
    let mut left = std::collections::BTreeMap::<T, usize>::new();
    wanted.into_iter().for_each(|t| *left.entry(t).or_default() += 1);
    let mut is_left = |t: T| match left.get_mut(&t) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    found.into_iter().map(&mut is_left).filter(|is_shared| *is_shared).count()
}

#[cfg(test)]
mod tests;
