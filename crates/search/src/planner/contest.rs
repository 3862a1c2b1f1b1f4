//! Plans of somebody else beside the planner's own, judged as it judges its own.

use agenttts_core::Plan;

use super::{Offer, SIZES, offers, price, round, shortlist, usual_price, worth};
use crate::ask::{Ask, Proposal, Step};
use crate::draw::{Use, rng};
use crate::portfolio::Round;
use crate::random::nothing_left;
use crate::surrogate::{Joint, Surrogate};

/// The share of a trial's worth that the planner gives up for another's: the knowledge gradient counts on the model's
/// beliefs alone, and somebody who knows the task may know more.
const CONCESSION: f64 = 0.5;

/// A proposal that is worth less than this share of the best that could be had was chosen for another reason.
const FOR_ITS_WORTH: f64 = 0.5;

/// A round of the planner in which others have a say. Its own proposals are exactly those of the planner alone.
pub(crate) struct Contest<'a> {
    ask: &'a Ask<'a>,
    own: Vec<Proposal>,
    /// The planner's shortlist and the plans of the others, which it need not hold.
    joint: Joint,
    /// The trials of these plans that could be had; none of plans that only the others know.
    offers: Vec<Vec<Offer>>,
    example_variance: f64,
    usual_price: f64,
}

impl<'a> Contest<'a> {
    pub(crate) fn new<'p>(ask: &'a Ask<'a>, theirs: impl IntoIterator<Item = &'p Plan>) -> Self {
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
        let surrogate = Surrogate::new(ask.space, ask.archive, ask.settings.insights, &mut rng);
        let mut plans = shortlist(ask.space, &surrogate, &mut rng);
        let own = round(ask, &surrogate, plans.clone());
        let offers: Vec<Vec<Offer>> = plans.iter().map(|options| offers(ask, &surrogate, options)).collect();
        for options in theirs.into_iter().filter_map(|p| ask.space.indices(p)) {
            if !plans.contains(&options) {
                plans.push(options);
            }
        }
        Contest {
            ask,
            own,
            joint: surrogate.joint(plans),
            example_variance: surrogate.example_variance,
            usual_price: usual_price(&offers),
            offers,
        }
    }

    fn place(&self, plan: &Plan) -> Option<usize> {
        let options = self.ask.space.indices(plan)?;
        self.joint.plans.iter().position(|p| *p == options)
    }

    /// What is believed once the others of a batch turned out as expected.
    fn after(&self, others: &[&Proposal]) -> Joint {
        let mut joint = self.joint.clone();
        for other in others {
            if let (Some(i), Some(examples)) = (self.place(&other.plan), other.examples) {
                joint.assume(i, self.example_variance / f64::from(examples.max(1)));
            }
        }
        joint
    }

    fn offer(&self, plan: &Plan, examples: u32) -> Offer {
        Offer { examples, price: price(self.ask, plan, examples) }
    }

    fn worth(&self, joint: &Joint, i: usize, offer: Offer) -> f64 {
        worth(joint, i, offer, self.example_variance, self.usual_price)
    }
}

impl Round for Contest<'_> {
    fn own(&self) -> Step {
        if self.own.is_empty() {
            return nothing_left(self.ask);
        }
        Step::Propose { guidelines: Vec::new(), proposals: self.own.clone() }
    }

    fn value(&self, proposal: &Proposal, others: &[&Proposal]) -> f64 {
        let (Some(i), Some(examples)) = (self.place(&proposal.plan), proposal.examples) else {
            return f64::NEG_INFINITY;
        };
        self.worth(&self.after(others), i, self.offer(&proposal.plan, examples))
    }

    fn is_for_its_worth(&self, proposal: &Proposal, others: &[&Proposal]) -> bool {
        let joint = self.after(others);
        let is_other = |i: usize| others.iter().any(|o| self.place(&o.plan) == Some(i));
        let each = self.offers.iter().enumerate().filter(|(i, _)| !is_other(*i));
        let worths = each.flat_map(|(i, offers)| offers.iter().map(move |o| (i, *o)));
        let most = worths.map(|(i, offer)| self.worth(&joint, i, offer)).fold(0.0, f64::max);
        self.value(proposal, others) >= FOR_ITS_WORTH * most
    }

    fn best(&self, wanted: &Proposal, instead_of: &Proposal, others: &[&Proposal]) -> Option<(Proposal, f64)> {
        let (i, most) = (self.place(&wanted.plan)?, instead_of.examples?);
        let paid: f64 = others.iter().filter_map(|o| Some(price(self.ask, &o.plan, o.examples?))).sum();
        let left = self.ask.remaining.map_or(f64::INFINITY, |all| all - paid);
        let joint = self.after(others);
        let sizes = SIZES.into_iter().filter(|n| *n < most).chain([most]);
        let payable = sizes.map(|n| self.offer(&wanted.plan, n)).filter(|offer| offer.price <= left);
        let valued = payable.map(|offer| (offer, self.worth(&joint, i, offer)));
        let (offer, value) = valued.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let mut proposal = wanted.clone().on(offer.examples);
        let (mean, sd) = (self.joint.means[i], self.joint.variance(i).sqrt());
        proposal.origin.reason.push_str(&format!("; the planner expects {mean:.2} ± {sd:.2}"));
        Some((proposal, value))
    }

    fn tolerance(&self) -> f64 {
        CONCESSION
    }
}
