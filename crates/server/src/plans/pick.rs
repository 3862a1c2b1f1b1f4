//! Which plan of a front a name such as `NAME@cheap` means.

use agenttts_core::CostModel;

/// A wish after the `@` of a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// The cheapest plan of the front.
    Cheap,
    /// The best plan of the front.
    Best,
    /// The best plan that costs at most so many units of a cost model.
    AtMost(CostModel, f64),
    /// The plan of a trial.
    Trial(u32),
}

/// What choosing needs to know of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    pub(super) trial: Option<u32>,
    pub(super) estimate: f64,
    pub(super) cost: f64,
}

impl Wish {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let help = "after @ stands `cheap`, `best`, `trial=N`, or a limit in the plan's cost model such as `usd=0.002`";
        match text.split_once('=') {
            None if text == "cheap" => Ok(Wish::Cheap),
            None if text == "best" => Ok(Wish::Best),
            Some(("trial", number)) => number.parse().map(Wish::Trial).map_err(|_| help.to_owned()),
            Some((unit, amount)) => match (CostModel::from_name(unit), amount.parse::<f64>()) {
                (Some(cost_model), Ok(amount)) if amount.is_finite() && amount >= 0.0 => {
                    Ok(Wish::AtMost(cost_model, amount))
                }
                _ => Err(help.to_owned()),
            },
            None => Err(help.to_owned()),
        }
    }

    /// The place of the plan in a front, cheapest first, whose costs are in units of `cost_model`.
    pub(super) fn choose(&self, front: &[Offered], cost_model: CostModel) -> Result<usize, String> {
        let best = |plans: &mut dyn Iterator<Item = (usize, &Offered)>| {
            plans.max_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate)).map(|(i, _)| i)
        };
        let cheapest = front.iter().enumerate().min_by(|a, b| a.1.cost.total_cmp(&b.1.cost));
        let none = || "this plan file has no plans".to_owned();
        match self {
            Wish::Cheap => cheapest.map(|(i, _)| i).ok_or_else(none),
            Wish::Best => best(&mut front.iter().enumerate()).ok_or_else(none),
            Wish::Trial(number) => front.iter().position(|o| o.trial == Some(*number)).ok_or_else(|| {
                let trials: Vec<String> = front.iter().filter_map(|o| Some(o.trial?.to_string())).collect();
                format!("the front has no plan of trial {number}: it has those of {}", trials.join(", "))
            }),
            Wish::AtMost(unit, _) if *unit != cost_model => {
                Err(format!("this plan's costs are in {cost_model}, not in {unit}"))
            }
            Wish::AtMost(_, most) => {
                best(&mut front.iter().enumerate().filter(|(_, o)| o.cost <= *most)).ok_or_else(|| {
                    let least = cheapest.map_or(0.0, |(_, o)| o.cost);
                    format!("no plan of the front costs at most {most}: the cheapest costs {least}")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: [Offered; 3] = [
        Offered { trial: Some(4), estimate: 0.5, cost: 0.001 },
        Offered { trial: Some(2), estimate: 0.7, cost: 0.002 },
        Offered { trial: Some(9), estimate: 0.8, cost: 0.010 },
    ];

    fn choose(wish: &str) -> Result<usize, String> {
        Wish::parse(wish)?.choose(&FRONT, CostModel::Usd)
    }

    #[test]
    fn wishes_pick_along_the_front() {
        for (wish, place) in
            [("cheap", 0), ("best", 2), ("usd=0.002", 1), ("usd=0.0099", 1), ("usd=1", 2), ("trial=2", 1)]
        {
            assert_eq!(choose(wish), Ok(place), "{wish}");
        }
    }

    #[test]
    fn wishes_that_cannot_be_met_say_what_can() {
        for (wish, said) in [
            ("usd=0.0001", "the cheapest costs 0.001"),
            ("tokens=5", "costs are in usd"),
            ("trial=3", "4, 2, 9"),
            ("fast", "`cheap`"),
            ("usd=", "`cheap`"),
            ("usd=-1", "`cheap`"),
            ("usd=NaN", "`cheap`"),
        ] {
            let error = choose(wish).unwrap_err();
            assert!(error.contains(said), "{wish}: {error}");
        }
    }
}
