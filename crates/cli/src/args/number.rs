//! Numbers with the suffixes k, M, G and T.

/// A number such as `2.5`, `200k` or `2M`, at least 0.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    let value = signed_amount(text)?;
    if value < 0.0 { Err("must not be below 0".into()) } else { Ok(value) }
}

/// A share above 0 and at most 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("must be above 0 and at most 1".into()),
    }
}

/// A probability below one half.
pub(super) fn error_rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if (0.0..0.5).contains(&rate) => Ok(rate),
        _ => Err("must be a probability from 0 to below 0.5".into()),
    }
}

/// A whole number such as `2048` or `2k`.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let value = amount(text)?;
    if value.fract() != 0.0 || value > 1e15 { Err("must be a whole number".into()) } else { Ok(value as u64) }
}

/// A finite number with an optional suffix. Costs in the paper's unit can be negative.
pub(super) fn signed_amount(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    let (digits, factor) = match trimmed.chars().last() {
        Some('k' | 'K') => (&trimmed[..trimmed.len() - 1], 1e3),
        Some('m' | 'M') => (&trimmed[..trimmed.len() - 1], 1e6),
        Some('g' | 'G') => (&trimmed[..trimmed.len() - 1], 1e9),
        Some('t' | 'T') => (&trimmed[..trimmed.len() - 1], 1e12),
        _ => (trimmed, 1.0),
    };
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    match digits.parse::<f64>() {
        Ok(value) if (value * factor).is_finite() && digits.chars().all(plain) => Ok(value * factor),
        _ => Err(format!("{trimmed:?} is not a number such as 2.5, 200k or 2M")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_multiply() {
        assert_eq!(signed_amount("-1.8"), Ok(-1.8));
        assert_eq!(amount("200k"), Ok(200_000.0));
        assert_eq!(count("2M"), Ok(2_000_000));
        assert_eq!(count("1.5k"), Ok(1_500));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", "k", "two", "inf", "NaN", "2Q", "2kk", "1e400", "-"] {
            assert!(signed_amount(bad).is_err(), "{bad}");
        }
        assert!(amount("-1").is_err() && count("1.5").is_err());
    }
}
