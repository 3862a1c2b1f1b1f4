//! How a study ends: the final test where there is something to test, and what is written of it.

use agenttts_core::{Plan, StudyState};

use super::{End, Session, json};
use crate::aside::least_of_test;
use crate::budget::Aside;
use crate::confirm::{Confirm, Lineup, Tested};
use crate::error::EngineError;
use crate::event::Event;
use crate::rivals::Rivals;
use crate::seal;
use crate::source::Halt;
use crate::summary::{StudyResult, recommended};

impl Session {
    /// Confirms where there is something to confirm, and writes how the study ended.
    pub(super) async fn finish(&mut self, ended: Result<End, EngineError>) -> Result<(), EngineError> {
        let ended = match ended {
            Ok(End::Finished(reason)) => self.confirm(StudyState::Done, reason).await,
            Ok(End::Halted(Halt::Limit { limit, detail })) => {
                let reason = format!("the limit of {} is reached: {detail}", limit.name());
                self.confirm(StudyState::Limit, reason).await
            }
            Ok(End::Halted(Halt::Stopped)) => Ok((StudyState::Interrupted, "somebody asked it to stop".into())),
            Ok(End::Halted(Halt::Fatal(error))) | Err(error) => Err(error),
        };
        let (state, reason) = match ended {
            Ok(end) => end,
            Err(error) => {
                let reason = error.to_string();
                self.observers.send(Event::Stopped { reason: reason.clone() });
                // The error itself matters more than a second one from the same store.
                let _ = self.study.set_state(StudyState::Failed, Some(reason)).await;
                return Err(error);
            }
        };
        self.save_elapsed().await?;
        self.study.set_state(state, Some(reason.clone())).await?;
        self.observers.send(Event::Stopped { reason: reason.clone() });
        if state == StudyState::Limit && self.archive.measured().next().is_none() {
            return Err(EngineError::Budget(format!("no plan could be measured: {reason}")));
        }
        Ok(())
    }

    async fn confirm(&mut self, state: StudyState, reason: String) -> Result<(StudyState, String), EngineError> {
        let Some(recommended) = recommended(&self.loaded, &self.settings, &self.archive) else {
            return Ok((state, reason));
        };
        self.budget.set_aside(Aside::default());
        self.bank.begin_confirmation();
        let rivals = Rivals::of(&self.loaded, &self.settings, &self.archive, &recommended.plan);
        let tested = loop {
            match self.test(&recommended.plan, rivals.clone()).await {
                // What was drawn before is in the bank.
                Err(halt) if self.is_outage(&halt) => match self.wait_after(halt).await {
                    Ok(()) => {}
                    Err(halt) => break Err(halt),
                },
                ended => break ended,
            }
        };
        self.study.note(None);
        let Tested { confirmation, limit } = match tested {
            Ok(tested) => tested,
            Err(Halt::Fatal(error)) => return Err(error),
            Err(Halt::Stopped) => {
                let reason = format!("{reason}; somebody asked it to stop before the confirmation was done");
                return Ok((StudyState::Interrupted, reason));
            }
            Err(Halt::Limit { limit, detail }) => {
                let reason = format!("{reason}; the confirmation did not fit the limit of {}: {detail}", limit.name());
                self.study.set_result(json(&StudyResult::new(recommended, None))?).await?;
                return Ok((StudyState::Limit, reason));
            }
        };
        self.study.set_result(json(&StudyResult::new(recommended, Some(confirmation)))?).await?;
        Ok(match limit {
            // A larger limit tests the others.
            Some(limit) if state == StudyState::Done => {
                let reason = format!("{reason}; the limit of {} left no room for the whole final test", limit.name());
                (StudyState::Limit, reason)
            }
            _ => (state, reason),
        })
    }

    /// Measures the plan and what it is compared with on the test examples.
    async fn test(&self, plan: &Plan, rivals: Rivals) -> Result<Tested, Halt> {
        // The seal is not broken for a test that cannot be made. One that was begun may have drawn most of what it needs.
        if !seal::is_open(&self.study, plan).map_err(Halt::Fatal)? {
            let need = least_of_test(&self.loaded, &self.archive, plan);
            if let Some((limit, detail)) = self.budget.lacking(need, self.study.spent()) {
                return Err(Halt::Limit { limit, detail: format!("it needs {detail}") });
            }
        }
        let progress = |done, total| self.progress(None, done, total);
        let confirm = Confirm {
            executor: &self.executor,
            source: &self.bank,
            seed: self.loaded.pipeline.search.seed,
            width: self.width,
            quarantine: Some(&self.quarantine),
            observers: &self.observers,
            progress: &progress,
        };
        let lineup = Lineup::new(&self.loaded.space, plan.clone(), rivals);
        seal::open(&self.study, &self.loaded, plan).await.map_err(Halt::Fatal)?;
        confirm.test(lineup).await
    }
}
