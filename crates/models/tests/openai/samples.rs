//! Samples: what is sent, how `n` is served, and that the limits hold.

use agenttts_core::{Constraint, Finish};
use agenttts_models::{ModelErrorKind, openai::OpenaiProvider};
use agenttts_testkit::{ChoiceCount, Config};
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

use super::*;

#[tokio::test]
async fn n_samples_come_from_one_call_each_with_its_seed() {
    let setup = Setup::new(Config { fingerprint: Some("fp_1".into()), ..Config::default() }).await;
    let model = setup.model();
    let reply = draw(&model, &question(), 8).await;
    let texts = texts(&reply);
    assert_eq!(texts.len(), 8);
    assert!(texts.iter().any(|t| t == "Aare") && texts.iter().any(|t| t != "Aare"), "{texts:?}");
    assert_eq!((reply.billed.calls, reply.fingerprint.as_deref()), (1, Some("fp_1")));
    assert_eq!(reply.warnings, [""; 0]);
    assert_eq!(setup.server.served().seeds(), (1000..1008).collect::<Vec<_>>());
    for draw in &reply.draws {
        let draw = draw.as_ref().unwrap();
        assert_eq!((draw.finish, draw.prompt_shared_by), (Finish::Stop, 0));
        assert!(u64::from(draw.prompt_tokens) == reply.billed.prompt && draw.latency_us > 0);
    }
    let body = &setup.server.served().bodies[0];
    assert_eq!(body["model"], "p50");
    assert_eq!((&body["temperature"], &body["top_p"], &body["max_tokens"]), (&json!(0.8), &json!(0.95), &json!(64)));
    assert_eq!((&body["n"], &body["seed"], &body["stop"]), (&json!(8), &json!(1000), &json!(["\n\n"])));
    // One after the other they are the same samples.
    for (j, text) in texts.iter().enumerate() {
        let one = model.draw(Call::new(&question(), 1, 1000 + j as u32)).await;
        assert_eq!(one.draws[0].as_ref().unwrap().text, *text);
    }
}

/// Every way to serve fewer than `n`: the samples are the same, none is drawn twice, and it is said once.
#[tokio::test]
async fn a_provider_that_ignores_or_caps_n_is_served_by_several_calls() {
    let whole = expected(&question(), 10).await;
    for (choices, limit) in [
        (ChoiceCount::One, 1),
        (ChoiceCount::AtMost(4), 4),
        (ChoiceCount::NamesLimit(3), 3),
        // Does not name its limit: found by halving 10, 5, 2.
        (ChoiceCount::RefusesAbove(4), 2),
    ] {
        let setup = Setup::new(Config { choices, ..Config::default() }).await;
        let model = setup.model();
        assert_eq!(model.prompt_shared_by(), 0);
        let reply = draw(&model, &question(), 10).await;
        assert_eq!(texts(&reply), whole, "{choices:?}");
        assert_eq!(reply.warnings.len(), 1, "{:?}", reply.warnings);
        assert!(reply.warnings[0].contains(&format!("max_n = {limit}")), "{:?}", reply.warnings);
        assert_eq!(model.prompt_shared_by(), limit);
        for draw in &reply.draws {
            assert_eq!(draw.as_ref().unwrap().prompt_shared_by, limit, "{choices:?}");
        }
        let served = setup.server.served();
        assert_eq!((served.total(), served.repeated()), (10, 0), "{choices:?}");
        assert_eq!(reply.billed.calls as usize, served.requests);
        // Known from now on: no call asks for more, and nothing is said again.
        let again = draw(&model, &request("again\nanswer: yes"), 10).await;
        assert_eq!((again.draws.len(), again.warnings.len()), (10, 0));
        let asked = setup.server.served().bodies;
        let most = asked[served.requests..].iter().map(|body| body["n"].as_u64().unwrap_or(1)).max();
        assert_eq!(most, Some(u64::from(limit)), "{choices:?}");
    }
}

#[tokio::test]
async fn a_declared_max_n_is_honoured_from_the_start() {
    let mut setup = Setup::new(Config { choices: ChoiceCount::RefusesAbove(3), ..Config::default() }).await;
    setup.openai().max_n = Some(3);
    let reply = draw(&setup.model(), &question(), 7).await;
    assert_eq!((reply.billed.calls, reply.warnings.len()), (3, 0));
    assert!(reply.draws.iter().all(|draw| draw.as_ref().unwrap().prompt_shared_by == 3));
    assert_eq!(setup.server.served().seeds(), (1000..1007).collect::<Vec<_>>());
}

