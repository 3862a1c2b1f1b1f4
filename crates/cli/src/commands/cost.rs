//! `agenttts cost`: one stage priced by hand.

use agenttts_core::text::nearest;
use agenttts_core::{CallTokens, CostModel, MissingFact, ModelSpec, Price, Shape, Speed};
use serde_json::json;

use crate::args::CostArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn cost(context: &Context, args: &CostArgs) -> Result<Exit, Failure> {
    let cost_model = cost_model(&args.cost_model)?;
    let call = CallTokens {
        cached_prompt: args.cached_prompt.min(args.prompt),
        ..CallTokens::planned(args.prompt, args.decode, args.samples)
    };
    let cost = cost_model.call(&model(args), &call).map_err(missing)?;
    if args.json {
        let units = cost_model.units(cost);
        context.screen.print_json(&json!({"cost_model": cost_model, "cost": units, "unit": cost_model.unit()}))?;
    } else {
        context.screen.print(&cost_model.display(cost))?;
    }
    Ok(Exit::Ok)
}

fn model(args: &CostArgs) -> ModelSpec {
    // Dollars per million tokens, to the millionth.
    let pico = |price: f64| (price * 1e6).round() as u64;
    let price = args.price_prompt.zip(args.price_decode).map(|(prompt, decode)| Price {
        prompt: pico(prompt),
        cached_prompt: pico(args.price_cached_prompt.unwrap_or(prompt)),
        decode: pico(decode),
        batch: args.price_batch.map(Price::batch_share),
    });
    let speed = args.speed_prompt.zip(args.speed_decode);
    ModelSpec {
        name: "model".into(),
        provider: String::new(),
        id: String::new(),
        revision: None,
        params: args.params_b.map(|b| (b * 1e9).round() as u64),
        shape: args.layers.zip(args.width).map(|(layers, width)| Shape { layers, width }),
        price,
        speed: speed.map(|(prompt, decode)| Speed { prompt, decode, parallel: args.parallel }),
        context: None,
        top_p: None,
    }
}

fn missing(error: MissingFact) -> Failure {
    let flags = match error.fact {
        "params_b" => "--params-b",
        "price" => "--price-prompt and --price-decode",
        "price.batch" => "--price-prompt, --price-decode and --price-batch",
        _ => "--speed-prompt and --speed-decode",
    };
    Failure::Usage {
        message: format!("the cost model {} needs {flags}", error.cost_model),
        hint: "see `agenttts cost --help`".into(),
    }
}

/// The cost model of that name.
pub(super) fn cost_model(name: &str) -> Result<CostModel, Failure> {
    CostModel::from_name(name).ok_or_else(|| {
        let known = CostModel::ALL.map(CostModel::name);
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are: {}", known.join(", ")),
        };
        Failure::Usage { message: format!("there is no cost model {name:?}"), hint }
    })
}
