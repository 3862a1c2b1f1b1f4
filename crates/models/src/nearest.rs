//! The known name that is most like an unknown one, for "did you mean" hints.

use agenttts_core::text::edit_distance;

/// The candidates, the one most like `name` first.
pub(crate) fn nearest_first(name: &str, mut candidates: Vec<String>) -> Vec<String> {
    let name = name.to_lowercase();
    candidates.sort_by_cached_key(|candidate| {
        let candidate = candidate.to_lowercase();
        // A part of the full name (`qwen2.5-7b` of `Qwen/Qwen2.5-7B-Instruct`) is nearer than any misspelling.
        let part = candidate.contains(&name) || name.contains(&candidate);
        (!part, edit_distance(&name, &candidate), candidate)
    });
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_before_misspellings() {
        let offered =
            ["Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "qwen2.5-8b"].map(String::from).to_vec();
        assert_eq!(nearest_first("qwen2.5-7b", offered)[0], "Qwen/Qwen2.5-7B-Instruct");
    }
}
