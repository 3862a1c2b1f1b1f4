//! What a model that judges said of a plan's outputs, and what that is worth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::estimate::Estimate;

/// The verdict on one example's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opinion {
    /// The judge's score in `0..=1`; 0 where there is none.
    pub score: f64,
    /// The score that the label gives, where the example has one.
    pub label: Option<f64>,
    /// How the score came about.
    pub heard: Heard,
}

/// How a judge's score came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From verdicts. Of a pairwise judge, whether the order of the two texts decided.
    Verdict {
        /// Whether it did.
        swayed: Option<bool>,
    },
    /// The judge's reply could not be read: the example failed.
    Unread,
    /// There was nothing to ask about: the stage has no output, or one without text.
    Nothing,
}

/// The verdicts on a plan's outputs of one stage, over all examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The stage.
    pub stage: String,
    /// The judge's model.
    pub judge: String,
    /// Outputs with a verdict.
    pub verdicts: u32,
    /// Outputs of which the judge's reply could not be read; they count 0.
    pub unread: u32,
    /// Outputs without text, which count 0 unasked.
    pub unasked: u32,
    /// Of a pairwise judge, the share of verdicts in which the order of the two texts decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swayed: Option<Estimate>,
    /// The mean of the judge's scores, as if they were true.
    pub mean: Estimate,
    /// The metric that labels outputs; absent where the pipeline names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled_by: Option<String>,
    /// Verdicts whose example has a label.
    pub labelled: u32,
    /// What the labels say of the judge; absent with too few of them. Agreement and bias are of outputs with a verdict; the
    /// means are of all examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Judged {
    /// From the opinions on all examples.
    pub fn of(stage: &str, judge: &str, labelled_by: Option<String>, opinions: &[Opinion]) -> Self {
        let columns =
            |of: &[&Opinion]| -> (Vec<f64>, Vec<Option<f64>>) { of.iter().map(|o| (o.score, o.label)).unzip() };
        let all: Vec<&Opinion> = opinions.iter().collect();
        let heard: Vec<&Opinion> = opinions.iter().filter(|o| matches!(o.heard, Heard::Verdict { .. })).collect();
        let (scores, labels) = columns(&all);
        let (heard_scores, heard_labels) = columns(&heard);
        let swayed = opinions.iter().filter_map(|o| match o.heard {
            Heard::Verdict { swayed } => swayed.map(|s| f64::from(u8::from(s))),
            Heard::Unread | Heard::Nothing => None,
        });
        let swayed: Vec<f64> = swayed.collect();
        let of_verdicts = Calibration::of(&heard_scores, &heard_labels);
        let calibration = of_verdicts.zip(Calibration::of(&scores, &labels)).map(|(judge, all)| Calibration {
            judged: all.judged,
            corrected: all.corrected,
            weight: all.weight,
            unlabelled: all.unlabelled,
            ..judge
        });
        let count = |wanted: Heard| opinions.iter().filter(|o| o.heard == wanted).count() as u32;
        Judged {
            stage: stage.to_owned(),
            judge: judge.to_owned(),
            verdicts: heard.len() as u32,
            unread: count(Heard::Unread),
            unasked: count(Heard::Nothing),
            swayed: (!swayed.is_empty()).then(|| Estimate::of_scores(&swayed)),
            mean: Estimate::of_scores(&scores),
            labelled_by,
            labelled: heard_labels.iter().flatten().count() as u32,
            calibration,
        }
    }

    /// The same in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let Judged { stage, judge, verdicts, .. } = self;
        let plural = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut text = vec![format!(
            "The judge {judge} gives {stage} {}, from {} on {} examples.",
            figures(&self.mean),
            plural(*verdicts, "verdict"),
            self.mean.n
        )];
        if self.unread > 0 {
            let replies = if self.unread == 1 { "reply" } else { "replies" };
            text.push(format!("{} {replies} could not be read and count 0.", self.unread));
        }
        if let Some(swayed) = &self.swayed {
            text.push(format!("The order of the two texts decided in {} of them.", figures(swayed)));
        }
        let labels = self.labelled_by.as_ref().map(|by| format!("{} by {by}", plural(self.labelled, "label")));
        text.push(match (&self.calibration, labels) {
            (Some(c), labels) => calibrated(c, &labels.unwrap_or_default()),
            (None, None) => {
                "It is uncalibrated: there are no labels, so nobody knows how far its scores are true.".into()
            }
            (None, Some(labels)) => format!(
                "It is uncalibrated: {labels}, and fewer than {} say nothing of how far its scores are true.",
                Calibration::LEAST
            ),
        });
        text
    }
}

