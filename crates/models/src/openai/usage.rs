//! Booking what a call took: the reported usage, checked against the choices that came.
//!
//! Servers differ in what `completion_tokens` means for n > 1: most report all choices together, llama.cpp's server
//! only one of them. The book must never be below what was decoded, so where the report does not cover the choices,
//! they are counted here: exactly where the server's tokenizer can be asked, otherwise by a bound from their bytes.

use agenttts_core::Finish;

use super::reply::{Choice, Reported};

/// What a provider's `completion_tokens` covers, as far as replies with n > 1 have shown for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All choices together.
    All,
    /// One choice.
    One,
}

/// What to make of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All choices together took this many tokens.
    Trusted(u64),
    /// The report does not cover the choices, or there is none: count them.
    Count,
}

/// Judges a report about `choices`; the second value is what this reply shows for certain about the provider.
///
/// Certain: more tokens than one choice may have cover all; fewer than the choices must have (`max_tokens` each
/// that was cut off, one per word and per three digits of the others) do not. Otherwise what earlier replies showed
/// holds, and failing that, more than 7 bytes of text per reported token are taken for a report of one choice.
pub(crate) fn judge(
    reported: Option<Reported>,
    choices: &[Choice],
    max_tokens: u32,
    known: Option<Coverage>,
) -> (Verdict, Option<Coverage>) {
    const MOST_BYTES_PER_TOKEN: u64 = 7;
    let Some(Reported { completion, one_slot, .. }) = reported else { return (Verdict::Count, None) };
    let trusted = Verdict::Trusted(completion);
    let least: u64 = choices.iter().map(|choice| at_least(choice, max_tokens, choices.len())).sum();
    if choices.len() < 2 {
        return (if completion < least { Verdict::Count } else { trusted }, None);
    }
    let certain = if completion > u64::from(max_tokens) {
        Some(Coverage::All)
    } else if completion < least || one_slot == Some(completion) {
        Some(Coverage::One)
    } else {
        None
    };
    let bytes: u64 = choices.iter().map(bytes).sum();
    let verdict = match certain.or(known) {
        Some(Coverage::All) => trusted,
        Some(Coverage::One) => Verdict::Count,
        None if bytes > completion.saturating_mul(MOST_BYTES_PER_TOKEN) => Verdict::Count,
        None => trusted,
    };
    (verdict, certain)
}

/// The tokens of every choice where the report does not tell: `max_tokens` for those that were cut off; the others
/// share `tokenized`, the count of their texts by the model's tokenizer (to which an end-of-text token each is
/// added), or have at most one token per byte and one for the end.
pub(crate) fn count(choices: &[Choice], max_tokens: u32, tokenized: Option<u64>) -> Vec<u64> {
    let max = u64::from(max_tokens);
    let ended: Vec<u64> = choices.iter().filter(|c| !is_cut(c)).map(|c| bytes(c) + 1).collect();
    let mut ended = match tokenized {
        Some(tokens) => split(tokens.saturating_add(ended.len() as u64), &ended),
        None => ended.into_iter().map(|bound| bound.min(max)).collect(),
    }
    .into_iter();
    choices.iter().map(|choice| if is_cut(choice) { max } else { ended.next().unwrap_or(0) }).collect()
}

/// The texts that [`count`] wants tokenized, as one text; empty if there are none.
pub(crate) fn text_to_tokenize(choices: &[Choice]) -> String {
    let mut text = String::new();
    for choice in choices.iter().filter(|choice| !is_cut(choice)) {
        for part in [&choice.reasoning, &choice.text].into_iter().filter(|part| !part.is_empty()) {
            text.push_str(part);
            text.push_str("\n\n");
        }
    }
    text
}

/// A total split over choices in proportion to their lengths.
pub(crate) fn share(total: u64, choices: &[Choice]) -> Vec<u64> {
    split(total, &choices.iter().map(|choice| bytes(choice) + 1).collect::<Vec<_>>())
}

/// Splits a total in proportion to positive weights, in whole numbers that sum to it (largest remainders first).
fn split(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|w| u128::from(*w)).sum::<u128>().max(1);
    let exact = |weight: u64| u128::from(total) * u128::from(weight);
    let mut shares: Vec<u64> = weights.iter().map(|w| u64::try_from(exact(*w) / sum).unwrap_or(u64::MAX)).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|i| (std::cmp::Reverse(exact(weights[*i]) % sum), *i));
    let left = total.saturating_sub(shares.iter().sum());
    for i in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[i] += 1;
    }
    shares
}

fn is_cut(choice: &Choice) -> bool {
    choice.finish == Finish::Length
}

fn bytes(choice: &Choice) -> u64 {
    (choice.text.len() + choice.reasoning.len()) as u64
}

