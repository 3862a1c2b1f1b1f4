//! What `check` found out about a pipeline.

use agenttts_core::pipeline::{FlowSpec, Inputs, MetricSpec, StepKind, StepSpec};
use agenttts_core::{Pipeline, Plan, Space, Temperature};
use agenttts_engine::{Forecast, Probe, PromptFit};
use serde::Serialize;
use serde_json::{Value, json};

use super::number::{cost, grouped, of_limit, percent, short, usd};
use super::study::title;
use super::table::Columns;
use super::{Paint, Screen};

/// All that `check` found out.
pub(crate) struct Checked<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) space: &'a Space,
    pub(crate) cheapest: Plan,
    /// The plan within the budget that costs most.
    pub(crate) dearest: Option<Plan>,
    pub(crate) forecast: Forecast,
    /// The prompts that will not fit their models as they are.
    pub(crate) fits: Vec<PromptFit>,
    pub(crate) limits: Vec<(&'static str, f64)>,
    pub(crate) probes: Option<Vec<Probe>>,
}

impl Checked<'_> {
    fn price(&self, plan: &Plan) -> f64 {
        let model = self.space.cost_model();
        self.space.cost_of(plan).map_or(f64::NAN, |c| model.units(c))
    }

    /// For a person.
    pub(crate) fn text(&self, screen: &Screen) -> String {
        let (p, space) = (self.pipeline, self.space);
        let mut text = format!("{} is valid.\n", screen.paint(Paint::Bold, &format!("Pipeline {}", p.name)));
        if !p.description.is_empty() {
            text.push_str(&format!("  {}\n", p.description));
        }
        let objective = &p.stages[p.objective];
        let metric = objective.metric.as_ref().map_or_else(|| "-".into(), MetricSpec::name);
        text.push_str(&format!(
            "  {} search examples, {} test examples, objective {}: {metric}\n",
            p.search_split.examples.len(),
            p.test_split.examples.len(),
            objective.name
        ));
        text.push_str(&title(screen, "Stages"));
        let mut table = Columns::new(&["stage", "reads", "samples", "aggregators", "temperatures", "metric"]);
        for stage in &p.stages {
            table.row([
                stage.name.clone(),
                listed(names(p, &stage.from)),
                samples(&stage.samples),
                listed(stage.aggregators.iter().map(|a| a.name().to_owned())),
                listed(stage.temperatures.iter().map(Temperature::to_string)),
                stage.metric.as_ref().map_or_else(|| "-".into(), MetricSpec::name),
            ]);
        }
        text.push_str(&table.text());
        for stage in p.stages.iter().filter(|s| s.flow.varies()) {
            text.push_str(&format!("  {}: {}\n", stage.name, flow(&stage.flow)));
        }
        if !p.steps.is_empty() {
            text.push_str(&title(screen, "Steps"));
            let mut table = Columns::new(&["step", "reads", "does"]);
            for step in &p.steps {
                table.row([step.name.clone(), listed(names(p, &step.from)), deed(&step.kind)]);
            }
            text.push_str(&table.text());
        }
        text.push_str(&title(screen, &format!("One sample of each model ({})", space.cost_model())));
        let mut table = Columns::new(&["stage", "model", "provider", ">cost"]);
        for stage in space.stages() {
            for &model in &stage.by_size {
                let spec = &stage.stage.models[model];
                table.row([
                    stage.stage.name.clone(),
                    spec.name.clone(),
                    spec.provider.clone(),
                    space.cost_model().display(stage.single[model]),
                ]);
            }
        }
        text.push_str(&table.text());
        text.push_str(&title(screen, "Space"));
        text.push_str(&format!(
            "  {} plans, {} of them within the plan budget of {}\n",
            grouped(space.size()),
            grouped(space.feasible()),
            space.cost_model().display(space.budget())
        ));
        let mut priced = |what: &str, plan: &Plan| {
            text.push_str(&format!("  {what:<9}{}: {plan}\n", cost(space.cost_model(), self.price(plan))));
        };
        priced("cheapest", &self.cheapest);
        if let Some(dearest) = &self.dearest {
            priced("dearest", dearest);
        }
        if !self.fits.is_empty() {
            text.push_str(&title(screen, "Prompts that are too long, of all search and test examples"));
            text.push_str(&too_long(&self.fits));
        }
        text.push_str(&title(screen, "A search would probably take"));
        text.push_str(&self.forecast_text());
        if let Some(probes) = &self.probes {
            text.push_str(&title(screen, "Models that were called"));
            text.push_str(&probed(probes));
        }
        text
    }

    fn forecast_text(&self) -> String {
        let f = &self.forecast;
        let money = f.usd.map_or_else(String::new, |d| format!(", {}", usd(d)));
        let work = f.gflop.map_or_else(String::new, |g| format!(", {} GFLOP", short(g)));
        let mut text = format!(
            "  {} tokens ({} to {}) in {} calls{money}{work}, for {} trials and the final test\n",
            short(f.tokens),
            short(f.tokens_low),
            short(f.tokens_high),
            short(f.calls),
            self.pipeline.search.trials
        );
        if f.verdicts > 0.0 {
            text.push_str(&format!("  {} of these calls ask the judge\n", short(f.verdicts)));
        }
        if self.limits.is_empty() {
            text.push_str("  no limit on the search is set; --search-budget sets one\n");
        }
        for (what, limit) in &self.limits {
            let expected = match *what {
                "tokens" => Some(f.tokens),
                "calls" => Some(f.calls),
                "usd" => f.usd,
                "flops" => f.gflop,
                _ => None,
            };
            let verdict = match expected {
                Some(e) if e > *limit => "the search would stop there",
                Some(_) => "enough",
                None => "cannot be told beforehand",
            };
            text.push_str(&format!("  limit {}: {verdict}\n", of_limit(what, *limit)));
        }
        text.push_str(&format!("  {}\n", f.note));
        text
    }

    /// For a script.
    pub(crate) fn json(&self) -> Value {
        let (p, space) = (self.pipeline, self.space);
        let priced = |plan: &Plan| json!({"plan": plan, "cost": self.price(plan)});
        let stages: Vec<Value> = space.stages().iter().zip(&p.stages).map(|(priced, stage)| {
            let models: Vec<Value> = priced.by_size.iter().map(|&m| {
                let spec = &priced.stage.models[m];
                json!({"model": spec.name, "provider": spec.provider, "cost_of_one_sample": space.cost_model().units(priced.single[m])})
            }).collect();
            json!({
                "stage": stage.name,
                "from": names(p, &stage.from).collect::<Vec<_>>(),
                "when": stage.flow.condition.as_ref().map(|c| &c.when.text),
                "otherwise": stage.flow.condition.as_ref().and_then(|c| c.otherwise.as_ref()).map(|o| &o.text),
                "each": stage.flow.each.as_ref().map(|e| &e.text),
                "runs": stage.flow.runs.as_f64(),
                "models": models,
                "samples": stage.samples,
                "aggregators": stage.aggregators,
                "temperatures": stage.temperatures,
                "metric": stage.metric.as_ref().map(MetricSpec::name),
            })
        }).collect();
        let step = |step: &StepSpec| json!({"step": step.name, "from": names(p, &step.from).collect::<Vec<_>>(), "does": deed(&step.kind)});
        let steps: Vec<Value> = p.steps.iter().map(step).collect();
        let limits: serde_json::Map<String, Value> =
            self.limits.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        json!({
            "version": 1,
            "pipeline": p.name,
            "stages": stages,
            "steps": steps,
            "objective": p.stages[p.objective].name,
            "search_examples": p.search_split.examples.len(),
            "test_examples": p.test_split.examples.len(),
            "cost_model": space.cost_model(),
            "plan_budget": space.cost_model().units(space.budget()),
            // Counts may exceed what JSON numbers hold exactly: they are text.
            "plans": space.size().to_string(),
            "plans_within_budget": space.feasible().to_string(),
            "cheapest": priced(&self.cheapest),
            "dearest_within_budget": self.dearest.as_ref().map(priced),
            "too_long": self.fits,
            "forecast": self.forecast,
            "search_limits": limits,
            "probes": self.probes.as_ref().map(|all| all.iter().map(probe_json).collect::<Vec<_>>()),
        })
    }
}

