//! Cost models: what one sample, one call, one plan or a whole search costs, in exact integers.
//!
//! Every amount is a count of a cost model's *quantum*, so that a budget is compared without rounding: the paper's
//! costs are multiples of 1/192 and would be miscounted as floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ModelSpec;
use crate::text::decimal;

/// How plans are priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CostModel {
    /// The unit of AgentTTS (arXiv 2508.00890): `alpha * (Np + S * Nd) / 64 - 2` per stage with `alpha = params / 3e9`.
    /// Counts neither fusion nor attention; can be negative for very small models.
    PaperFlops,
    /// Floating-point operations in GFLOP, attention and every call of a stage included.
    Flops,
    /// Dollars.
    Usd,
    /// Dollars at the price of the provider's batch API: what plans cost that answer whenever there is room. The calls of a
    /// search are ordinary ones and are paid as such.
    UsdBatch,
    /// Prompt and decoded tokens.
    Tokens,
    /// Seconds until the answer.
    Seconds,
}

impl CostModel {
    /// All of them, in the order of the documentation.
    pub const ALL: [CostModel; 6] = [
        CostModel::PaperFlops,
        CostModel::Flops,
        CostModel::Usd,
        CostModel::UsdBatch,
        CostModel::Tokens,
        CostModel::Seconds,
    ];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CostModel::PaperFlops => "paper-flops",
            CostModel::Flops => "flops",
            CostModel::Usd => "usd",
            CostModel::UsdBatch => "usd-batch",
            CostModel::Tokens => "tokens",
            CostModel::Seconds => "seconds",
        }
    }

    /// The cost model of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        CostModel::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The unit that people read, written after an amount.
    pub fn unit(self) -> &'static str {
        match self {
            CostModel::PaperFlops => "units",
            CostModel::Flops => "GFLOP",
            CostModel::Usd | CostModel::UsdBatch => "USD",
            CostModel::Tokens => "tokens",
            CostModel::Seconds => "s",
        }
    }

    /// Quanta in one unit: 1/192,000 of the paper's unit (parameters are whole millions), one operation, 1e-12
    /// dollars, one token, one microsecond.
    fn quanta_per_unit(self) -> i128 {
        match self {
            CostModel::PaperFlops => 192_000,
            CostModel::Flops => 1_000_000_000,
            CostModel::Usd | CostModel::UsdBatch => 1_000_000_000_000,
            CostModel::Tokens => 1,
            CostModel::Seconds => 1_000_000,
        }
    }

    /// Whether the unit is the dollar.
    pub fn is_dollars(self) -> bool {
        matches!(self, CostModel::Usd | CostModel::UsdBatch)
    }

    /// An amount from a number of units, rounded to the nearest quantum. `None` if it is not finite or out of range.
    pub fn amount(self, units: f64) -> Option<Cost> {
        let quanta = units * self.quanta_per_unit() as f64;
        (quanta.is_finite() && quanta.abs() < 1e36).then(|| Cost(quanta.round() as i128))
    }

    /// An amount as a number of units.
    pub fn units(self, cost: Cost) -> f64 {
        cost.0 as f64 / self.quanta_per_unit() as f64
    }

    /// An amount for people: `814`, `114.67`, `0.00231 USD`.
    pub fn display(self, cost: Cost) -> String {
        let units = self.units(cost);
        let text = match self {
            CostModel::PaperFlops | CostModel::Seconds => decimal(units, 2),
            CostModel::Tokens => format!("{units:.0}"),
            CostModel::Flops if units.abs() >= 100.0 => format!("{units:.0}"),
            CostModel::Flops => decimal(units, 2),
            CostModel::Usd | CostModel::UsdBatch if units != 0.0 && units.abs() < 0.01 => format!("{units:.3e}"),
            CostModel::Usd | CostModel::UsdBatch => decimal(units, 4),
        };
        match self {
            CostModel::PaperFlops => text,
            _ => format!("{text} {}", self.unit()),
        }
    }

    /// The cost of one call as planned or as measured.
    ///
    /// Errors when the model lacks what the cost model needs (parameters, prices or speed).
    pub fn call(self, model: &ModelSpec, call: &CallTokens) -> Result<Cost, MissingFact> {
        let missing = |fact| MissingFact { model: model.name.clone(), cost_model: self, fact };
        let prompts = i128::from(call.prompts);
        let quanta = match self {
            CostModel::PaperFlops => {
                let params = i128::from(model.params.ok_or_else(|| missing("params_b"))?);
                let millions = (params + 500_000) / 1_000_000;
                millions * (i128::from(call.prompt) * prompts + i128::from(call.decode)) - 384_000
            }
            CostModel::Flops => {
                let params = i128::from(model.params.ok_or_else(|| missing("params_b"))?);
                flops(params, model.shape.map_or(0, |s| i128::from(s.layers) * i128::from(s.width)), call)
            }
            CostModel::Usd => {
                let price = model.price.ok_or_else(|| missing("price"))?;
                prompts
                    * (i128::from(call.prompt - call.cached_prompt.min(call.prompt)) * i128::from(price.prompt)
                        + i128::from(call.cached_prompt.min(call.prompt)) * i128::from(price.cached_prompt))
                    + i128::from(call.decode) * i128::from(price.decode)
            }
            CostModel::UsdBatch => {
                let share = model.price.and_then(|price| price.batch).ok_or_else(|| missing("price.batch"))?;
                let usual = CostModel::Usd.call(model, call)?.0;
                // Rounded up: no less is counted than is paid.
                (usual * i128::from(share) + 999) / 1000
            }
            CostModel::Tokens => prompts * i128::from(call.prompt) + i128::from(call.decode),
            CostModel::Seconds => match call.latency_us {
                Some(us) => i128::from(us),
                None => {
                    let speed = model.speed.ok_or_else(|| missing("speed"))?;
                    let samples = call.samples.max(1);
                    let rounds = f64::from(samples.div_ceil(speed.parallel.max(1)));
                    let each = call.decode as f64 / f64::from(samples);
                    let seconds = call.prompt as f64 / speed.prompt + rounds * each / speed.decode;
                    (seconds * 1e6).round() as i128
                }
            },
        };
        Ok(Cost(quanta))
    }
}

