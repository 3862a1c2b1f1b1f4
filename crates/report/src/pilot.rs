//! What the page of a pilot study shows, as plain texts and finished charts.

use agenttts_core::{Level, Pilot, PilotCurve, PilotStage, PilotTest, Upstream};
use minijinja::Value;
use serde::Serialize;

use crate::chart::{Across, Line, LinePoint, Look, lines};
use crate::number::{cost_estimate, counted, estimate, interval, score, short, signed, signed_interval};

/// A whole page.
#[derive(Serialize)]
pub(crate) struct Page<'a> {
    pipeline: &'a str,
    description: &'a str,
    examples: u32,
    from_tape: bool,
    stopped: Option<&'a str>,
    insights: Vec<Insight<'a>>,
    stages: Vec<Stage<'a>>,
    moves: Vec<Move<'a>>,
    notes: &'a [String],
    facts: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Insight<'a> {
    number: u8,
    claim: &'a str,
    answer: &'static str,
    reason: &'a str,
    evidence: &'a [String],
    tests: Vec<Test<'a>>,
}

#[derive(Serialize)]
struct Test<'a> {
    family: &'a str,
    what: &'a str,
    difference: String,
    p: String,
    adjusted: String,
    shown: bool,
    needed: String,
}

#[derive(Serialize)]
struct Stage<'a> {
    name: &'a str,
    metric: Option<&'a str>,
    draws: u32,
    settings: Vec<Setting>,
    charts: Vec<Chart>,
    rows: Vec<Row>,
}

/// A setting of the stages upstream.
#[derive(Serialize)]
struct Setting {
    level: &'static str,
    upstream: Vec<String>,
    examples: u32,
    failures: u32,
}

#[derive(Serialize)]
struct Chart {
    title: String,
    svg: Value,
}

/// A point of a curve, for the table below the charts.
#[derive(Serialize)]
struct Row {
    level: &'static str,
    curve: String,
    samples: u32,
    score: String,
    cost: String,
    subsets: String,
}

#[derive(Serialize)]
struct Move<'a> {
    stage: &'a str,
    curve: &'a str,
    from: String,
    to: String,
    doublings: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(pilot: &'a Pilot) -> Self {
        let at = |level: Level, p: &agenttts_core::Peak| {
            format!("×{} [{}, {}] ({})", p.samples, p.low, p.high, level.name())
        };
        Page {
            pipeline: &pilot.pipeline,
            description: &pilot.description,
            examples: pilot.examples,
            from_tape: pilot.from_tape,
            stopped: pilot.stopped.as_deref(),
            insights: pilot.insights.iter().map(insight).collect(),
            stages: pilot.stages.iter().map(|s| stage(pilot, s)).collect(),
            moves: pilot
                .insights
                .iter()
                .flat_map(|i| &i.moves)
                .map(|m| Move {
                    stage: &m.stage,
                    curve: &m.curve,
                    from: at(m.from, &m.peaks[0]),
                    to: at(m.to, &m.peaks[1]),
                    doublings: format!("{:+.1} [{:+.1}, {:+.1}]", m.doublings.mean, m.doublings.low, m.doublings.high)
                        .replace('-', "−"),
                })
                .collect(),
            notes: &pilot.notes,
            facts: facts(pilot),
        }
    }
}

fn insight(insight: &agenttts_core::Insight) -> Insight<'_> {
    let (reason, evidence) = insight.words.split_first().map_or(("", &[][..]), |(r, e)| (r.as_str(), e));
    Insight {
        number: insight.number,
        claim: &insight.claim,
        answer: insight.answer.words(),
        reason,
        evidence,
        tests: insight.tests.iter().map(test).collect(),
    }
}

fn test(test: &PilotTest) -> Test<'_> {
    let p = |p: f64| if p < 0.001 { "<0.001".to_owned() } else { score(p) };
    Test {
        family: &test.family,
        what: &test.what,
        difference: format!("{} {}", signed(test.difference.mean), signed_interval(&test.difference)),
        p: p(test.p),
        adjusted: p(test.adjusted),
        shown: test.shown,
        needed: test.needed.map_or_else(|| "–".to_owned(), |n| short(f64::from(n))),
    }
}

fn stage<'a>(pilot: &'a Pilot, stage: &'a PilotStage) -> Stage<'a> {
    let level = |c: &PilotCurve| stage.settings.get(c.setting as usize).map_or("", |s| s.level.name());
    let row = |c: &PilotCurve, p: &agenttts_core::PilotPoint| Row {
        level: level(c),
        curve: name(stage, c),
        samples: p.samples,
        score: estimate(&p.score),
        cost: cost_estimate(pilot.cost_model, &p.cost),
        subsets: match (p.subsets, p.exact) {
            (n, true) => format!("all {n}"),
            (1, false) => "the first draws".to_owned(),
            (n, false) => n.to_string(),
        },
    };
    Stage {
        name: &stage.name,
        metric: stage.metric.as_deref(),
        draws: stage.draws,
        settings: stage.settings.iter().filter(|s| s.level != Level::Example).map(setting).collect(),
        charts: charts(pilot, stage),
        rows: stage.curves.iter().flat_map(|c| c.points.iter().map(|p| row(c, p)).collect::<Vec<_>>()).collect(),
    }
}

