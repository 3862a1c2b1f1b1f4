//! The report as its readers get it: what the page says, that it loads nothing, and that no summary breaks it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails by panicking")]

mod fixture;

use agenttts_core::{
    Aggregator, Cheaper, CostModel, Enforced, Estimate, Fitting, Plan, Seal, StudyState, StudySummary, TrialState,
    UsedBefore,
};
use agenttts_report::html;

/// The readable text of a page, a line for each block, charts reduced to their labels.
fn text(page: &str) -> String {
    let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("<svg") {
            let label = rest.split("aria-label=\"").nth(1).unwrap().split('"').next().unwrap();
            out.push_str(&format!("\n(chart: {label})\n"));
            rest = &rest[rest.find("</svg>").unwrap() + 6..];
            continue;
        }
        let end = rest.find('>').unwrap();
        let tag = rest[1..end].trim_start_matches('/').split_whitespace().next().unwrap();
        match tag {
            "td" | "th" => out.push_str(" | "),
            "strong" | "a" | "span" | "small" | "b" | "i" | "button" => out.push(' '),
            _ => out.push('\n'),
        }
        rest = &rest[end + 1..];
    }
    let lines = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.map(|l| l.replace("| |", "|")).filter(|l| !l.is_empty() && l != "|").collect();
    lines.join("\n")
}

/// What must hold of every page.
fn check(summary: &StudySummary) -> String {
    let page = html(summary);
    assert!(page.ends_with("</html>"), "the template failed: {}", &page[..page.len().min(600)]);
    for word in ["NaN", ">inf", "inf]", "undefined"] {
        let visible = text(&page);
        assert!(!visible.contains(word), "{word} in the page's text");
    }
    assert!(!page.contains("NaN"), "a coordinate is not a number");
    // The same after a journey through JSON, which has no infinity.
    let json = serde_json::to_string(summary).unwrap();
    let again: StudySummary = serde_json::from_str(&json).unwrap();
    assert!(text(&html(&again)) == text(&page), "JSON changed the page");
    page
}

#[test]
fn a_finished_study_reads_well() {
    let page = text(&check(&fixture::study(12)));
    insta::assert_snapshot!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn the_page_loads_nothing() {
    let page = check(&fixture::study(30));
    for reference in ["http:", "https:", "src=", "url(", "@import", "<link", "<img", "<iframe", "fetch(", "import("] {
        assert!(!page.contains(reference), "{reference} in the page");
    }
    for href in page.split("href=\"").skip(1) {
        assert!(href.starts_with('#'), "{}", &href[..20]);
        let id = href[1..].split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "no section {id}");
    }
}