impl fmt::Display for CostModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Prefill `2*M*Np + 2*L*D*Np*(Np+1)`, decode `2*M*Nd + 2*L*D*Nd*(2*Np+Nd+1)` for each of the samples, with M
/// parameters and L layers of width D (the accounting of the AgentTTS authors' later work). Cached prompt tokens are
/// subtracted from the prefill.
fn flops(params: i128, layer_width: i128, call: &CallTokens) -> i128 {
    let (np, cached) = (i128::from(call.prompt), i128::from(call.cached_prompt.min(call.prompt)));
    let prefill = 2 * params * (np - cached) + 2 * layer_width * (np * (np + 1) - cached * (cached + 1));
    let samples = i128::from(call.samples.max(1));
    let decode = i128::from(call.decode);
    // Attention is quadratic in a sample's length: the samples count as equally long, which is exact for plans.
    let attention = 2 * layer_width * decode * (2 * np * samples + decode + samples) / samples;
    i128::from(call.prompts) * prefill + 2 * params * decode + attention
}

/// The tokens of one call, or of all calls that draw the samples of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTokens {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Those of them that are read from a cache.
    pub cached_prompt: u64,
    /// How often the prompt is evaluated or billed: once where the samples share it.
    pub prompts: u32,
    /// Samples drawn.
    pub samples: u32,
    /// Tokens decoded by all samples together.
    pub decode: u64,
    /// Measured time until the slowest sample was there, in microseconds.
    pub latency_us: Option<u64>,
}

impl CallTokens {
    /// `samples` samples of `decode` tokens each after one shared prompt.
    pub fn planned(prompt: u64, decode: u64, samples: u32) -> Self {
        CallTokens {
            prompt,
            cached_prompt: 0,
            prompts: 1,
            samples,
            decode: decode * u64::from(samples),
            latency_us: None,
        }
    }
}

/// An exact amount, in quanta of the cost model it was made by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub i128);

impl Cost {
    /// Nothing.
    pub const ZERO: Cost = Cost(0);
}

impl Add for Cost {
    type Output = Cost;
    fn add(self, other: Cost) -> Cost {
        Cost(self.0 + other.0)
    }
}

