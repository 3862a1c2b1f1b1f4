//! From many samples to one output, with a further call where the aggregator needs one.

use std::collections::BTreeMap;

use agenttts_core::{Aggregator, Example, Message};
use minijinja::value::Value as TemplateValue;
use serde_json::Value;

use crate::aggregate::{Aggregate, Counts, NoOutput, Ran, Tally, aggregate, ballots};
use crate::normalise::vote_key;
use crate::parse::ParseFailure;
use crate::parse::number::numbers;
use crate::stage::{CompiledStage, FUSE, JUDGE, PROMPT};
use crate::template::{RenderError, template_value};

/// The built-in fusion prompt: the task again, all drafts, and the demand for one answer in the task's own form.
pub(crate) const FUSE_PROMPT: &str = "\
{{ prompt }}

Here are {{ candidates|length }} draft replies to the task above. Some of them may be wrong.

{% for candidate in candidates %}
Draft {{ loop.index }}:
{{ candidate.text }}

{% endfor %}
Now write the best final reply to the task. Where the drafts differ, trust what most of them say unless you see a \
mistake in it. Use the form that the task asks for, and do not mention the drafts.
";

/// The built-in judge prompt.
pub(crate) const JUDGE_PROMPT: &str = "\
Task:
{{ prompt }}

Here are {{ candidates|length }} replies to this task.

{% for candidate in candidates %}
Reply {{ loop.index }}:
{{ candidate.text }}

{% endfor %}
Which reply is the most correct? Write only its number, from 1 to {{ candidates|length }}.
";

/// A sample's text and what was read from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'t> {
    /// The text as the model wrote it.
    pub text: &'t str,
    /// Its output.
    pub parsed: Result<Value, ParseFailure>,
    /// What running its code came to, where the aggregator wants that.
    pub ran: Option<Ran>,
}

/// What combining samples came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Combine {
    /// The output, or why there is none. No call is needed.
    Done(Result<Aggregate, NoOutput>),
    /// A model must read these messages; its reply goes to [`CompiledStage::conclude`].
    Call(Vec<Message>),
}