/// The fewest tokens that a choice can have taken. A single choice that was cut off is not held to `max_tokens`:
/// some servers have a lower limit of their own.
fn at_least(choice: &Choice, max_tokens: u32, of: usize) -> u64 {
    if of > 1 && is_cut(choice) {
        return u64::from(max_tokens);
    }
    (fewest_tokens(&choice.text) + fewest_tokens(&choice.reasoning)).min(u64::from(max_tokens))
}

/// A lower bound of a text's tokens: usual tokenizers merge neither across words nor more than three digits.
fn fewest_tokens(text: &str) -> u64 {
    let (mut tokens, mut digits, mut in_word) = (0, 0_u64, false);
    for c in text.chars() {
        let digit = c.is_ascii_digit();
        digits = if digit { digits + 1 } else { 0 };
        if digit && digits % 3 == 1 {
            tokens += 1;
        }
        let letter = c.is_alphabetic();
        if letter && !in_word {
            tokens += 1;
        }
        in_word = letter;
    }
    if tokens == 0 && !text.is_empty() { 1 } else { tokens }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choices(texts: &[&str], finish: Finish) -> Vec<Choice> {
        texts.iter().map(|text| Choice { text: (*text).into(), finish, reasoning: String::new() }).collect()
    }

    fn report(completion: u64) -> Option<Reported> {
        Some(Reported { prompt: 10, cached_prompt: 0, completion, one_slot: None })
    }

    #[test]
    fn a_report_of_all_choices_is_trusted() {
        let eight = choices(&["The answer to the question is 42."; 8], Finish::Stop);
        assert_eq!(judge(report(72), &eight, 64, None), (Verdict::Trusted(72), Some(Coverage::All)));
        assert_eq!(judge(report(72), &eight, 512, None), (Verdict::Trusted(72), None));
    }

    #[test]
    fn a_report_of_one_choice_is_noticed() {
        let eight = choices(&["The answer to the question is 42."; 8], Finish::Stop);
        assert_eq!(judge(report(9), &eight, 64, None), (Verdict::Count, Some(Coverage::One)));
        let cut = choices(&["a b c d", "e f g h"], Finish::Length);
        assert_eq!(judge(report(4), &cut, 4, None), (Verdict::Count, Some(Coverage::One)));
        // No word boundaries to count by, but 60 bytes cannot be 5 tokens: caught, though not for certain.
        let chinese = choices(&["答案是四十二因为六乘七等于四十二"; 2], Finish::Stop);
        assert_eq!(judge(report(5), &chinese, 64, None), (Verdict::Count, None));
    }

    #[test]
    fn llama_cpp_says_which_slot_it_reports() {
        let two = choices(&["7", "7"], Finish::Stop);
        let reported = Some(Reported { prompt: 10, cached_prompt: 0, completion: 2, one_slot: Some(2) });
        assert_eq!(judge(reported, &two, 64, None), (Verdict::Count, Some(Coverage::One)));
    }

    #[test]
    fn what_was_certain_before_decides_a_doubtful_report() {
        let two = choices(&["7", "7"], Finish::Stop);
        assert_eq!(judge(report(2), &two, 64, None).0, Verdict::Trusted(2));
        assert_eq!(judge(report(2), &two, 64, Some(Coverage::One)).0, Verdict::Count);
        let prose = choices(&["Incomprehensibilities everywhere"; 2], Finish::Stop);
        assert_eq!(judge(report(6), &prose, 64, Some(Coverage::All)).0, Verdict::Trusted(6));
    }

    #[test]
    fn a_single_choice_is_exact_unless_the_report_is_impossible() {
        assert_eq!(judge(report(3), &choices(&["one two three"], Finish::Stop), 64, None).0, Verdict::Trusted(3));
        assert_eq!(judge(report(0), &choices(&["one two three"], Finish::Stop), 64, None).0, Verdict::Count);
    }

    #[test]
    fn counts_are_exact_for_cut_choices_and_bounded_for_the_others() {
        let mut some = choices(&["abc", "abcdef"], Finish::Stop);
        some.extend(choices(&["x"], Finish::Length));
        assert_eq!(count(&some, 5, None), [4, 5, 5]);
        // 6 tokens and two ends, shared 4 : 7; the cut one is known.
        assert_eq!(count(&some, 5, Some(6)), [3, 5, 5]);
        assert_eq!(text_to_tokenize(&some), "abc\n\nabcdef\n\n");
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_total_and_differ_from_proportion_by_less_than_one(
            total in 0_u64..1_000_000,
            weights in prop::collection::vec(1_u64..10_000, 1..20),
        ) {
            let shares = split(total, &weights);
            let sum: u64 = weights.iter().sum();
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = total as f64 * *weight as f64 / sum as f64;
                prop_assert!((*share as f64 - exact).abs() < 1.0 + 1e-6);
            }
        }

        #[test]
        fn the_lower_bound_is_below_the_upper_bound(text in ".{0,80}") {
            prop_assert!(fewest_tokens(&text) <= text.len() as u64);
        }
    }
}
