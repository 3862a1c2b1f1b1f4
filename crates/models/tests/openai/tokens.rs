//! What is booked: never less than what was decoded, exact where it can be.

use agenttts_models::PromptTokens;
use agenttts_testkit::{Config, UsageReport};

use super::*;

fn booked(reply: &Reply) -> (u64, u64) {
    let each = reply.draws.iter().map(|draw| u64::from(draw.as_ref().unwrap().decode_tokens)).sum();
    (reply.billed.decode, each)
}

/// Answers of many words, so that there is something to count.
fn long_question() -> Request {
    request(
        "Why is the sky blue?\nanswer: Because air scatters short waves of light much more strongly than long ones.\n\
         wrong: It mirrors the sea. | Nobody has been able to find a good explanation for this so far, sadly.",
    )
}

#[tokio::test]
async fn a_correct_report_is_booked_as_it_is() {
    let setup = Setup::new(Config::default()).await;
    for n in [1, 8] {
        let before = setup.server.served().decoded;
        let reply = draw(&setup.model(), &long_question(), n).await;
        let decoded = setup.server.served().decoded - before;
        assert_eq!(booked(&reply), (decoded, decoded));
        assert_eq!(reply.warnings, [""; 0]);
    }
}

/// llama.cpp's server reports one choice for all of them: its own tokenizer tells the rest.
#[tokio::test]
async fn a_server_that_reports_one_choice_is_asked_to_count_the_others() {
    let setup = Setup::new(Config { usage: UsageReport::LlamaServer, ..Config::default() }).await;
    let model = setup.model();
    let reply = draw(&model, &long_question(), 8).await;
    let decoded = setup.server.served().decoded;
    let (total, each) = booked(&reply);
    assert_eq!(total, each);
    // At most an end and a separator more per choice.
    assert!((decoded..=decoded + 3 * 8).contains(&total), "booked {total}, decoded {decoded}");
    assert_eq!(reply.warnings.len(), 1, "{:?}", reply.warnings);
    let one = draw(&model, &long_question(), 1).await;
    let told = setup.server.served().decoded - decoded;
    assert_eq!((booked(&one), one.warnings.len()), ((told, told), 0));
}

#[tokio::test]
async fn a_report_of_one_choice_that_nothing_gives_away_is_noticed_by_what_it_cannot_cover() {
    let setup = Setup::new(Config { usage: UsageReport::FirstChoice, ..Config::default() }).await;
    let model = setup.model();
    for n in [2, 8] {
        let before = setup.server.served().decoded;
        let reply = draw(&model, &long_question(), n).await;
        let decoded = setup.server.served().decoded - before;
        let (total, each) = booked(&reply);
        assert!(total == each && total >= decoded, "n = {n}: booked {total}, decoded {decoded}");
    }
}

#[tokio::test]
async fn choices_that_were_cut_off_are_counted_exactly() {
    for usage in [UsageReport::FirstChoice, UsageReport::LlamaServer, UsageReport::Missing] {
        let setup = Setup::new(Config { usage, ..Config::default() }).await;
        let mut cut = long_question();
        cut.decoding.max_tokens = 3;
        let reply = draw(&setup.model(), &cut, 5).await;
        assert_eq!(booked(&reply), (15, 15), "{usage:?}");
    }
}

#[tokio::test]
async fn without_a_report_an_upper_bound_is_booked_and_said_once() {
    let setup = Setup::new(Config { usage: UsageReport::Missing, ..Config::default() }).await;
    let model = setup.model();
    let reply = draw(&model, &long_question(), 4).await;
    let (total, each) = booked(&reply);
    assert!(total == each && total >= setup.server.served().decoded);
    assert!(total <= 4 * 64, "more than the reservation");
    assert_eq!(reply.billed.prompt, u64::from(model.prompt_tokens(&long_question()).unwrap().upper_bound()));
    assert!(reply.warnings[0].contains("no usage"), "{:?}", reply.warnings);
    assert_eq!(draw(&model, &long_question(), 4).await.warnings.len(), 0);
}

#[tokio::test]
async fn reasoning_is_no_text_but_is_paid_for() {
    for usage in [UsageReport::AllChoices, UsageReport::Missing, UsageReport::FirstChoice] {
        let reasoning = Some("let me think about this for quite a while first".to_owned());
        let setup = Setup::new(Config { reasoning, usage, ..Config::default() }).await;
        let reply = draw(&setup.model(), &question(), 4).await;
        assert_eq!(texts(&reply), expected(&question(), 4).await);
        assert!(booked(&reply).0 >= setup.server.served().decoded, "{usage:?}");
    }
}

#[tokio::test]
async fn the_prompt_is_bounded_before_the_call() {
    let setup = Setup::new(Config::default()).await;
    let model = setup.model();
    let mut constrained = question();
    json_schema(&mut constrained);
    let (PromptTokens::AtMost(plain), PromptTokens::AtMost(with_schema)) =
        (model.prompt_tokens(&question()).unwrap(), model.prompt_tokens(&constrained).unwrap())
    else {
        panic!("exact without a tokenizer");
    };
    assert!(with_schema > plain);
    assert!(u64::from(plain) >= draw(&model, &question(), 1).await.billed.prompt);
}
