//! What the dashboard's pages are made of.

use super::build::{Builder, Needs};
use crate::access::Scope;
use crate::dashboard::api;

pub(super) fn operations(b: &mut Builder) {
    let (views, changes) = (Needs::Scope(Scope::View), Needs::Scope(Scope::Administrate));
    let tag = "dashboard";

    let op = b.operation(tag, views, "A glance at every study");
    let op = b.reply::<api::StudyList>(op, "200", "All studies, oldest first.");
    b.put("get", "/api/studies", op);

    let op = b.operation(tag, views, "One study without its trials");
    let op = b.reply::<api::Study>(op, "200", "The study.");
    b.put("get", "/api/studies/{study}", op);

    let op = b.operation(tag, views, "A page of trials");
    let op = b.query::<api::WantedTrials>(op);
    let op = b.reply::<api::TrialPage>(op, "200", "The trials that fit.");
    b.put("get", "/api/studies/{study}/trials", op);

    let op = b.operation(tag, views, "A trial, with what other trials say of its plan");
    let op = b.reply::<api::OneTrial>(op, "200", "The trial.");
    b.put("get", "/api/studies/{study}/trials/{trial}", op);

    let op = b.operation(tag, views, "A page of a trial's examples");
    let op = b.query::<api::WantedExamples>(op);
    let op = b.reply::<api::ExamplePage>(op, "200", "The examples that fit.");
    b.put("get", "/api/studies/{study}/trials/{trial}/examples", op);

    let op = b.operation(tag, views, "Why an example got its answer");
    let op = b.query::<api::WhichExample>(op);
    let op = b.reply::<agenttts_engine::ExampleTrace>(op, "200", "Prompts, samples, votes and scores.");
    b.put("get", "/api/studies/{study}/trials/{trial}/example", op);

    let op = b.operation(tag, views, "How the search went");
    let op = b.reply::<api::Progress>(op, "200", "Some or all trials, and who led when.");
    b.put("get", "/api/studies/{study}/progress", op);

    let op = b.operation(tag, views, "Plans by cost and quality");
    let op = b.reply::<api::Plans>(op, "200", "The front, and other plans.");
    b.put("get", "/api/studies/{study}/plans", op);

    let op = b.operation(tag, views, "What the trials tell of stages: scaling, preference, interplay");
    let op = b.reply::<api::Insights>(op, "200", "Curves, and an explanation.");
    b.put("get", "/api/studies/{study}/insights", op);

    let op = b.operation(tag, views, "Guidelines beside the trials that they led to");
    let op = b.query::<api::TimelineFrom>(op);
    let op = b.reply::<api::Timeline>(op, "200", "Rounds, the newest first.");
    b.put("get", "/api/studies/{study}/guidelines", op);

    let op = b.operation(tag, views, "Two trials, paired by example");
    let op = b.query::<api::TwoTrials>(op);
    let op = b.reply::<api::Compared>(op, "200", "Both, and how they differ.");
    b.put("get", "/api/studies/{study}/compare", op);

    let op = b.operation(tag, views, "A plan file");
    let op = b.query::<api::OfTrial>(op);
    b.put("get", "/api/studies/{study}/plan", op.text("The plan file.", "application/toml"));

    let op = b.operation(tag, views, "What happens in a study, as server-sent events");
    let op = b.query::<api::After>(op);
    let op = b.events::<api::StudyEvent>(op, "Its events, and `standing` where its state changes.");
    b.put("get", "/api/studies/{study}/events", op);

    let op = b.operation(tag, views, "How all studies stand, as server-sent events");
    let op = b.events::<api::Standings>(op, "Events `standing`: studies whose state changed, by name.");
    b.put("get", "/api/events", op);

    let op = b.operation(tag, changes, "Asks the process that runs a study to stop it").only_from_our_page();
    let op = b.reply::<api::Done>(op, "202", "It is asked.");
    b.put("post", "/api/studies/{study}/stop", op);

    let op = b.operation(tag, changes, "Goes on with a study, in this process").only_from_our_page();
    let op = b.body::<api::Changes>(op);
    let op = b.reply::<api::Done>(op, "202", "It goes on.");
    b.put("post", "/api/studies/{study}/resume", op);

    let op = b.operation(tag, Needs::Scope(Scope::Use), "One input through plans side by side").only_from_our_page();
    let op = b.body::<api::Asked>(op);
    let op = b.reply::<Vec<api::Reply>>(op, "200", "What each plan answered, in their order.");
    b.put("post", "/api/playground", op);
}