#[tokio::test]
async fn extra_choices_are_dropped_but_paid_for() {
    let setup = Setup::new(Config { choices: ChoiceCount::More(2), ..Config::default() }).await;
    let reply = draw(&setup.model(), &question(), 3).await;
    assert_eq!(texts(&reply), expected(&question(), 3).await);
    assert_eq!(reply.billed.decode, setup.server.served().decoded);
    let kept: u64 = reply.draws.iter().map(|draw| u64::from(draw.as_ref().unwrap().decode_tokens)).sum();
    assert!(kept < reply.billed.decode);
    assert_eq!(reply.warnings.len(), 1);
}

#[tokio::test]
async fn dialects_are_learnt() {
    let config = Config { wants_max_completion_tokens: true, refuses_seed: true, ..Config::default() };
    let setup = Setup::new(config).await;
    let model = setup.model();
    let reply = draw(&model, &question(), 2).await;
    assert_eq!(texts(&reply).len(), 2);
    assert!(reply.warnings.iter().any(|w| w.contains("seed")), "{:?}", reply.warnings);
    assert_eq!(reply.billed.calls, 3);
    assert_eq!(draw(&model, &question(), 2).await.billed.calls, 1);
}

#[tokio::test]
async fn constraints_are_sent_and_their_refusal_is_clear() {
    let setup = Setup::new(Config::default()).await;
    let mut constrained = question();
    json_schema(&mut constrained);
    let reply = draw(&setup.model(), &constrained, 1).await;
    assert!(texts(&reply)[0].starts_with("{\"answer\":"), "{reply:?}");

    let setup = Setup::new(Config { refuses_constraints: true, ..Config::default() }).await;
    for constraint in [constrained.decoding.constraint.clone(), Some(Constraint::Grammar("root ::= \"a\"".into()))] {
        constrained.decoding.constraint = constraint;
        let reply = draw(&setup.model(), &constrained, 1).await;
        let error = reply.draws[0].as_ref().unwrap_err();
        assert_eq!((error.kind, reply.billed.calls), (ModelErrorKind::Refused, 1));
        assert!(error.hint.as_ref().unwrap().contains("constraint"), "{error:?}");
    }
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_provider_allows() {
    let config = Config { latency: Duration::from_millis(30), choices: ChoiceCount::One, ..Config::default() };
    let mut setup = Setup::new(config).await;
    setup.provider.concurrency = 3;
    setup.openai().max_n = Some(1);
    let other = ModelSpec { name: "other".into(), id: "p60".into(), ..setup.spec.clone() };
    let models = connect(std::slice::from_ref(&setup.provider), &[setup.spec.clone(), other], &options()).unwrap();
    let request = question();
    let replies = join_all(models.values().map(|model| draw(model, &request, 10))).await;
    assert!(replies.iter().all(|reply| reply.draws.iter().all(Result::is_ok)));
    let served = setup.server.served();
    assert_eq!(served.total(), 20);
    assert!((2..=3).contains(&served.most_at_once), "{} at once", served.most_at_once);
}

#[tokio::test]
async fn a_call_larger_than_a_minutes_tokens_is_still_made() {
    let mut setup = Setup::new(Config::default()).await;
    setup.openai().tokens_per_minute = Some(10);
    setup.openai().requests_per_minute = Some(1);
    let model = setup.model();
    assert!(draw(&model, &question(), 8).await.draws.iter().all(Result::is_ok));
    // The next one has to wait for its minute.
    let request = question();
    let second = tokio::time::timeout(Duration::from_millis(100), draw(&model, &request, 1)).await;
    assert!(second.is_err() && setup.server.served().requests == 1);
}

#[tokio::test]
async fn models_are_listed() {
    let setup = Setup::new(Config { models: vec!["a".into(), "b".into()], ..Config::default() }).await;
    let ProviderKind::Openai(openai) = &setup.provider.kind else { unreachable!() };
    let provider = OpenaiProvider::new(&setup.provider, openai, &options()).unwrap();
    assert_eq!(provider.list_models().await.unwrap(), ["a", "b"]);
}
