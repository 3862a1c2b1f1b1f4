//! The ledger: limits hold under concurrency, sums are exact, and what a dead process reserved counts as spent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use std::sync::Arc;

use agenttts_core::Cost;
use agenttts_store::{Amounts, LimitedUnit, Limits};
use proptest::prelude::*;
use support::*;

#[tokio::test]
async fn a_reservation_that_would_pass_a_limit_is_refused_and_says_which() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let limits = Limits { tokens: Some(100), usd: Some(Cost(50)), flops: None, calls: Some(2) };

    let first = study.reserve(purpose("sample"), amounts(60, 10, 1 << 100, 1), &limits).await.unwrap().unwrap();
    let refused = study.reserve(purpose("sample"), amounts(41, 1, 0, 1), &limits).await.unwrap().unwrap_err();
    assert_eq!((refused.unit, refused.used.tokens), (LimitedUnit::Tokens, 60));
    let refused = study.reserve(purpose("sample"), amounts(1, 41, 0, 1), &limits).await.unwrap().unwrap_err();
    assert_eq!(refused.unit, LimitedUnit::Usd);

    // What a call did not need is free again, to the last token.
    study.settle(first, settlement(amounts(20, 10, 5, 1)), None).await.unwrap();
    let second = study.reserve(purpose("sample"), amounts(80, 40, 0, 1), &limits).await.unwrap().unwrap();
    study.settle(second, settlement(amounts(80, 40, 0, 1)), None).await.unwrap();
    let refused = study.reserve(purpose("sample"), amounts(0, 0, 0, 1), &limits).await.unwrap().unwrap_err();
    assert_eq!(refused.unit, LimitedUnit::Calls);
    assert_eq!(study.spent(), amounts(100, 50, 5, 2));
}

#[tokio::test]
async fn sums_beyond_64_bits_are_exact_after_reopening() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let huge = i128::from(i64::MAX) * 1_000 + 1;
    for kind in ["sample", "fusion", "sample"] {
        let held = study.reserve(purpose(kind), amounts(10, huge, huge, 1), &Limits::default()).await.unwrap().unwrap();
        study.settle(held, settlement(amounts(7, huge, huge - 1, 1)), None).await.unwrap();
    }
    drop(study);
    let study = place.open().open_study("a").await.unwrap();
    assert_eq!(study.spent(), amounts(21, 3 * huge, 3 * huge - 3, 3));
    let totals = study.store().spend(study.id()).unwrap();
    assert_eq!(totals.by_kind["sample"].0.prompt, 14);
    assert_eq!(totals.by_kind["fusion"].0.prompt, 7);
    assert_eq!(totals.lost_tokens, 0);
}

#[tokio::test]
async fn a_failed_call_is_billed_and_stores_no_sample() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let held = study.reserve(purpose("sample"), amounts(10, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    let mut failed = settlement(amounts(4, 0, 0, 1));
    failed.error = Some("the provider answered 500".into());
    assert!(study.settle(held, failed, None).await.unwrap().is_empty());
    assert_eq!(study.spent().tokens, 4);
    assert_eq!(study.store().spend(study.id()).unwrap().by_kind["sample"].1, 0);
}

#[tokio::test]
async fn what_was_reserved_and_never_settled_is_lost_once_and_counts_in_full() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let limits = Limits { tokens: Some(100), ..Limits::default() };
    let settled = study.reserve(purpose("sample"), amounts(30, 3, 0, 1), &limits).await.unwrap().unwrap();
    study.settle(settled, settlement(amounts(10, 1, 0, 1)), None).await.unwrap();
    let _open = study.reserve(purpose("sample"), amounts(40, 4, 0, 1), &limits).await.unwrap().unwrap();
    drop(study);

    for _ in 0..2 {
        let study = place.open().open_study("a").await.unwrap();
        assert_eq!(study.spent(), amounts(50, 5, 0, 2), "a second opening must not count it again");
        assert_eq!(study.store().spend(study.id()).unwrap().lost_tokens, 40);
        assert!(study.reserve(purpose("sample"), amounts(51, 0, 0, 1), &limits).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn losing_one_study_leaves_another_alone() {
    let place = Place::new();
    let store = place.open();
    let a = store.create_study(new_study("a")).await.unwrap();
    let b = store.create_study(new_study("b")).await.unwrap();
    let _lost = a.reserve(purpose("sample"), amounts(5, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    let open = b.reserve(purpose("sample"), amounts(7, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    drop(a);
    assert_eq!(store.open_study("a").await.unwrap().spent().tokens, 5);
    b.settle(open, settlement(amounts(6, 0, 0, 1)), None).await.unwrap();
    assert_eq!(b.spent().tokens, 6);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Many tasks reserve and settle at once: spent and open together never pass a limit, and the rows add up to what
    /// the tasks saw.
    #[test]
    fn no_limit_is_passed_by_tasks_that_run_at_once(
        calls in prop::collection::vec((1u64..50, 0i128..1_000, 0u64..=100), 1..80),
        token_limit in 0u64..800,
        usd_limit in 0i128..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let study = Arc::new(place.open().create_study(new_study("a")).await.unwrap());
            let limits = Limits { tokens: Some(token_limit), usd: Some(Cost(usd_limit)), ..Limits::default() };
            let held = Arc::new(std::sync::Mutex::new(Amounts::default()));
            let tasks: Vec<_> = calls.into_iter().map(|(tokens, usd, share)| {
                let (study, held) = (study.clone(), held.clone());
                tokio::spawn(async move {
                    let bound = amounts(tokens, usd, 0, 1);
                    let Ok(reservation) = study.reserve(purpose("sample"), bound, &limits).await.unwrap() else {
                        return Amounts::default();
                    };
                    // What this task knows to be reserved can only be less than what the study counts.
                    {
                        let mut held = held.lock().unwrap();
                        *held = held.plus(bound);
                        assert_eq!(limits.passed_by(&held), None, "{held:?} is held under {limits:?}");
                    }
                    tokio::task::yield_now().await;
                    let actual = amounts(tokens * share / 100, usd * i128::from(share) / 100, 0, 1);
                    {
                        let mut held = held.lock().unwrap();
                        *held = held.minus(bound).plus(actual);
                    }
                    study.settle(reservation, settlement(actual), None).await.unwrap();
                    actual
                })
            }).collect();
            let mut seen = Amounts::default();
            for task in tasks {
                seen = seen.plus(task.await.unwrap());
            }
            assert_eq!(study.spent(), seen);
            assert_eq!(study.store().spend(study.id()).unwrap().amounts, seen);
            assert_eq!(limits.passed_by(&seen), None);
        });
    }
}
