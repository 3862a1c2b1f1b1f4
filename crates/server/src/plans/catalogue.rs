//! The plan files that are served, read again when they change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use agenttts_core::text::nearest;
use agenttts_engine::{EngineError, Expected, Measured, PlanFile, PlanStage, Runner, Workshop};
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::pick::{Offered, Wish};
use super::traffic::Traffic;

/// A plan file to serve, and its name as a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSource {
    /// The model's name; absent = the study's.
    pub name: Option<String>,
    /// The plan file.
    pub file: PathBuf,
}

impl PlanSource {
    fn same_name(&self, name: &str) -> Unusable {
        let error = EngineError::input(
            format!("two plan files are served as {name:?}"),
            "name one of them otherwise: NAME=FILE",
        );
        Unusable { file: self.file.clone(), error }
    }
}

/// A plan file that cannot be served.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: EngineError,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.error.to_string().replace('\n', " "))
    }
}

impl std::error::Error for Unusable {}

/// All plans, by name.
pub(crate) struct Catalogue {
    sources: Vec<PlanSource>,
    workshop: Workshop,
    offers: ArcSwap<BTreeMap<String, Arc<Offer>>>,
    /// What plans did, by their ids: a plan that is read again goes on with its own.
    traffic: Mutex<HashMap<String, Arc<Traffic>>>,
    /// Held while files are read.
    reloading: tokio::sync::Mutex<()>,
}

/// A plan file.
struct Offer {
    /// Which of the sources it is of.
    source: usize,
    digest: String,
    /// The recommended plan, then the front.
    plans: Vec<Arc<Served>>,
}

/// A plan that answers.
pub(crate) struct Served {
    /// The model's name without a wish.
    pub(crate) name: String,
    /// Name, and a hash of all that decides how it answers.
    pub(crate) id: String,
    pub(crate) study: String,
    pub(crate) trial: Option<u32>,
    pub(crate) stages: Vec<PlanStage>,
    pub(crate) measured: Option<Measured>,
    pub(crate) expected: Option<Expected>,
    /// What the study believes of its quality, where it is of the front.
    pub(crate) estimate: Option<f64>,
    pub(crate) inputs: BTreeSet<String>,
    pub(crate) runner: Runner,
    pub(crate) traffic: Arc<Traffic>,
    /// When the file was read, in seconds since 1970.
    pub(crate) created: u64,
}

impl Catalogue {
    /// Reads all files.
    ///
    /// # Errors
    /// The first that cannot be served, and two of one name.
    pub(crate) async fn load(sources: Vec<PlanSource>, workshop: Workshop) -> Result<Self, Unusable> {
        let catalogue = Catalogue {
            sources,
            workshop,
            offers: ArcSwap::default(),
            traffic: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
        };
        let mut offers = BTreeMap::new();
        for (index, source) in catalogue.sources.iter().enumerate() {
            let (name, offer) = catalogue.read(index).await?;
            if offers.insert(name.clone(), offer).is_some() {
                return Err(source.same_name(&name));
            }
        }
        catalogue.offers.store(Arc::new(offers));
        Ok(catalogue)
    }

    /// Reads the files again that have changed; a file that cannot be served leaves its plan as it is. Tells what changed
    /// and what failed.
    pub(crate) async fn reload(&self) -> (Vec<String>, Vec<Unusable>) {
        let _alone = self.reloading.lock().await;
        let mut offers = BTreeMap::clone(&self.offers.load());
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for (index, source) in self.sources.iter().enumerate() {
            let before =
                offers.iter().find(|(_, offer)| offer.source == index).map(|(n, o)| (n.clone(), o.digest.clone()));
            let text = std::fs::read(&source.file).unwrap_or_default();
            if before.as_ref().is_some_and(|(_, digest)| *digest == hash(&text)) {
                continue;
            }
            match self.read(index).await {
                Ok((name, _)) if offers.get(&name).is_some_and(|other: &Arc<Offer>| other.source != index) => {
                    failed.push(source.same_name(&name));
                }
                Ok((name, offer)) => {
                    if let Some((old, _)) = before {
                        offers.remove(&old);
                    }
                    changed.push(name.clone());
                    offers.insert(name, offer);
                }
                Err(unusable) => failed.push(unusable),
            }
        }
        if !changed.is_empty() {
            let served: BTreeSet<&str> = offers.values().flat_map(|o| &o.plans).map(|p| p.id.as_str()).collect();
            let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.retain(|id, _| served.contains(id.as_str()));
            drop(traffic);
            self.offers.store(Arc::new(offers));
        }
        (changed, failed)
    }