impl CompiledStage {
    /// Combines the samples of an example, in the order in which they were drawn. `example` and `outputs` are what the
    /// samples' own messages were rendered from.
    ///
    /// A single sample needs no call whatever the aggregator. `fuse` shows all samples, unparsed ones too, to the
    /// stage's model. `judge` shows the parsed ones to the judge, unless all of them agree.
    pub fn combine(
        &self,
        aggregator: Aggregator,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        samples: &[Sample<'_>],
    ) -> Result<Combine, Box<RenderError>> {
        let parsed: Vec<_> = samples.iter().map(|s| s.parsed.clone()).collect();
        match aggregator {
            Aggregator::Fuse if samples.len() > 1 => self.fuse_messages(example, outputs, samples).map(Combine::Call),
            Aggregator::Judge if Tally::of(&ballots(&parsed)).distinct() > 1 => {
                self.judge_messages(example, outputs, samples).map(Combine::Call)
            }
            Aggregator::Fuse | Aggregator::Judge => Ok(Combine::Done(aggregate(Aggregator::First, &parsed, &[]))),
            Aggregator::First | Aggregator::Vote | Aggregator::VoteSet | Aggregator::Execution => {
                let ran: Vec<Option<Ran>> = samples.iter().map(|s| s.ran.clone()).collect();
                Ok(Combine::Done(aggregate(aggregator, &parsed, &ran)))
            }
        }
    }

    /// The output after the call that [`CompiledStage::combine`] asked for.
    ///
    /// A fusion's reply is parsed as a sample is; a judge's reply names a candidate by number. Where the reply is of no
    /// use the vote of the samples stands in, and [`Aggregate::fallback`] says so.
    pub fn conclude(
        &self,
        aggregator: Aggregator,
        example: &Example,
        samples: &[Sample<'_>],
        reply: &str,
    ) -> Result<Aggregate, NoOutput> {
        let parsed: Vec<_> = samples.iter().map(|s| s.parsed.clone()).collect();
        let ballots = ballots(&parsed);
        let tally = Tally::of(&ballots);
        let counts = Counts { samples: samples.len(), parsed: ballots.len(), distinct: tally.distinct() };
        let reason = match aggregator {
            Aggregator::Fuse => match self.parser.parse(reply, &example.fields) {
                Ok(output) => {
                    let support = tally.support(&vote_key(&output));
                    return Ok(Aggregate { output, sample: None, support, counts, fallback: None });
                }
                Err(failure) => format!("the fused reply has no output ({failure}): the samples' vote instead"),
            },
            Aggregator::Judge => match chosen(reply, ballots.len()).map(|position| &ballots[position]) {
                Some(ballot) => {
                    let (output, sample) = (ballot.output.clone(), Some(ballot.sample));
                    return Ok(Aggregate {
                        output,
                        sample,
                        support: tally.support(&ballot.key),
                        counts,
                        fallback: None,
                    });
                }
                None => format!("the judge named none of {} replies: the samples' vote instead", ballots.len()),
            },
            _ => return aggregate(aggregator, &parsed, &[]),
        };
        aggregate(Aggregator::Vote, &parsed, &[]).map(|vote| Aggregate { fallback: Some(reason), ..vote })
    }

    /// The messages that ask the stage's model for one answer made of all samples: the stage's system message and the
    /// fusion prompt. Earlier turns of the stage's prompt are left out: they answer questions, which is another task
    /// than weighing drafts.
    pub fn fuse_messages(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        samples: &[Sample<'_>],
    ) -> Result<Vec<Message>, Box<RenderError>> {
        let context = self.context(example, outputs);
        let mut messages = self.system_message(&context, example)?;
        messages.push(self.about_candidates(FUSE, context, example, samples.iter())?);
        Ok(messages)
    }

    /// The messages that ask the judge for the number of the best parsed sample. The stage's system message, which is
    /// about answering, is left out, and so are earlier turns of its prompt.
    pub fn judge_messages(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        samples: &[Sample<'_>],
    ) -> Result<Vec<Message>, Box<RenderError>> {
        let candidates = samples.iter().filter(|s| s.parsed.is_ok());
        Ok(vec![self.about_candidates(JUDGE, self.context(example, outputs), example, candidates)?])
    }

    fn about_candidates<'s>(
        &self,
        template: &str,
        mut context: BTreeMap<String, TemplateValue>,
        example: &Example,
        candidates: impl Iterator<Item = &'s Sample<'s>>,
    ) -> Result<Message, Box<RenderError>> {
        let prompt = self.templates.render(PROMPT, &context, example)?;
        let candidates: TemplateValue = candidates
            .map(|s| {
                let output = s.parsed.as_ref().map_or(TemplateValue::from(()), template_value);
                TemplateValue::from_pairs([("text", s.text.trim().into()), ("output", output)])
            })
            .collect();
        context.insert("prompt".into(), prompt.into());
        context.insert("candidates".into(), candidates);
        self.templates.render(template, &context, example).map(Message::user)
    }
}

/// The 0-based candidate that a judge's reply names: the first whole number in range.
fn chosen(reply: &str, candidates: usize) -> Option<usize> {
    let whole = numbers(reply).into_iter().filter_map(|(_, n)| n.as_u64());
    whole.filter_map(|n| usize::try_from(n).ok()).find(|n| (1..=candidates).contains(n)).map(|n| n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_names_the_first_number_in_range() {
        assert_eq!(chosen("2", 3), Some(1));
        assert_eq!(chosen("Reply 3 is best, not 1.", 3), Some(2));
        assert_eq!(chosen("10 is too large; 1", 3), Some(0));
        assert_eq!(chosen("2.5 or 0 or -1", 3), None);
        assert_eq!(chosen("none", 3), None);
    }
}
