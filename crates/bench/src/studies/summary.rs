//! From all runs of a study to what is said of it.

use agenttts_core::Estimate;

use super::ablation::beliefs;
use super::results::{STUDY_RESULTS_VERSION, StudyCell, StudyLandscape, StudyResults, StudySetting};
use super::{Row, Study};
use crate::contestant::Contestant;
use crate::results::{FaultNote, fault, mean_last};
use crate::simulate::SIMULATED;
use crate::tournament::{Options, Series, budget};

/// Sums up a study's runs. `contestants` are those of [`Study::contestants`] for the methods.
pub(super) fn summary(
    study: &Study,
    methods: &[String],
    contestants: &[Box<dyn Contestant>],
    options: &Options,
    series: &[Series],
) -> StudyResults {
    let table = Runs { study, methods, contestants, options, series };
    let mut landscapes: Vec<StudyLandscape> = Vec::new();
    for row in &study.rows {
        let rows = family(row).map_or_else(Vec::new, |f| study.rows.iter().filter(|r| family(r) == Some(f)).collect());
        match rows.len() {
            0 | 1 => landscapes.push(table.landscape(row.name.clone(), &[row])),
            // A family stands where its first landscape stood.
            _ if rows[0].name == row.name => {
                let name = format!("{SIMULATED}{}", family(row).unwrap_or_default());
                landscapes.push(table.landscape(name, &rows));
            }
            _ => {}
        }
    }
    let label = |i: usize| study.settings.get(i).map_or_else(String::new, |s| s.label.clone());
    StudyResults {
        version: STUDY_RESULTS_VERSION,
        study: study.name.to_owned(),
        title: study.title.to_owned(),
        seeds: options.seeds,
        settings: study.settings.iter().map(|s| s.label.clone()).collect(),
        reference: label(study.reference),
        first_method: methods.first().cloned().unwrap_or_default(),
        overall: overall(&landscapes, study.reference),
        beliefs: beliefs(&landscapes),
        landscapes,
        left_out: study.left_out.clone(),
        faults: table.faults(),
    }
}

/// The family of a simulated landscape.
fn family(row: &Row) -> Option<&str> {
    row.name.strip_prefix(SIMULATED)?.split(':').next()
}

struct Runs<'a> {
    study: &'a Study,
    methods: &'a [String],
    contestants: &'a [Box<dyn Contestant>],
    options: &'a Options,
    series: &'a [Series],
}

impl Runs<'_> {
    /// The number of the contestant that plays a method under a setting.
    fn contestant(&self, method: usize, setting: usize) -> usize {
        if self.contestants.len() == self.methods.len() {
            return method;
        }
        method * self.study.settings.len() + setting
    }

    /// The runs of a contestant in an arena: of several numbers of examples the best. `None` where a fault ended one.
    fn best(&self, arena: usize, contestant: usize) -> Option<&Series> {
        let mine = self.series.iter().filter(|s| s.arena == arena && s.contestant == contestant);
        if mine.clone().any(|s| s.runs.iter().any(|r| r.fault.is_some())) {
            return None;
        }
        mine.reduce(|a, b| if mean_last(b) > mean_last(a) { b } else { a })
    }

    /// One note for every method and landscape, whatever the setting.
    fn faults(&self) -> Vec<FaultNote> {
        let mut faults: Vec<FaultNote> = Vec::new();
        for (a, arena) in self.study.arenas.iter().enumerate() {
            for (c, contestant) in self.contestants.iter().enumerate() {
                let mine: Vec<&Series> = self.series.iter().filter(|s| s.arena == a && s.contestant == c).collect();
                let Some(note) = fault(arena, contestant.as_ref(), &mine) else { continue };
                match faults.iter_mut().find(|f| f.landscape == note.landscape && f.method == note.method) {
                    Some(known) => known.runs += note.runs,
                    None => faults.push(note),
                }
            }
        }
        faults
    }

    fn landscape(&self, name: String, rows: &[&Row]) -> StudyLandscape {
        let worlds = (rows.len() > 1).then_some(rows.len() as u32);
        let settings = (0..self.study.settings.len()).map(|s| self.setting(s, rows)).collect();
        let seed = |row: &&Row| row.name.rsplit(':').next().unwrap_or_default().to_owned();
        let seeds = if worlds.is_some() { rows.iter().map(seed).collect() } else { Vec::new() };
        let mut landscape = StudyLandscape { landscape: name, worlds, seeds, settings };
        compare(&mut landscape, self.study.reference);
        landscape
    }

    fn setting(&self, setting: usize, rows: &[&Row]) -> StudySetting {
        let places: Vec<_> = rows.iter().filter_map(|r| r.places.get(setting)).collect();
        let arena = places.first().and_then(|p| self.study.arenas.get(p.arena));
        let cell = |method: usize| {
            let contestant = self.contestant(method, setting);
            let series: Option<Vec<&Series>> = places.iter().map(|p| self.best(p.arena, contestant)).collect();
            Some(cell(&self.methods[method], &series?))
        };
        StudySetting {
            setting: self.study.settings[setting].label.clone(),
            about: match places.as_slice() {
                [only] => only.about.clone(),
                _ => String::new(),
            },
            unit: arena.map(|a| a.environment.unit()),
            budget: arena.map(|a| budget(a, self.options)),
            methods: (0..self.methods.len()).filter_map(cell).collect(),
        }
    }
}