#[test]
fn every_chart_and_table_is_named() {
    let page = check(&fixture::study(30));
    let charts = page.matches("<svg").count();
    assert!(charts >= 10, "{charts}");
    assert_eq!(page.matches("role=\"img\" aria-label=\"").count(), charts);
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    assert!(!page.contains("<th>") && !page.contains("<th class"), "a head without scope");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|s| s.split('"').next().unwrap()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn names_and_model_output_stay_text() {
    let bad = "<script>alert(1)</script>\"'&</title></svg>{{ 7 * 7 }}";
    let mut s = fixture::study(14);
    s.study = bad.into();
    s.pipeline = bad.into();
    s.description = bad.into();
    s.objective = bad.into();
    s.method = bad.into();
    s.agent = Some(bad.into());
    s.stop_reason = Some(bad.into());
    for stage in &mut s.stages {
        stage.name = bad.into();
        stage.metric = Some(bad.into());
        stage.models[2] = bad.into();
    }
    for curve in &mut s.curves {
        curve.stage = bad.into();
        curve.model = bad.into();
    }
    for g in &mut s.archive.guidelines {
        g.text = bad.into();
        g.author = bad.into();
    }
    for t in &mut s.archive.trials {
        t.origin.reason = bad.into();
        t.origin.method = bad.into();
        t.origin.repairs = vec![bad.into()];
        t.plan.choices.iter_mut().for_each(|c| c.model = bad.into());
        if let TrialState::Measured(m) = &mut t.state {
            m.failure_reasons = vec![bad.into()];
        }
    }
    s.archive.trials[5].state = TrialState::Abandoned(bad.into());
    for c in &mut s.confirmation.as_mut().unwrap().plans {
        c.label = bad.into();
        c.verdict = Some(bad.into());
        c.plan.choices.iter_mut().for_each(|c| c.model = bad.into());
    }
    s.recommended.as_mut().unwrap().plan.choices[0].model = bad.into();
    s.spend.limits[0].what = bad.into();
    let page = check(&s);
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert_eq!(page.matches("</svg>").count(), page.matches("<svg").count());
    assert!(!page.contains("alert(1)</script>") && page.contains("{{ 7 * 7 }}"));
}

#[test]
fn a_study_that_measured_nothing_says_so() {
    let mut s = fixture::empty();
    let page = text(&check(&s));
    assert!(page.contains("No plan can be recommended: no trial was begun."), "{page}");
    s.archive.trials = fixture::study(5).archive.trials;
    for (i, t) in s.archive.trials.iter_mut().enumerate() {
        t.state = if i == 0 { TrialState::Abandoned("no tokens left".into()) } else { TrialState::Pending };
    }
    s.state = StudyState::Limit;
    let page = text(&check(&s));
    assert!(page.contains("of 5 trials none was measured") && page.contains("given up: no tokens left"), "{page}");
}

#[test]
fn without_a_confirmation_the_search_split_is_not_sold_as_more() {
    let mut s = fixture::study(20);
    s.confirmation = None;
    s.state = StudyState::Interrupted;
    let page = text(&check(&s));
    assert!(page.contains("It is not confirmed on the test split yet"), "{page}");
    assert!(page.contains("as the pick of 19 measured plans this figure flatters it"), "{page}");
    assert!(page.contains("No plan was run on the 60 test examples yet"), "{page}");
}

#[test]
fn one_example_has_no_interval() {
    let mut s = fixture::study(8);
    for t in &mut s.archive.trials {
        if let TrialState::Measured(m) = &mut t.state {
            m.objective = Estimate::of_values(&[m.objective.mean]);
            m.cost = Estimate::of_values(&[m.cost.mean]);
            m.stages = vec![None, Some(m.objective)];
        }
    }
    let confirmation = s.confirmation.as_mut().unwrap();
    confirmation.examples = 1;
    for c in &mut confirmation.plans {
        c.objective = Estimate::of_values(&[c.objective.mean]);
        c.cost = Estimate::of_values(&[c.cost.mean]);
        c.difference = c.difference.map(|d| Estimate::of_values(&[d.mean]));
    }
    for p in s.curves.iter_mut().flat_map(|c| &mut c.points) {
        p.score = Estimate::of_values(&[p.score.mean]);
    }
    let page = text(&check(&s));
    assert!(page.contains("(no interval: n = 1)"), "{page}");
    assert!(page.contains("It cannot be told apart from largest once"), "an unbounded interval holds zero: {page}");
}

#[test]
fn values_that_are_no_numbers_are_left_out() {
    let mut s = fixture::study(8);
    if let TrialState::Measured(m) = &mut s.archive.trials[3].state {
        m.objective.mean = f64::NAN;
        m.cost.mean = f64::INFINITY;
    }
    s.space = [f64::INFINITY, f64::NAN];
    s.plan_budget = f64::NAN;
    s.spend.limits[0].limit = 0.0;
    let page = html(&s);
    assert!(page.ends_with("</html>") && !page.contains(">NaN") && !page.contains("\"NaN"));
}

#[test]
fn one_stage_without_a_metric_or_curves() {
    let mut s = fixture::study(10);
    s.stages.truncate(1);
    s.stages[0].metric = None;
    s.curves.clear();
    let cut = |p: &mut Plan| p.choices.truncate(1);
    for t in &mut s.archive.trials {
        cut(&mut t.plan);
        if let TrialState::Measured(m) = &mut t.state {
            m.stages = vec![None];
        }
    }
    cut(&mut s.recommended.as_mut().unwrap().plan);
    for c in &mut s.confirmation.as_mut().unwrap().plans {
        cut(&mut c.plan);
        c.stages = vec![None];
    }
    let page = text(&check(&s));
    assert!(page.contains("There are no scaling curves"), "{page}");
}

#[test]
fn a_stage_without_curves_shows_its_trials() {
    let mut s = fixture::study(30);
    s.curves.retain(|c| c.stage != "answer");
    let page = text(&check(&s));
    assert!(page.contains("(chart: Scaling curves of stage pick"), "{page}");
    assert!(page.contains("(chart: Trials of stage answer") && page.contains("leaves no curve"), "{page}");
}

#[test]
fn a_recommendation_of_an_unknown_trial_is_shown() {
    let mut s = fixture::study(6);
    s.confirmation = None;
    s.recommended.as_mut().unwrap().trial = 99;
    s.recommended.as_mut().unwrap().plan.choices.push(fixture::choice("m", 2, Aggregator::Fuse, 0.0));
    s.pareto = vec![99, 98];
    let page = text(&check(&s));
    assert!(page.contains("trial 99, which this summary does not hold"), "{page}");
}

#[test]
fn a_baseline_that_is_the_recommended_plan_is_named_so() {
    let mut s = fixture::study(6);
    let confirmation = s.confirmation.as_mut().unwrap();
    let winner = confirmation.plans[0].clone();
    confirmation.plans[1] = agenttts_core::Confirmed { label: "largest once".into(), ..winner };
    let page = text(&check(&s));
    assert!(page.contains("It is the same plan as largest once."), "{page}");
}

#[test]
fn hundreds_of_trials_and_long_names() {
    let mut s = fixture::study(400);
    let long = "an-organisation/a-model-with-a-very-long-name-instruct-2507-gguf-q4-k-m".repeat(3);
    for stage in &mut s.stages {
        let old = stage.models[1].clone();
        for c in s.curves.iter_mut().filter(|c| c.model == old) {
            c.model = long.clone();
        }
        stage.models[1] = long.clone();
    }
    for c in s.archive.trials.iter_mut().flat_map(|t| &mut t.plan.choices).filter(|c| c.model.contains("coder")) {
        c.model = long.clone();
    }
    let page = check(&s);
    assert_eq!(page.matches("<th scope=\"row\" class=\"num\"").count(), 400);
    assert!(page.len() < 3_000_000, "{}", page.len());
}

#[test]
fn costs_over_orders_of_magnitude_in_dollars() {
    let mut s = fixture::study(25);
    s.cost_model = CostModel::Usd;
    s.plan_budget = 0.002;
    for t in &mut s.archive.trials {
        let scale = 10f64.powi(t.number as i32 % 4 - 8);
        if let TrialState::Measured(m) = &mut t.state {
            let c = m.cost;
            m.cost = Estimate { mean: c.mean * scale, low: c.low * scale, high: c.high * scale, ..c };
        }
    }
    let page = check(&s);
    assert!(page.contains("USD per 1,000 queries, logarithmic"));
}

#[test]
fn prompts_that_did_not_fit_are_told_where_a_plan_is_judged() {
    let mut summary = fixture::study(6);
    summary.stages[0].shortens = Some("candidates".into());
    let fitting = vec![Fitting { shortened: 3, left_out: 0.25, too_long: 1 }, Fitting::default()];
    summary.confirmation.as_mut().unwrap().plans[0].fitting = fitting.clone();
    let TrialState::Measured(measured) = &mut summary.archive.trials[1].state else { panic!("not measured") };
    measured.fitting = fitting;
    let page = text(&check(&summary));
    let words = "1 example failed, 3 examples lost 25% of candidates on average";
    assert_eq!(page.matches(words).count(), 3, "the answer, the test split, the trial: {page}");
    assert!(page.contains("shortens candidates where a prompt is too long"), "{page}");
}

#[test]
fn what_held_generated_code_is_among_the_facts() {
    let mut summary = fixture::study(6);
    let guards = [("network", vec!["namespaces", "seccomp"]), ("files", vec!["landlock"]), ("memory", vec![])];
    let named = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    summary.sandbox = vec![Enforced {
        kernel: "6.1".into(),
        guards: guards.into_iter().map(|(guard, layers)| (guard.to_owned(), named(layers))).collect(),
        missing: [("cgroups".to_owned(), "not writable".to_owned())].into(),
    }];
    let page = text(&check(&summary));
    let words = "generated code ran with these held: files, network (by landlock, namespaces, seccomp); not held: memory; \
                 no cgroups: not writable; kernel 6.1";
    assert!(page.contains(words), "{page}");
    // Studies without generated code say nothing of it.
    assert!(!text(&check(&fixture::study(6))).contains("generated code"));
}

#[test]
fn used_test_examples_cheaper_plans_and_what_was_left_out_are_told() {
    let mut summary = fixture::study(12);
    let by = UsedBefore { study: "first-1".into(), opened_ms: 1_796_000_000_000, examples: 7 };
    summary.seal = Some(Seal { opened_ms: 1_796_100_000_000, margin: Some(0.02), of: 40, used: 7, by: vec![by] });
    let confirmation = summary.confirmation.as_mut().unwrap();
    let plan = confirmation.plans[2].plan.clone();
    let words = "where cost counts, the cheaper plan (trial 3) is recommended".to_owned();
    confirmation.cheaper = Some(Cheaper { margin: 0.02, plans: 1, recommended: Some(plan), trial: Some(3), words });
    confirmation.untested = Some("the runner-up plan was not tested: the limit of calls is reached".into());
    let page = text(&check(&summary));
    for told in [
        "7 of these 40 test examples were already used for the final test of first-1 on 2026-11-30; the p-values are no \
         longer those of a fresh test.",
        "Where cost counts, the cheaper plan (trial 3) is recommended.",
        "The runner-up plan was not tested: the limit of calls is reached.",
        "The test examples were opened on 2026-12-01; the margin of 0.02 was fixed before.",
    ] {
        assert!(page.contains(told), "{told}\n{page}");
    }
}
