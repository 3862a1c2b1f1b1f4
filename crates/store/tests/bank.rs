//! The sample bank: what is stored is found again, in order, and never replaced.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use agenttts_core::{Draw, Finish};
use agenttts_store::{Limits, NewSample, StoreErrorKind};
use support::*;

#[tokio::test]
async fn a_settled_draw_is_found_again_as_it_was() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let odd = Draw {
        text: "naïve \u{0} \n 🦀 \"quoted\"".into(),
        finish: Finish::Length,
        prompt_tokens: u32::MAX,
        decode_tokens: 0,
        latency_us: u64::MAX,
        prompt_shared_by: 0,
    };
    let new = NewSample { index: 0, draw: odd.clone(), fingerprint: Some("fp-1".into()) };
    let reservation =
        study.reserve(purpose("sample"), amounts(100, 5, 7, 1), &Limits::default()).await.unwrap().unwrap();
    let ids =
        study.settle(reservation, settlement(amounts(80, 4, 6, 1)), Some((home("q", 3), vec![new]))).await.unwrap();

    drop(study);
    let found = place.open().samples(&key("q"), 3, 10).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].index, &found[0].draw), (ids[0], 0, &odd));
}

#[tokio::test]
async fn samples_come_in_order_of_index_and_only_below_n_and_only_of_their_stream() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    for (stream, indices) in [(0, vec![2, 0, 1]), (u64::MAX, vec![0])] {
        let reservation =
            study.reserve(purpose("sample"), amounts(9, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
        let new = indices.into_iter().map(|i| sample(i, &format!("{stream}/{i}"))).collect();
        study.settle(reservation, settlement(amounts(9, 0, 0, 1)), Some((home("q", stream), new))).await.unwrap();
    }
    let texts = |stream, n| -> Vec<String> {
        study.store().samples(&key("q"), stream, n).unwrap().into_iter().map(|s| s.draw.text).collect()
    };
    assert_eq!(texts(0, 99), ["0/0", "0/1", "0/2"]);
    assert_eq!(texts(0, 2), ["0/0", "0/1"]);
    assert_eq!(texts(u64::MAX, 99), [format!("{}/0", u64::MAX)]);
    assert_eq!(texts(7, 99), Vec::<String>::new());
    assert!(study.store().samples(&key("another question"), 0, 99).unwrap().is_empty());
}

#[tokio::test]
async fn the_first_draw_of_an_index_is_kept_and_the_second_refused_without_a_trace() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let put = |new: Vec<NewSample>| {
        let study = &study;
        async move {
            let held =
                study.reserve(purpose("sample"), amounts(9, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
            study.settle(held, settlement(amounts(9, 0, 0, 1)), Some((home("q", 0), new))).await
        }
    };
    put(vec![sample(0, "first")]).await.unwrap();
    let error = put(vec![sample(1, "new"), sample(0, "second")]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::SampleTaken);
    let texts: Vec<String> = study.store().samples(&key("q"), 0, 9).unwrap().into_iter().map(|s| s.draw.text).collect();
    assert_eq!(texts, ["first"], "all samples of a settlement are stored, or none");
}

#[tokio::test]
async fn draws_are_counted_and_what_they_took_is_told() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let held = study.reserve(purpose("sample"), amounts(1, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    let new = vec![sample(0, "a"), sample(1, "b")];
    let ids = study.settle(held, settlement(amounts(9, 0, 0, 1)), Some((home("q", 0), new))).await.unwrap();
    let store = study.store();
    assert_eq!((store.sample_count(&key("q"), 0).unwrap(), store.sample_count(&key("q"), 1).unwrap()), (2, 0));
    let taken = store.takings(&[ids[1], 999, ids[0]]).unwrap();
    assert_eq!(taken.iter().map(|t| t.id).collect::<Vec<_>>(), ids);
    let drawn = &store.samples(&key("q"), 0, 1).unwrap()[0].draw;
    assert_eq!((taken[0].prompt_tokens, taken[0].latency_us), (drawn.prompt_tokens, drawn.latency_us));
    assert_eq!(store.takings(&[]).unwrap(), []);
}

#[tokio::test]
async fn a_failed_operation_takes_none_of_its_group_with_it() {
    let place = Place::new();
    let study = std::sync::Arc::new(place.open().create_study(new_study("a")).await.unwrap());
    // All at once, so that they meet in common commits; every third one collides with sample 0.
    let tasks: Vec<_> = (0..300u32)
        .map(|i| {
            let study = study.clone();
            tokio::spawn(async move {
                let held =
                    study.reserve(purpose("sample"), amounts(1, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
                let index = if i % 3 == 0 { 0 } else { i };
                let new = vec![sample(index, &i.to_string())];
                study.settle(held, settlement(amounts(1, 0, 0, 1)), Some((home("q", 0), new))).await
            })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(ids) => assert_eq!(ids.len(), 1),
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::SampleTaken);
                taken += 1;
            }
        }
    }
    assert_eq!(taken, 99);
    assert_eq!(study.store().samples(&key("q"), 0, u32::MAX).unwrap().len(), 201);
}

#[tokio::test]
async fn a_draw_that_another_study_stored_first_is_still_paid_for() {
    let place = Place::new();
    let (a, b) = (place.open(), place.open());
    let (a, b) = (a.create_study(new_study("a")).await.unwrap(), b.create_study(new_study("b")).await.unwrap());
    let limits = Limits { tokens: Some(100), ..Limits::default() };
    let first = a.reserve(purpose("sample"), amounts(100, 0, 0, 1), &limits).await.unwrap().unwrap();
    let second = b.reserve(purpose("sample"), amounts(100, 0, 0, 1), &limits).await.unwrap().unwrap();
    a.settle(first, settlement(amounts(10, 0, 0, 1)), Some((home("q", 0), vec![sample(0, "a")]))).await.unwrap();
    let new = vec![sample(0, "b"), sample(1, "b")];
    let error = b.settle(second, settlement(amounts(10, 0, 0, 1)), Some((home("q", 0), new))).await.unwrap_err();

    assert_eq!(error.kind, StoreErrorKind::SampleTaken);
    assert_eq!(b.spent().tokens, 10, "not the whole reservation, and not nothing");
    assert!(b.reserve(purpose("sample"), amounts(90, 0, 0, 1), &limits).await.unwrap().is_ok());
    let totals = b.store().spend(b.id()).unwrap();
    assert_eq!((totals.amounts.tokens, totals.by_kind["sample"].1), (10, 0));
    assert_eq!(b.store().samples(&key("q"), 0, 9).unwrap().len(), 1);
}