fn setting(setting: &Upstream) -> Setting {
    let words = |s: &agenttts_core::UpstreamStage| {
        let what = s.choice.as_ref().map_or_else(|| "the gold output".to_owned(), ToString::to_string);
        match &s.score {
            Some(e) => format!("{}: {what}, scoring {} {}", s.stage, score(e.mean), interval(e)),
            None => format!("{}: {what}", s.stage),
        }
    };
    Setting {
        level: setting.level.name(),
        upstream: setting.stages.iter().map(words).collect(),
        examples: setting.examples,
        failures: setting.failures,
    }
}

/// The curves under the setting that the first two insights are judged by, against samples and against cost; then every
/// curve under all settings.
fn charts(pilot: &Pilot, stage: &PilotStage) -> Vec<Chart> {
    let metric = stage.metric.clone().unwrap_or_default();
    let of = |setting: usize| stage.curves.iter().filter(move |c| c.setting as usize == setting);
    let usual = stage.settings.iter().position(|s| matches!(s.level, Level::Example | Level::Best));
    let mut found = Vec::new();
    let mut add = |title: String, all: Vec<Line>, across| {
        let label = format!("{title}: {metric} of stage {}, {}.", stage.name, counted(all.len(), "line"));
        found
            .extend(lines(&all, across, &metric, &label).map(|svg| Chart { title, svg: Value::from_safe_string(svg) }));
    };
    if let Some(setting) = usual {
        let with = if stage.settings[setting].level == Level::Best { ", best upstream" } else { "" };
        let several = || of(setting).enumerate();
        let all = several().map(|(i, c)| over_samples(stage, c, name(stage, c), i)).collect();
        add(format!("Score against samples{with}"), all, Across::Samples);
        let all = several().map(|(i, c)| over_cost(pilot, stage, c, i)).collect();
        add(format!("Score against cost{with}"), all, Across::Cost(pilot.cost_model));
    }
    if stage.settings.len() > 1 {
        for curve in of(usual.unwrap_or(0)).filter(|c| c.points.len() > 1) {
            let same = |c: &&PilotCurve| {
                (&c.model, c.temperature, c.aggregator) == (&curve.model, curve.temperature, curve.aggregator)
            };
            let level = |c: &PilotCurve| stage.settings[c.setting as usize].level.name().to_owned();
            let known = stage.curves.iter().filter(|c| (c.setting as usize) < stage.settings.len());
            let all = known.filter(same).enumerate().map(|(i, c)| over_samples(stage, c, level(c), i)).collect();
            add(format!("{} by what comes from upstream", name(stage, curve)), all, Across::Samples);
        }
    }
    found
}

fn over_samples(stage: &PilotStage, curve: &PilotCurve, name: String, place: usize) -> Line {
    let tip = |p: &agenttts_core::PilotPoint| {
        format!("{}, {}\n{}", self::name(stage, curve), counted(p.samples as usize, "sample"), estimate(&p.score))
    };
    let points = curve.points.iter().map(|p| LinePoint { x: f64::from(p.samples), y: p.score, tip: tip(p) }).collect();
    Line { name, look: Look::of(place), points, peak: curve.peak }
}

fn over_cost(pilot: &Pilot, stage: &PilotStage, curve: &PilotCurve, place: usize) -> Line {
    let name = name(stage, curve);
    let tip = |p: &agenttts_core::PilotPoint| {
        let cost = cost_estimate(pilot.cost_model, &p.cost);
        format!("{name}, {}\n{}\ncost: {cost}", counted(p.samples as usize, "sample"), estimate(&p.score))
    };
    let points = curve.points.iter().map(|p| LinePoint { x: p.cost.mean, y: p.score, tip: tip(p) }).collect();
    Line { look: Look::of(place), points, peak: None, name: name.clone() }
}

/// The model of a curve, with temperature and aggregator where they tell the stage's curves apart.
fn name(stage: &PilotStage, curve: &PilotCurve) -> String {
    let mut text = curve.model.clone();
    if stage.curves.iter().any(|c| c.temperature != curve.temperature) {
        text.push_str(&format!(" T={}", curve.temperature));
    }
    let mut alike = stage.curves.iter().filter(|c| c.temperature == curve.temperature);
    if curve.points.len() > 1 && alike.any(|c| c.aggregator != curve.aggregator) {
        text.push_str(&format!(" {}", curve.aggregator));
    }
    text
}

fn facts(pilot: &Pilot) -> Vec<(String, String)> {
    let mut facts = vec![
        ("examples".to_owned(), pilot.examples.to_string()),
        ("seed".to_owned(), pilot.seed.to_string()),
        ("margin".to_owned(), format!("{}: smaller differences are not worth knowing", pilot.margin)),
        ("program".to_owned(), format!("agenttts {}", pilot.program)),
    ];
    if !pilot.from_tape {
        let (tokens, calls) = (short(pilot.drawn.tokens() as f64), short(pilot.drawn.calls as f64));
        facts.push(("drawn now".to_owned(), format!("{tokens} tokens in {calls} calls")));
    }
    let models = pilot.models.iter();
    facts.extend(models.map(|(name, m)| (format!("model {name}"), format!("{} ({})", m.model, m.revision))));
    facts
}