/// A method under a setting: the seeds of one landscape, or the landscapes of a family.
fn cell(method: &str, series: &[&Series]) -> StudyCell {
    let last = |s: &Series, what: &dyn Fn(&crate::harness::Point) -> f64| -> Vec<f64> {
        s.runs.iter().map(|r| r.points.last().map_or(0.0, what)).collect()
    };
    let values = |what: &dyn Fn(&crate::harness::Point) -> f64| -> Vec<f64> {
        match series {
            [only] => last(only, what),
            several => several.iter().map(|s| mean(&last(s, what))).collect(),
        }
    };
    let examples = series.first().and_then(|s| s.examples);
    let same = series.iter().all(|s| s.examples == examples);
    new_cell(method.to_owned(), examples.filter(|_| same), values(&|p| p.ratio), values(&|p| p.normalised_regret))
}

fn new_cell(method: String, examples: Option<u32>, ratios: Vec<f64>, normalised_regrets: Vec<f64>) -> StudyCell {
    StudyCell {
        method,
        examples,
        ratio: Estimate::of_values(&ratios),
        normalised_regret: Estimate::of_values(&normalised_regrets),
        change: None,
        lead: None,
        ratios,
        normalised_regrets,
    }
}

/// Adds the paired differences.
fn compare(landscape: &mut StudyLandscape, reference: usize) {
    let before = landscape.settings.clone();
    for (s, setting) in landscape.settings.iter_mut().enumerate() {
        let first = before[s].methods.first();
        for (m, cell) in setting.methods.iter_mut().enumerate() {
            let rival = before.get(reference).and_then(|r| r.methods.iter().find(|c| c.method == cell.method));
            cell.change = rival.filter(|_| s != reference).map(|r| difference(&cell.ratios, &r.ratios));
            cell.lead = first.filter(|_| m > 0).map(|f| difference(&cell.ratios, &f.ratios));
        }
    }
}

/// The mean over single landscapes, seed by seed; of the methods that ran on all of them under all settings.
fn overall(landscapes: &[StudyLandscape], reference: usize) -> Option<StudyLandscape> {
    let single: Vec<&StudyLandscape> = landscapes.iter().filter(|l| l.worlds.is_none()).collect();
    let first = single.first().filter(|_| single.len() > 1)?;
    let find = |l: &StudyLandscape, s: usize, method: &str| -> Option<StudyCell> {
        l.settings.get(s)?.methods.iter().find(|m| m.method == method).cloned()
    };
    let setting = |(s, setting): (usize, &StudySetting)| {
        let cell = |method: &StudyCell| {
            let all: Option<Vec<StudyCell>> = single.iter().map(|l| find(l, s, &method.method)).collect();
            let all = all?;
            let mean_of = |what: &dyn Fn(&StudyCell) -> &[f64]| -> Vec<f64> {
                let seeds = all.iter().map(|c| what(c).len()).min().unwrap_or(0);
                (0..seeds).map(|i| mean(&all.iter().map(|c| what(c)[i]).collect::<Vec<_>>())).collect()
            };
            let examples = all.first().and_then(|c| c.examples);
            let examples = examples.filter(|_| all.iter().all(|c| c.examples == examples));
            Some(new_cell(
                method.method.clone(),
                examples,
                mean_of(&|c| &c.ratios),
                mean_of(&|c| &c.normalised_regrets),
            ))
        };
        StudySetting {
            setting: setting.setting.clone(),
            about: String::new(),
            unit: None,
            budget: None,
            methods: setting.methods.iter().filter_map(cell).collect(),
        }
    };
    let mut mean = StudyLandscape {
        landscape: format!("mean of {} landscapes", single.len()),
        worlds: None,
        seeds: Vec::new(),
        settings: first.settings.iter().enumerate().map(setting).collect(),
    };
    compare(&mut mean, reference);
    Some(mean)
}

fn difference(a: &[f64], b: &[f64]) -> Estimate {
    Estimate::of_values(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
