//! Ending votes early on a tape: draws are saved, and no answer changes where certainty is asked for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use agenttts_engine::adaptive;
use support::{PIPELINE, piloted_and_recorded, write_pipeline};

#[tokio::test(flavor = "multi_thread")]
async fn certain_votes_save_draws_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let (_, tape) = piloted_and_recorded(folder.path()).await;
    let certain = adaptive(&tape, 0.0).await.unwrap();
    assert_eq!(certain.rows.iter().map(|r| r.samples).collect::<Vec<_>>(), [2, 4, 8]);
    for row in &certain.rows {
        assert!(row.draws_saved > 0.05 && row.decoded_saved > 0.0, "{row:?}");
        assert_eq!((row.changed, row.difference.mean, row.difference.se), (0.0, 0.0, 0.0));
    }
    // Whoever accepts errors saves more, and is told what that does.
    let bold = adaptive(&tape, 0.4).await.unwrap();
    let saved = |report: &agenttts_engine::AdaptiveReport| report.rows.last().unwrap().draws_saved;
    assert!(saved(&bold) > saved(&certain) && bold.rows.last().unwrap().changed > 0.0, "{bold:?}");
}
