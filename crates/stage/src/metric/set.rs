//! Sets of ids.

use std::collections::BTreeSet;

use agenttts_core::pipeline::MetricKind;
use serde_json::Value;

use super::{f1, share};
use crate::field::{id_of, plain_text};

pub(super) fn set_of(output: &Value) -> BTreeSet<String> {
    let id = |v: &Value| id_of(v).unwrap_or_else(|| plain_text(v));
    match output {
        Value::Array(items) => items.iter().map(id).collect(),
        Value::Null => BTreeSet::new(),
        one => BTreeSet::from([id(one)]),
    }
}

pub(super) fn set_score(kind: MetricKind, output: &BTreeSet<String>, gold: &BTreeSet<String>) -> f64 {
    let shared = output.intersection(gold).count();
    let of = |total: usize, if_none: bool| if total == 0 { share(if_none) } else { shared as f64 / total as f64 };
    match kind {
        MetricKind::SetPrecision => of(output.len(), gold.is_empty()),
        MetricKind::SetRecall => of(gold.len(), true),
        _ => f1(shared, output.len(), gold.len()),
    }
}