fn calibrated(c: &Calibration, labels: &str) -> String {
    let further = [("kappa", c.kappa), ("correlation", c.correlation)];
    let further: Vec<String> =
        further.iter().filter_map(|(name, value)| Some(format!("{name} {:.2}", (*value)?))).collect();
    let further = if further.is_empty() { String::new() } else { format!(" ({})", further.join(", ")) };
    let bias = format!("{:+.3} [{:+.3}, {:+.3}]", c.bias.mean, c.bias.low, c.bias.high);
    let (before, after) = (c.judged.high - c.judged.low, c.corrected.high - c.corrected.low);
    let width = if before > 0.0 { format!(", an interval {:.1} times as wide", after / before) } else { String::new() };
    format!(
        "Against {labels} it agrees on {}{further}, and its bias is {bias}; corrected for that the score is {}{width}.",
        figures(&c.agreement),
        figures(&c.corrected)
    )
}

fn figures(e: &Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", e.mean, e.low, e.high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(score: f64, label: Option<f64>) -> Opinion {
        Opinion { score, label, heard: Heard::Verdict { swayed: None } }
    }

    fn lenient() -> Vec<Opinion> {
        // Of ten labelled outputs five are right, and the judge passes seven; thirty more have no label.
        let labelled = (0..10).map(|i| opinion(f64::from(u8::from(i < 7)), Some(f64::from(u8::from(i < 5)))));
        labelled.chain((0..30).map(|i| opinion(f64::from(u8::from(i < 21)), None))).collect()
    }

    #[test]
    fn a_lenient_judge_is_told_and_corrected() {
        let judged = Judged::of("answer", "big", Some("exact-match".into()), &lenient());
        assert_eq!((judged.verdicts, judged.labelled), (40, 10));
        let c = judged.calibration.as_ref().unwrap();
        assert!((judged.mean.mean - 0.7).abs() < 1e-9 && (c.bias.mean - 0.2).abs() < 1e-9);
        assert!(c.corrected.mean < 0.6 && c.corrected.high - c.corrected.low > judged.mean.high - judged.mean.low);
        let text = judged.sentences().join(" ");
        for part in
            ["gives answer 0.700 [", "Against 10 labels by exact-match it agrees on 0.800 [", "bias is +0.200 ["]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_was_not_judged_counts_0_but_says_nothing_of_the_judge() {
        let nothing = Opinion { score: 0.0, label: Some(0.0), heard: Heard::Nothing };
        let unread = Opinion { score: 0.0, label: Some(1.0), heard: Heard::Unread };
        let mut opinions = lenient();
        opinions.extend([nothing; 40]);
        opinions.push(unread);
        let judged = Judged::of("answer", "big", Some("f1".into()), &opinions);
        let before = Judged::of("answer", "big", Some("f1".into()), &lenient());
        let agreement = |j: &Judged| j.calibration.as_ref().unwrap().agreement;
        assert_eq!(agreement(&judged), agreement(&before));
        assert_eq!((judged.verdicts, judged.unread, judged.unasked, judged.mean.n), (40, 1, 40, 81));
        assert!(judged.calibration.as_ref().unwrap().corrected.mean < 0.4);
        assert!(judged.sentences()[1].starts_with("1 reply could not be read"));
    }

    #[test]
    fn without_labels_a_judge_is_called_uncalibrated() {
        let bare = Judged::of("answer", "big", None, &[opinion(0.4, None), opinion(0.6, None)]);
        assert!(bare.sentences().last().unwrap().contains("uncalibrated: there are no labels"));
        let few = Judged::of("answer", "big", Some("f1".into()), &[opinion(0.4, Some(1.0)), opinion(0.6, None)]);
        assert!(few.sentences().last().unwrap().contains("1 label by f1, and fewer than 5"));
        let swayed = |swayed| Opinion { heard: Heard::Verdict { swayed: Some(swayed) }, ..opinion(0.5, None) };
        let pairs = Judged::of("answer", "big", None, &[swayed(true), swayed(false)]);
        assert!((pairs.swayed.unwrap().mean - 0.5).abs() < 1e-9);
        assert!(pairs.sentences()[1].starts_with("The order of the two texts decided in 0.500 ["));
    }
}
