//! The names of fakes and what they mean.

use std::time::Duration;

use crate::nearest::nearest_first;
use crate::{ModelError, ModelErrorKind};

/// A fake by its parsed name; see the module's documentation for the names.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeName {
    pub(super) behaviour: Behaviour,
    /// Probability of the right answer, in `0..=1`.
    pub(super) accuracy: f64,
    /// All samples of a request are right or wrong together.
    pub(super) shared: bool,
    /// Tokens that a sample decodes, where not by its length.
    pub(super) tokens: Option<u32>,
    /// The time that `slow` takes.
    pub(super) wait: Duration,
    /// The name as it was spelled: part of what the draws depend on.
    pub(super) spelled: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Plain,
    Echo,
    Agent,
    BadJson,
    Empty,
    Slow,
    RateLimitedOnce,
    FailsFirst,
    Flaky,
    IgnoresN,
    CapsN,
    Down,
    Unauthorised,
}

const BEHAVIOURS: [(&str, Behaviour); 12] = [
    ("echo", Behaviour::Echo),
    ("agent", Behaviour::Agent),
    ("bad-json", Behaviour::BadJson),
    ("empty", Behaviour::Empty),
    ("slow", Behaviour::Slow),
    ("429-then-ok", Behaviour::RateLimitedOnce),
    ("fails-first", Behaviour::FailsFirst),
    ("flaky", Behaviour::Flaky),
    ("ignores-n", Behaviour::IgnoresN),
    ("caps-n", Behaviour::CapsN),
    ("down", Behaviour::Down),
    ("unauthorised", Behaviour::Unauthorised),
];

impl FakeName {
    /// Reads a name such as `p70`, `p70-shared-t20`, `slow-50ms` or `ignores-n-p40`.
    pub fn parse(name: &str) -> Result<Self, ModelError> {
        let spelled = name.strip_prefix("fake/").unwrap_or(name);
        let mut fake = FakeName {
            behaviour: Behaviour::Plain,
            accuracy: 1.0,
            shared: false,
            tokens: None,
            wait: Duration::from_millis(200),
            spelled: spelled.to_owned(),
        };
        let mut rest = spelled;
        for (prefix, behaviour) in BEHAVIOURS {
            if let Some(after) = spelled.strip_prefix(prefix)
                && (after.is_empty() || after.starts_with('-'))
            {
                fake.behaviour = behaviour;
                rest = after.trim_start_matches('-');
                break;
            }
        }
        if rest.is_empty() && fake.behaviour == Behaviour::Plain {
            return Err(unknown(spelled));
        }
        for modifier in rest.split('-').filter(|part| !part.is_empty()) {
            fake.modify(modifier).ok_or_else(|| unknown(spelled))?;
        }
        Ok(fake)
    }

    fn modify(&mut self, modifier: &str) -> Option<()> {
        if modifier == "shared" {
            self.shared = true;
        } else if let Some(percent) = modifier.strip_prefix('p') {
            let percent: u8 = percent.parse().ok().filter(|percent| *percent <= 100)?;
            self.accuracy = f64::from(percent) / 100.0;
        } else if let Some(tokens) = modifier.strip_prefix('t') {
            self.tokens = Some(tokens.parse().ok()?);
        } else {
            self.wait = Duration::from_millis(modifier.strip_suffix("ms")?.parse().ok()?);
        }
        Some(())
    }
}

fn unknown(name: &str) -> ModelError {
    let known = ["p70"].into_iter().chain(BEHAVIOURS.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let known = nearest_first(name, known).join(", ");
    ModelError::new(ModelErrorKind::UnknownModel, format!("there is no fake model {name:?}"))
        .hint(format!("fakes: {known}; modifiers: -p70, -shared, -t20, -50ms (as in p70-shared-t20)"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_a_behaviour_and_modifiers() {
        let fake = FakeName::parse("p70-shared-t20").unwrap();
        assert_eq!((fake.behaviour, fake.accuracy, fake.shared, fake.tokens), (Behaviour::Plain, 0.7, true, Some(20)));
        let fake = FakeName::parse("fake/429-then-ok-p5").unwrap();
        assert_eq!((fake.behaviour, fake.accuracy), (Behaviour::RateLimitedOnce, 0.05));
        assert_eq!(FakeName::parse("slow-50ms").unwrap().wait, Duration::from_millis(50));
        assert_eq!(FakeName::parse("slow").unwrap().accuracy, 1.0);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for name in ["", "p", "p101", "slowly", "p70-loud", "ignore-n"] {
            assert_eq!(FakeName::parse(name).unwrap_err().kind, ModelErrorKind::UnknownModel, "{name}");
        }
        let hint = FakeName::parse("ignore-n").unwrap_err().hint.unwrap();
        assert!(hint.starts_with("fakes: ignores-n"), "{hint}");
    }

    proptest! {
        #[test]
        fn no_name_panics(name in ".{0,24}") {
            let _ = FakeName::parse(&name);
        }
    }
}
