//! A model's price as it is typed: `small=0.06/0.18`.

use std::str::FromStr;

use agenttts_core::Price;

use super::number::amount;

/// A model and its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceArg {
    pub(crate) model: String,
    pub(crate) price: Price,
}

impl FromStr for PriceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not of the form MODEL=PROMPT/DECODE, such as small=0.06/0.18");
        // A model's name may hold the sign itself; a price cannot.
        let (model, prices) = text.rsplit_once('=').filter(|(m, _)| !m.trim().is_empty()).ok_or_else(form)?;
        let (prompt, decode) = prices.split_once('/').ok_or_else(form)?;
        // Dollars per million tokens, to the millionth.
        let pico = |typed: &str| -> Result<u64, String> { Ok((amount(typed)? * 1e6).round() as u64) };
        let (prompt, decode) = (pico(prompt)?, pico(decode)?);
        Ok(PriceArg {
            model: model.trim().to_owned(),
            price: Price { prompt, cached_prompt: prompt, decode, batch: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_dollars_per_million_tokens() {
        let typed: PriceArg = "small=0.06/0.18".parse().unwrap();
        assert_eq!(typed.model, "small");
        assert_eq!(typed.price, Price { prompt: 60_000, cached_prompt: 60_000, decode: 180_000, batch: None });
        assert_eq!("a=b=1/2".parse::<PriceArg>().unwrap().model, "a=b");
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for bad in ["small", "small=1", "=1/2", "small=1/x", "small=-1/2", "small=1/2/3"] {
            assert!(bad.parse::<PriceArg>().is_err(), "{bad}");
        }
    }
}