    /// The plan of a model name, `NAME` or `NAME@WISH`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub(crate) fn find(&self, model: &str) -> Result<Arc<Served>, String> {
        let offers = self.offers.load();
        // A plan's own name may have an @ in it.
        let (name, wish) = match model.rsplit_once('@') {
            Some((name, wish)) if !offers.contains_key(model) => (name, Some(wish)),
            _ => (model, None),
        };
        let Some(offer) = offers.get(name) else {
            let names: Vec<&str> = offers.keys().map(String::as_str).collect();
            let hint = match nearest(name, &names) {
                Some(near) => format!("do you mean {near:?}?"),
                None if names.is_empty() => "this server serves no plan".to_owned(),
                None => format!("there is: {}", names.join(", ")),
            };
            return Err(format!("there is no plan {name:?}; {hint}"));
        };
        let recommended = offer.plans.first().ok_or("the plan file has no plan")?;
        let Some(wish) = wish else { return Ok(recommended.clone()) };
        // A file without a front offers its one plan.
        let front = if offer.plans.len() > 1 { &offer.plans[1..] } else { &offer.plans[..] };
        let offered: Vec<Offered> = front.iter().map(|plan| plan.offered()).collect();
        let place = Wish::parse(wish)?.choose(&offered, recommended.runner.cost_model())?;
        Ok(front[place].clone())
    }

    /// The recommended plan of every file, in order of the names, each with its front.
    pub(crate) fn all(&self) -> Vec<(Arc<Served>, Vec<Arc<Served>>)> {
        let offers = self.offers.load();
        let split =
            |offer: &Arc<Offer>| offer.plans.split_first().map(|(first, front)| (first.clone(), front.to_vec()));
        offers.values().filter_map(split).collect()
    }

    async fn read(&self, index: usize) -> Result<(String, Arc<Offer>), Unusable> {
        let source = &self.sources[index];
        let unusable = |error: EngineError| Unusable { file: source.file.clone(), error };
        let bytes = std::fs::read(&source.file).map_err(|e| {
            unusable(EngineError::input(
                format!("{} cannot be read: {e}", source.file.display()),
                "a plan file is written by `agenttts search` and `agenttts plan`",
            ))
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let file = PlanFile::parse(&shown(&source.file), &text).map_err(|e| unusable(e.into()))?;
        let name = source.name.clone().unwrap_or_else(|| file.study.clone());
        let runners = Runner::with_front(&file, &self.workshop).await.map_err(unusable)?;
        for program in runners.first().map_or(&[][..], Runner::changed_programs) {
            tracing::warn!(plan = name, program, "a program of a step is not the one that the plan was measured with");
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut alone = vec![(file.of_this(), None)];
        alone.extend(file.front.iter().map(|front| (file.of_front(front), Some(front.estimate))));
        let serve = |((plan, estimate), runner): ((PlanFile, Option<f64>), Runner)| {
            let id = format!("{name}-{}", &hash(plan.to_toml().as_bytes())[..12]);
            Arc::new(Served {
                name: name.clone(),
                traffic: self.traffic(&id),
                id,
                study: plan.study,
                trial: plan.trial,
                stages: plan.stages,
                measured: plan.measured,
                expected: plan.expected,
                estimate,
                inputs: runner.inputs(),
                runner,
                created,
            })
        };
        let plans = alone.into_iter().zip(runners).map(serve).collect();
        Ok((name.clone(), Arc::new(Offer { source: index, digest: hash(&bytes), plans })))
    }

    fn traffic(&self, id: &str) -> Arc<Traffic> {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.entry(id.to_owned()).or_default().clone()
    }
}

impl Served {
    fn offered(&self) -> Offered {
        let measured = self.measured.as_ref();
        Offered {
            trial: self.trial,
            estimate: self.estimate.or(measured.map(|m| m.quality.mean)).unwrap_or(0.0),
            // What was not measured is within no limit.
            cost: measured.map_or(f64::INFINITY, |m| m.cost.mean),
        }
    }
}

fn shown(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
