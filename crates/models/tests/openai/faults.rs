//! Every fault: transient ones are retried and change nothing, others are reported at once with advice.

use std::time::Duration;

use agenttts_models::ModelErrorKind;
use agenttts_testkit::{Config, Fault};

use super::*;

/// All transient faults, each of which a retry gets over.
fn transient() -> Vec<Fault> {
    let mut faults = Fault::transient();
    faults.extend([Fault::Html, Fault::NullContent, Fault::ErrorInBody, Fault::Status(408)]);
    faults
}

async fn failure(config: Config, retries: u32) -> (agenttts_models::ModelError, u64) {
    let mut setup = Setup::new(config).await;
    setup.openai().retries = retries;
    let reply = draw(&setup.model(), &question(), 1).await;
    (reply.draws.into_iter().next().unwrap().unwrap_err(), reply.billed.calls)
}

#[tokio::test]
async fn a_transient_fault_is_got_over_and_changes_nothing() {
    let whole = expected(&question(), 4).await;
    for fault in transient() {
        let setup = Setup::new(Config { script: vec![Some(fault.clone())], ..Config::default() }).await;
        let reply = draw(&setup.model(), &question(), 4).await;
        assert!(reply.draws.iter().all(Result::is_ok), "{fault:?}: {:?}", reply.draws);
        assert_eq!(texts(&reply), whole, "{fault:?}");
        assert_eq!(reply.billed.calls, 2, "{fault:?}");
        let served = setup.server.served();
        assert_eq!((served.total(), served.repeated()), (4, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_that_stays_is_an_error_of_its_kind_after_all_retries() {
    for (fault, kind) in [
        (Fault::Status(500), ModelErrorKind::Server),
        (Fault::TooManyRequests(None), ModelErrorKind::RateLimited),
        (Fault::Reset, ModelErrorKind::Unreachable),
        (Fault::Truncated, ModelErrorKind::BadReply),
        (Fault::WrongJson, ModelErrorKind::BadReply),
        (Fault::Html, ModelErrorKind::BadReply),
        (Fault::EmptyChoices, ModelErrorKind::BadReply),
        (Fault::NullContent, ModelErrorKind::BadReply),
        (Fault::ErrorInBody, ModelErrorKind::Server),
    ] {
        let (error, calls) = failure(Config { faults: vec![(fault.clone(), 1.0)], ..Config::default() }, 2).await;
        assert_eq!((error.kind, calls), (kind, 3), "{fault:?}: {error}");
        assert!(error.message.contains("3 attempts") && error.message.contains("p50"), "{error}");
    }
}

#[tokio::test]
async fn a_hanging_or_dripping_server_is_timed_out() {
    for fault in [Fault::Hang(Duration::from_secs(600)), Fault::SlowDrip(Duration::from_secs(5))] {
        let mut setup = Setup::new(Config { faults: vec![(fault.clone(), 1.0)], ..Config::default() }).await;
        setup.openai().timeout_seconds = 1;
        setup.openai().retries = 0;
        let reply = draw(&setup.model(), &question(), 1).await;
        assert_eq!(reply.draws[0].as_ref().unwrap_err().kind, ModelErrorKind::Timeout, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_drip_within_the_time_limit_is_an_answer() {
    let script = vec![Some(Fault::SlowDrip(Duration::from_micros(10)))];
    let setup = Setup::new(Config { script, ..Config::default() }).await;
    let reply = draw(&setup.model(), &question(), 2).await;
    assert_eq!((texts(&reply).len(), reply.billed.calls), (2, 1));
}

#[tokio::test]
async fn what_a_useless_reply_was_billed_is_booked() {
    let plain = Setup::new(Config::default()).await;
    let once = draw(&plain.model(), &question(), 4).await.billed;
    let setup = Setup::new(Config { script: vec![Some(Fault::EmptyChoices)], ..Config::default() }).await;
    let twice = draw(&setup.model(), &question(), 4).await.billed;
    assert_eq!((twice.prompt, twice.decode, twice.calls), (2 * once.prompt, 2 * once.decode, 2));
}

#[tokio::test]
async fn retry_after_is_obeyed_and_holds_back_the_model_s_other_calls() {
    let script = vec![Some(Fault::TooManyRequests(Some("2".into())))];
    let setup = Setup::new(Config { script, ..Config::default() }).await;
    let model = setup.model();
    let drawn = || {
        let model = Arc::clone(&model);
        tokio::spawn(async move { draw(&model, &question(), 1).await })
    };
    let first = drawn();
    while setup.server.served().requests == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Own waits are at most 40 ms here: that nothing more arrives shows that the server's word counts.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let other = drawn();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(setup.server.served().requests, 1);
    assert!(first.await.unwrap().draws[0].is_ok() && other.await.unwrap().draws[0].is_ok());
    assert_eq!(setup.server.served().requests, 3);
}

#[tokio::test]
async fn a_wait_longer_than_we_are_ready_for_is_an_error_at_once() {
    let fault = Fault::TooManyRequests(Some("86400".into()));
    let (error, calls) = failure(Config { faults: vec![(fault, 1.0)], ..Config::default() }, 5).await;
    assert_eq!((error.kind, calls), (ModelErrorKind::RateLimited, 1));
    assert!(error.message.contains("86400 s"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_at_fault_is_not_repeated() {
    for status in [400, 422, 418] {
        let (error, calls) =
            failure(Config { faults: vec![(Fault::Status(status), 1.0)], ..Config::default() }, 3).await;
        assert_eq!((error.kind, calls), (ModelErrorKind::Refused, 1), "{status}");
    }
    let (error, calls) = failure(Config { faults: vec![(Fault::Redirect, 1.0)], ..Config::default() }, 3).await;
    assert_eq!((error.kind, calls), (ModelErrorKind::Refused, 1));
    assert!(error.message.contains("http://example.com/v1"), "{error}");
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_said_to_be_one() {
    let (error, calls) = failure(Config { context: Some(70), ..Config::default() }, 3).await;
    assert_eq!((error.kind, calls), (ModelErrorKind::ContextOverflow, 1));
}

#[tokio::test]
async fn an_unknown_model_is_answered_with_what_there_is() {
    let models = ["llama-3-8b", "p49-large", "p55", "x1", "x2", "x3", "x4"].map(String::from).to_vec();
    let (error, calls) = failure(Config { models, ..Config::default() }, 3).await;
    assert_eq!((error.kind, calls), (ModelErrorKind::UnknownModel, 1));
    let hint = error.hint.unwrap();
    assert!(hint.contains("offers: p55") && hint.contains("and 2 more"), "{hint}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let server = FaultServer::start(Config::default()).await.unwrap();
    let address = server.base_url();
    server.stop().await;
    let (mut provider, spec) = specs(&address);
    let ProviderKind::Openai(openai) = &mut provider.kind else { unreachable!() };
    openai.retries = 1;
    let reply = draw(&model(&provider, &spec), &question(), 3).await;
    for draw in &reply.draws {
        let error = draw.as_ref().unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Unreachable);
        assert!(error.message.contains(&address) && error.hint.as_ref().unwrap().contains("base_url"), "{error:?}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_named() {
    let (mut provider, spec) = specs("http://no-such-host.invalid/v1");
    let ProviderKind::Openai(openai) = &mut provider.kind else { unreachable!() };
    openai.retries = 0;
    let reply = draw(&model(&provider, &spec), &question(), 1).await;
    let error = reply.draws[0].as_ref().unwrap_err();
    // Behind a proxy it is the proxy that says so.
    assert!(error.message.contains("no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn keys_are_sent_and_never_shown() {
    let mut setup = Setup::new(Config { api_key: Some(KEY.into()), ..Config::default() }).await;
    setup.openai().api_key_env = Some("TEST_KEY".into());
    assert!(draw(&setup.model(), &question(), 1).await.draws[0].is_ok());

    // This server repeats the key that it refuses.
    let mut setup = Setup::new(Config { api_key: Some("another".into()), ..Config::default() }).await;
    setup.openai().api_key_env = Some("TEST_KEY".into());
    let ProviderKind::Openai(openai) = &setup.provider.kind else { unreachable!() };
    let provider = agenttts_models::openai::OpenaiProvider::new(&setup.provider, openai, &options()).unwrap();
    let model = provider.model(&setup.spec);
    let reply = model.draw(Call::new(&question(), 1, 0)).await;
    let error = reply.draws[0].as_ref().unwrap_err();
    assert_eq!((error.kind, reply.billed.calls), (ModelErrorKind::Unauthorised, 1));
    let listed = provider.list_models().await.unwrap_err();
    let shown = format!("{error} {reply:?} {listed:?} {model:?} {:?} {:?}", options(), provider);
    assert!(shown.contains("***") && !shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn many_draws_through_many_faults_are_the_draws_of_a_good_server() {
    let faults = Fault::transient().into_iter().map(|fault| (fault, 0.04)).collect();
    let mut setup = Setup::new(Config { faults, ..Config::default() }).await;
    setup.openai().retries = 20;
    setup.openai().max_n = Some(2);
    let reply = draw(&setup.model(), &question(), 60).await;
    assert_eq!(texts(&reply), expected(&question(), 60).await);
    let served = setup.server.served();
    assert_eq!((served.total(), served.repeated()), (60, 0));
    assert!(reply.billed.calls > 30);
}