fn too_long(fits: &[PromptFit]) -> String {
    let mut table = Columns::new(&["stage", "model", ">context", "examples"]);
    for fit in fits {
        let told = |n: u32, what: String| (n > 0).then(|| format!("{n} of {} {what}", fit.examples));
        let lost = format!("lose {} of {}", percent(fit.left_out), fit.shortens.as_deref().unwrap_or("their prompts"));
        let all = [
            told(fit.too_long, "fail".into()),
            told(fit.shortened, format!("{lost} on average")),
            told(fit.may_fail, "may fail: only the server counts tokens".into()),
        ];
        let context = grouped(u128::from(fit.context));
        table.row([fit.stage.clone(), fit.model.clone(), context, listed(all.into_iter().flatten())]);
    }
    let mut text = table.text();
    if let Some(first) = fits.iter().find_map(|fit| fit.first.as_ref()) {
        text.push_str(&format!("  the first that fails, {first}\n"));
    }
    text.push_str("  prompts that read earlier stages are measured when those have run\n");
    text
}

fn probed(probes: &[Probe]) -> String {
    let mut table = Columns::new(&["model", "provider", "answer", "tokens", ">seconds"]);
    for probe in probes {
        match &probe.result {
            Ok(reply) => table.row([
                probe.model.clone(),
                probe.provider.clone(),
                format!("{:?}", excerpt(&reply.text)),
                format!("{} + {}", reply.prompt_tokens, reply.decode_tokens),
                format!("{:.2}", reply.seconds),
            ]),
            Err(error) => table.row([
                probe.model.clone(),
                probe.provider.clone(),
                format!("failed: {error}"),
                "-".into(),
                "-".into(),
            ]),
        }
    }
    table.text()
}

