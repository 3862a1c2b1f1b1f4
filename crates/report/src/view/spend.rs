//! What the search spent and what the bank saved.

use agenttts_core::StudySummary;
use serde::Serialize;

use crate::number::{duration, of_limit, percent, short, times, usd};

#[derive(Serialize)]
pub(crate) struct Spent {
    total: String,
    kinds: Vec<Kind>,
    limits: Vec<Bar>,
    lost: Option<String>,
    reuse: Vec<Bar>,
    saved: Option<String>,
}

#[derive(Serialize)]
struct Kind {
    name: String,
    tokens: String,
    prompt: String,
    decode: String,
    calls: String,
    samples: String,
    share: Bar,
}

/// A bar from 0 to `width` percent of its full length.
#[derive(Serialize)]
struct Bar {
    name: String,
    value: String,
    width: String,
}

impl Spent {
    pub(crate) fn new(summary: &StudySummary) -> Self {
        let spend = &summary.spend;
        let all = spend.total.tokens() as f64;
        let mut total = format!(
            "{} tokens ({} prompt, {} decoded) in {} calls",
            short(all),
            short(spend.total.prompt as f64),
            short(spend.total.decode as f64),
            short(spend.total.calls as f64)
        );
        if let Some(dollars) = spend.usd {
            total.push_str(&format!(", {}", usd(dollars)));
        }
        if let Some(gflop) = spend.gflop {
            total.push_str(&format!(", {} GFLOP", short(gflop)));
        }
        total.push_str(&format!(", in {}.", duration(spend.seconds)));
        let mut kinds: Vec<_> = spend.by_kind.iter().collect();
        kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.usage.tokens()));
        let kinds = kinds
            .into_iter()
            .map(|(name, kind)| {
                let tokens = kind.usage.tokens() as f64;
                Kind {
                    name: kind_words(name),
                    tokens: short(tokens),
                    prompt: short(kind.usage.prompt as f64),
                    decode: short(kind.usage.decode as f64),
                    calls: short(kind.usage.calls as f64),
                    samples: short(kind.samples as f64),
                    share: bar("", percent(tokens / all), tokens / all),
                }
            })
            .collect();
        let limits = spend
            .limits
            .iter()
            .map(|l| {
                let share = l.used / l.limit;
                let value =
                    format!("{} of {} ({})", of_limit(&l.what, l.used), of_limit(&l.what, l.limit), percent(share));
                bar(&l.what, value, share)
            })
            .collect();
        let (drawn, fresh) = (summary.reuse.drawn as f64, summary.reuse.fresh as f64);
        let most = drawn.max(fresh);
        let ratio = summary.reuse.ratio();
        let reuse = match ratio {
            Some(_) => vec![
                bar("drawn, with the sample bank", format!("{} tokens", short(drawn)), drawn / most),
                bar("every trial from nothing", format!("{} tokens", short(fresh)), fresh / most),
            ],
            None => Vec::new(),
        };
        let lost = (spend.lost_tokens > 0).then(|| {
            format!(
                "{} tokens of these were reserved by calls that were under way when the program was killed; they count as spent.",
                short(spend.lost_tokens as f64)
            )
        });
        Spent { total, kinds, limits, lost, reuse, saved: ratio.map(times) }
    }
}

fn bar(name: &str, value: String, share: f64) -> Bar {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    Bar { name: name.to_owned(), value, width: format!("{:.1}", share * 100.0) }
}

fn kind_words(kind: &str) -> String {
    match kind {
        "sample" => "samples of trials",
        "fusion" => "fusion of samples",
        "judge" => "judging samples",
        "embedding" => "embeddings for the metric",
        "verdict" => "verdicts of the judge",
        "agent" => "the agent",
        "confirmation" => "confirmation on the test split",
        "probe" => "probing the models",
        other => other,
    }
    .to_owned()
}
