//! Numbers as people and models write them.

use serde_json::Number;

/// The largest magnitude below which every integer is exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// All numbers of a text in order, each with the byte offset of its first digit or decimal point.
///
/// Understood: thousands separated by commas (`1,234`), decimals (`.5`, `1.5`), exponents (`2e3`), a sign directly before
/// the digits or the currency symbol (`-3`, `-$3`, `$-3`, also the Unicode minus). Digits that continue a word or name
/// (`Q4`, `x2`) are not numbers; a minus between digits or words (`10-3`) is not a sign. A decimal comma is not
/// understood: `1,5` is 1 and 5.
pub(crate) fn numbers(text: &str) -> Vec<(usize, Number)> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let at = |i: usize| chars.get(i).map(|&(_, c)| c);
    let is_digit = |i: usize| at(i).is_some_and(|c| c.is_ascii_digit());
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let begins = is_digit(i) || (at(i) == Some('.') && is_digit(i + 1));
        if !begins {
            i += 1;
            continue;
        }
        let start = i;
        let continues_word = at(i) != Some('.')
            && start.checked_sub(1).and_then(at).is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let mut digits = String::new();
        while is_digit(i) {
            digits.extend(at(i));
            i += 1;
            // A comma and exactly three digits after one to three digits separate thousands.
            let group = at(i) == Some(',') && (1..=3).all(|k| is_digit(i + k)) && !is_digit(i + 4);
            if group && (i - start <= 3 || text[chars[start].0..chars[i].0].contains(',')) {
                i += 1;
            }
        }
        if at(i) == Some('.') && is_digit(i + 1) {
            digits.push('.');
            i += 1;
            while is_digit(i) {
                digits.extend(at(i));
                i += 1;
            }
        }
        if let Some(end) = exponent_end(&at, i) {
            digits.extend((i..end).filter_map(at));
            i = end;
        }
        if continues_word {
            continue;
        }
        if let Some(number) = parse(&digits, is_negative(&at, start)) {
            found.push((chars[start].0, number));
        }
    }
    found
}

/// The same number in the one form that equal numbers share: integers as integers.
pub(crate) fn canonical_number(number: &Number) -> Number {
    if number.is_i64() || number.is_u64() {
        return number.clone();
    }
    number.as_f64().and_then(from_f64).unwrap_or_else(|| number.clone())
}

fn exponent_end(at: &dyn Fn(usize) -> Option<char>, i: usize) -> Option<usize> {
    if !matches!(at(i), Some('e' | 'E')) {
        return None;
    }
    let digits = if matches!(at(i + 1), Some('+' | '-')) { i + 2 } else { i + 1 };
    let mut end = digits;
    while at(end).is_some_and(|c| c.is_ascii_digit()) {
        end += 1;
    }
    (end > digits && !at(end).is_some_and(|c| c.is_ascii_alphabetic())).then_some(end)
}

fn is_negative(at: &dyn Fn(usize) -> Option<char>, start: usize) -> bool {
    let mut i = start;
    let mut back = |wanted: &dyn Fn(char) -> bool| {
        let is_wanted = i.checked_sub(1).and_then(at).is_some_and(wanted);
        if is_wanted {
            i -= 1;
        }
        is_wanted
    };
    back(&|c| matches!(c, '$' | '€' | '£' | '¥' | '₹'));
    back(&|c| c == '\\');
    if !back(&|c| matches!(c, '-' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')) {
        return false;
    }
    !i.checked_sub(1).and_then(at).is_some_and(|c| c.is_alphanumeric() || matches!(c, ')' | ']' | '-' | '.'))
}

fn parse(digits: &str, negative: bool) -> Option<Number> {
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(magnitude) = digits.parse::<u64>()
    {
        return match i64::try_from(magnitude) {
            Ok(m) => Some(Number::from(if negative { -m } else { m })),
            Err(_) if negative => from_f64(-(magnitude as f64)),
            Err(_) => Some(Number::from(magnitude)),
        };
    }
    let magnitude: f64 = digits.parse().ok()?;
    from_f64(if negative { -magnitude } else { magnitude })
}

fn from_f64(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < EXACT { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<String> {
        numbers(text).into_iter().map(|(_, n)| n.to_string()).collect()
    }

    #[test]
    fn understands_common_forms() {
        assert_eq!(all("It costs $1,234.50 today."), ["1234.5"]);
        assert_eq!(all("1,234,567 and 12.0 and .5 and 007"), ["1234567", "12", "0.5", "7"]);
        assert_eq!(all("2e3, 1.5E-2"), ["2000", "0.015"]);
        assert_eq!(all("50% of 3rd, 5km"), ["50", "3", "5"]);
        assert_eq!(all("答案是42"), ["42"]);
    }

    #[test]
    fn reads_signs_but_not_binary_minus() {
        assert_eq!(all("-3, −4, -$5, $-6, (-7), -\\$8"), ["-3", "-4", "-5", "-6", "-7", "-8"]);
        assert_eq!(all("10-3 = 7 on 2023-05-01"), ["10", "3", "7", "2023", "5", "1"]);
        assert_eq!(all("-0 -0.0"), ["0", "0"]);
    }

    #[test]
    fn commas_separate_thousands_only_in_groups_of_three() {
        assert_eq!(all("1,2,3"), ["1", "2", "3"]);
        assert_eq!(all("1,2345"), ["1", "2345"]);
        assert_eq!(all("1234,567"), ["1234", "567"]);
        assert_eq!(all("12,345,6"), ["12345", "6"]);
    }

    #[test]
    fn skips_digits_inside_words_and_what_no_double_holds() {
        assert_eq!(all("Q4 of Qwen2.5 has x_2"), Vec::<String>::new());
        assert_eq!(all("1e999"), Vec::<String>::new());
        assert_eq!(all("18446744073709551615"), ["18446744073709551615"]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-0-9.,eE$−a-c ]{0,30}|\\PC{0,30}") {
            numbers(&text);
        }

        #[test]
        fn finds_any_integer_among_words(n in any::<i64>()) {
            prop_assert_eq!(all(&format!("so it is {n}.")), [n.to_string()]);
        }

        #[test]
        fn finds_any_double(x in -1e12..1e12f64) {
            let found = numbers(&format!("= {x}"));
            prop_assert_eq!(found[0].1.as_f64(), Some(x));
        }
    }
}