#[derive(Serialize)]
struct ProbeJson<'a> {
    model: &'a str,
    provider: &'a str,
    ok: bool,
    text: Option<&'a str>,
    prompt_tokens: Option<u32>,
    decode_tokens: Option<u32>,
    seconds: Option<f64>,
    error: Option<String>,
    hint: Option<&'a str>,
}

fn probe_json(probe: &Probe) -> ProbeJson<'_> {
    let reply = probe.result.as_ref().ok();
    let error = probe.result.as_ref().err();
    ProbeJson {
        model: &probe.model,
        provider: &probe.provider,
        ok: reply.is_some(),
        text: reply.map(|r| r.text.as_str()),
        prompt_tokens: reply.map(|r| r.prompt_tokens),
        decode_tokens: reply.map(|r| r.decode_tokens),
        seconds: reply.map(|r| r.seconds),
        error: error.map(ToString::to_string),
        hint: error.and_then(|e| e.hint.as_deref()),
    }
}

/// The start of a text.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a stage or step reads directly.
fn names<'a>(pipeline: &'a Pipeline, inputs: &'a Inputs) -> impl Iterator<Item = String> + 'a {
    inputs.nodes().map(|node| pipeline.node_name(node).to_owned())
}

/// When a stage runs, in words.
fn flow(flow: &FlowSpec) -> String {
    let when = flow.condition.as_ref().map(|c| format!("only if {}", c.when.text));
    let each = flow.each.as_ref().map(|e| format!("once for each item of {}", e.text));
    let how = [when, each].into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{how}; expected {} times an example", flow.runs)
}

/// What a step does, in a few words.
fn deed(kind: &StepKind) -> String {
    match kind {
        StepKind::Command(spec) => format!("asks `{}`", spec.command.join(" ")),
        StepKind::Python(program) => format!("runs the program `{}`", program.text),
    }
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".into() } else { words.join(", ") }
}

/// `1 to 100`, or a list.
fn samples(counts: &[u32]) -> String {
    match counts {
        [first, .., last] if counts.len() > 2 && (last - first) as usize == counts.len() - 1 => {
            format!("{first} to {last}")
        }
        _ => listed(counts.iter().map(u32::to_string)),
    }
}
