//! The seal of the test examples: opened by a study's final test, noted in the store, and told ever after.

use agenttts_core::{Plan, Seal, used_words};
use agenttts_store::{NewTest, OpenedTest, Store, Study};

use crate::error::EngineError;
use crate::load::Loaded;
use crate::study::{json, now_ms};

/// Notes that the study's final test of this plan opens the test examples.
pub(crate) async fn open(study: &Study, loaded: &Loaded, plan: &Plan) -> Result<(), EngineError> {
    let test = NewTest {
        plan: json(plan)?,
        margin: loaded.pipeline.margin,
        opened_ms: now_ms(),
        examples: loaded.snapshot.test_digests()?,
    };
    Ok(study.open_test(test).await?)
}

/// Whether the study's final test of this plan has opened them already.
pub(crate) fn is_open(study: &Study, plan: &Plan) -> Result<bool, EngineError> {
    Ok(test_of(study.store(), study.id(), plan)?.is_some())
}

fn test_of(store: &Store, study: i64, plan: &Plan) -> Result<Option<OpenedTest>, EngineError> {
    let named = json(plan)?;
    Ok(store.tests(study)?.into_iter().find(|test| test.plan == named))
}

/// What is known of the opening of a study's test examples for this plan; `None` where no test has opened them.
pub(crate) fn of(store: &Store, study: i64, loaded: &Loaded, plan: &Plan) -> Result<Option<Seal>, EngineError> {
    let Some(test) = test_of(store, study, plan)? else { return Ok(None) };
    let examples = loaded.snapshot.test_digests()?;
    let before = store.opened(&examples, Some(test.id))?;
    Ok(Some(Seal {
        opened_ms: test.opened_ms,
        margin: test.margin,
        of: examples.len() as u32,
        used: before.examples,
        by: before.by,
    }))
}

/// That tests of other studies, or of an earlier end of this one, have used test examples of this pipeline.
pub(crate) fn used(store: &Store, loaded: &Loaded) -> Result<Option<String>, EngineError> {
    let examples = loaded.snapshot.test_digests()?;
    let opened = store.opened(&examples, None)?;
    Ok(used_words(opened.examples, examples.len() as u32, &opened.by))
}