impl Sub for Cost {
    type Output = Cost;
    fn sub(self, other: Cost) -> Cost {
        Cost(self.0 - other.0)
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.0 += other.0;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(iter: I) -> Cost {
        iter.fold(Cost::ZERO, Add::add)
    }
}

// JSON numbers lose digits beyond 2^53; amounts are stored as decimal text.
impl Serialize for Cost {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map(Cost).map_err(|_| serde::de::Error::custom(format!("not an amount: {text:?}")))
    }
}

impl JsonSchema for Cost {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "An exact amount in the quantum of its cost model, in decimal digits.";
        schemars::json_schema!({"type": "string", "pattern": "^-?[0-9]+$", "description": description})
    }
}

/// A fact that a cost model needs and a model lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("model {model:?} has no `{fact}`, which the cost model `{cost_model}` needs")]
pub struct MissingFact {
    /// The model.
    pub model: String,
    /// The cost model.
    pub cost_model: CostModel,
    /// The missing key of the model's table.
    pub fact: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn model(params_b: f64) -> ModelSpec {
        ModelSpec {
            name: format!("m{params_b}"),
            provider: "p".into(),
            id: "m".into(),
            revision: None,
            params: Some((params_b * 1e9) as u64),
            shape: None,
            price: None,
            speed: None,
            context: None,
            top_p: None,
        }
    }

    fn paper(params_b: f64, prompt: u64, decode: u64, samples: u32) -> String {
        let call = CallTokens::planned(prompt, decode, samples);
        CostModel::PaperFlops.display(CostModel::PaperFlops.call(&model(params_b), &call).unwrap())
    }

    #[test]
    fn the_papers_golden_values() {
        assert_eq!(paper(72.0, 2048, 128, 1), "814");
        assert_eq!(paper(32.0, 2048, 128, 1), "360.67");
        assert_eq!(paper(7.0, 2048, 128, 1), "77.33");
        assert_eq!(paper(70.0, 256, 64, 1), "114.67");
        assert_eq!(paper(8.0, 256, 64, 1), "11.33");
        assert_eq!(paper(3.0, 256, 64, 1), "3");
        assert_eq!(paper(3.0, 256, 64, 50), "52");
        assert_eq!(paper(3.0, 256, 64, 15), "17");
        assert_eq!(paper(32.0, 2048, 128, 5), "446");
        // Very small models fall below zero in the paper's unit: exactly -1.775.
        let call = CallTokens::planned(256, 64, 1);
        assert_eq!(CostModel::PaperFlops.call(&model(0.135), &call), Ok(Cost(-340_800)));
    }

    #[test]
    fn flops_match_the_formula_by_hand() {
        let mut m = model(1.0);
        m.shape = Some(crate::model::Shape { layers: 2, width: 10 });
        // prefill 2*1e9*3 + 2*20*3*4; two samples of 5 tokens: 2 * (2*1e9*5 + 2*20*5*(6+5+1))
        let call = CallTokens::planned(3, 5, 2);
        let expected = 6_000_000_000 + 480 + 2 * (10_000_000_000 + 40 * 5 * 12);
        assert_eq!(CostModel::Flops.call(&m, &call), Ok(Cost(expected)));
    }

    #[test]
    fn dollars_know_cached_prompts() {
        let mut m = model(1.0);
        let price = crate::model::Price { prompt: 1_000_000, cached_prompt: 100_000, decode: 2_000_000, batch: None };
        m.price = Some(price);
        let call = CallTokens { cached_prompt: 40, ..CallTokens::planned(100, 10, 3) };
        let cost = CostModel::Usd.call(&m, &call).unwrap();
        assert_eq!(cost, Cost(60 * 1_000_000 + 40 * 100_000 + 30 * 2_000_000));
        let unknown = CostModel::UsdBatch.call(&m, &call).unwrap_err();
        assert!(unknown.to_string().contains("no `price.batch`"), "{unknown}");
        m.price = Some(crate::model::Price { batch: Some(500), ..price });
        assert_eq!(CostModel::UsdBatch.call(&m, &call), Ok(Cost(cost.0 / 2)));
    }

    #[test]
    fn a_missing_fact_is_named() {
        let mut m = model(1.0);
        m.params = None;
        let error = CostModel::Flops.call(&m, &CallTokens::planned(1, 1, 1)).unwrap_err();
        assert_eq!(error.to_string(), "model \"m1\" has no `params_b`, which the cost model `flops` needs");
    }
}
