//! What a study does while a provider is down: other trials go on, then it waits, or stops by policy.

use std::collections::HashSet;
use std::time::Duration;

use agenttts_core::pipeline::OnOutage;
use agenttts_core::{Trial, TrialState};
use agenttts_models::{ModelError, ModelErrorKind};

use super::Session;
use crate::error::EngineError;
use crate::event::{Event, Limit};
use crate::source::Halt;

/// A provider that is down for longer is given up.
const LONGEST_OUTAGE: Duration = Duration::from_secs(3600);

impl Session {
    /// The next trial that needs no provider which is down; none where all that are left do.
    pub(super) fn next_trial(&self, put_off: &HashSet<u32>) -> Option<usize> {
        let outages = self.executor.models().outages();
        let is_down = |model: &str| {
            let provider = self.loaded.pipeline.model(model).map(|spec| &spec.provider);
            outages.iter().any(|(down, _)| Some(&down.spec.provider) == provider)
        };
        let runs = |trial: &Trial| {
            trial.state == TrialState::Pending
                && !put_off.contains(&trial.number)
                && !trial.plan.choices.iter().any(|choice| is_down(&choice.model))
        };
        self.archive.trials.iter().position(runs)
    }

    /// Whether something halted because a provider is down.
    pub(super) fn is_outage(&self, halt: &Halt) -> bool {
        matches!(halt, Halt::Fatal(EngineError::Model(error)) if error.kind.may_be_outage())
            && !self.executor.models().outages().is_empty()
    }

    /// Whether to wait for the providers that are down, and says that they are. One that has never answered is not waited
    /// for: its address may be wrong.
    pub(super) fn may_wait(&mut self, halt: Halt) -> Result<(), Halt> {
        let outages = self.executor.models().outages();
        let stops = self.loaded.pipeline.search.on_outage == OnOutage::Stop;
        if stops || outages.iter().any(|(_, outage)| !outage.answered) {
            return Err(halt);
        }
        let Halt::Fatal(error) = &halt else { return Err(halt) };
        for (down, _) in outages {
            let provider = down.spec.provider.clone();
            if self.down.insert(provider.clone()) {
                self.observers.send(Event::ProviderDown { provider, error: error.to_string() });
            }
        }
        Ok(())
    }

    /// As [`may_wait`](Session::may_wait), and waits.
    pub(super) async fn wait_after(&mut self, halt: Halt) -> Result<(), Halt> {
        self.may_wait(halt)?;
        self.wait_out().await
    }

    /// Waits until one of the providers that are down shows a sign of life.
    pub(super) async fn wait_out(&mut self) -> Result<(), Halt> {
        loop {
            let models = self.executor.models().clone();
            let outages = models.outages();
            let Some(retry_in) = outages.iter().map(|(_, outage)| outage.retry_in).min() else { return Ok(()) };
            if let Some((down, _)) = outages.iter().find(|(_, outage)| outage.for_so_long > LONGEST_OUTAGE) {
                let message = format!("provider {:?} has not answered for an hour", down.spec.provider);
                let hint = "go on with `agenttts search --resume STUDY` when it does";
                return Err(Halt::Fatal(ModelError::new(ModelErrorKind::Unreachable, message).hint(hint).into()));
            }
            self.save_elapsed().await.map_err(Halt::Fatal)?;
            tokio::select! {
                () = tokio::time::sleep(retry_in) => {}
                () = self.stop.stopped() => return Err(Halt::Stopped),
                detail = self.budget.last_moment() => {
                    return Err(Halt::Limit { limit: Limit::Minutes, detail });
                }
            }
            for (down, outage) in outages {
                if outage.retry_in <= retry_in && down.model.revive().await {
                    let provider = down.spec.provider.clone();
                    self.down.remove(&provider);
                    let seconds = (outage.for_so_long + retry_in).as_secs_f64();
                    self.observers.send(Event::ProviderBack { provider, seconds });
                    return Ok(());
                }
            }
        }
    }
}
