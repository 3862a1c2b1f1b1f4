//! The known name that is most like an unknown one, for "did you mean" hints.

/// The candidates, the one most like `name` first.
pub(crate) fn nearest_first(name: &str, mut candidates: Vec<String>) -> Vec<String> {
    let name = name.to_lowercase();
    candidates.sort_by_cached_key(|candidate| {
        let candidate = candidate.to_lowercase();
        // A part of the full name (`qwen2.5-7b` of `Qwen/Qwen2.5-7B-Instruct`) is nearer than any misspelling.
        let part = candidate.contains(&name) || name.contains(&candidate);
        (!part, distance(&name, &candidate), candidate)
    });
    candidates
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn parts_come_before_misspellings() {
        let offered =
            ["Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "qwen2.5-8b"].map(String::from).to_vec();
        assert_eq!(nearest_first("qwen2.5-7b", offered)[0], "Qwen/Qwen2.5-7B-Instruct");
    }
}
