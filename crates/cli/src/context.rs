//! What every command has: the streams, the store and the models.

use std::path::{Path, PathBuf};

use agenttts_core::StudySummary;
use agenttts_core::pipeline::LeftOut;
use agenttts_engine::{LoadOptions, Loaded, Workshop, load_pipeline_with};
use agenttts_store::Store;

use crate::args::{GlobalArgs, WithArgs};
use crate::failure::Failure;
use crate::output::Screen;
use crate::places;

/// What every command has.
pub(crate) struct Context {
    pub(crate) screen: Screen,
    store: PathBuf,
    /// Whether the command line or the environment names the store.
    store_is_named: bool,
    models_dir: Option<PathBuf>,
    allow_weak_sandbox: bool,
}

impl Context {
    pub(crate) fn new(screen: Screen, args: &GlobalArgs) -> Result<Self, Failure> {
        let current = std::env::current_dir().map_err(|e| Failure::Usage {
            message: format!("the current folder cannot be used: {e}"),
            hint: "change to a folder that exists".into(),
        })?;
        Ok(Context {
            screen,
            store_is_named: args.store.is_some(),
            store: places::store(args.store.as_deref(), &current),
            allow_weak_sandbox: args.allow_weak_sandbox,
            models_dir: places::models(args.models_dir.as_deref(), |name| std::env::var_os(name)),
        })
    }

    /// The store, made where it is not there.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.store)?)
    }

    /// The store's file, which must be there.
    pub(crate) fn store_file(&self) -> Result<&Path, Failure> {
        if self.store.exists() { Ok(&self.store) } else { Err(Failure::NoStudy(self.store.clone())) }
    }

    /// Whether somebody named the store.
    pub(crate) fn named_store(&self) -> bool {
        self.store_is_named
    }

    /// The store's file, there or not.
    pub(crate) fn store_path(&self) -> &Path {
        &self.store
    }

    /// The store, if there is one: looking at studies must not make an empty one.
    pub(crate) fn existing_store(&self) -> Result<Option<Store>, Failure> {
        if self.store.exists() { self.store().map(Some) } else { Ok(None) }
    }

    /// The name of a study of the store: the named one, else the newest.
    pub(crate) fn study_or_newest(&self, study: Option<&str>) -> Result<(Store, String), Failure> {
        let nothing = || Failure::NoStudy(self.store.clone());
        let store = self.existing_store()?.ok_or_else(nothing)?;
        let name = match study {
            Some(name) => name.to_owned(),
            None => newest(&store)?.ok_or_else(nothing)?,
        };
        Ok((store, name))
    }

    /// A study of the store: the named one, else the newest.
    pub(crate) fn summary(&self, study: Option<&str>) -> Result<(Store, StudySummary), Failure> {
        let (store, name) = self.study_or_newest(study)?;
        let summary = agenttts_engine::summary(&store, &name)?;
        Ok((store, summary))
    }

    /// A study of the store, by its whole name.
    pub(crate) fn study(&self, study: &str) -> Result<(Store, String), Failure> {
        let store = self.existing_store()?.ok_or_else(|| Failure::NoStudy(self.store.clone()))?;
        let name = store.study(study)?.name;
        Ok((store, name))
    }

    /// The folder of models.
    pub(crate) fn models_dir(&self) -> Result<PathBuf, Failure> {
        self.models_dir.clone().ok_or_else(|| Failure::Usage {
            message: "no folder for models is known: neither AGENTTTS_MODELS nor HOME is set".into(),
            hint: "name one with --models-dir".into(),
        })
    }

    /// A pipeline with what the command line lays over it.
    pub(crate) fn pipeline(&self, path: &Path, with: &WithArgs, workshop: &Workshop) -> Result<Loaded, Failure> {
        let kept = self.store.parent().map(|folder| folder.join("data"));
        let options =
            LoadOptions { path, profile: with.profile.as_deref(), data: with.data.as_deref(), keep: kept.as_deref() };
        let loaded = load_pipeline_with(&options, &*workshop.facts())?;
        if let (Some(left_out), Some(file)) = (loaded.snapshot.left_out, &with.data) {
            let LeftOut { examples, of } = left_out;
            self.screen.warn(&format!(
                "{examples} of the {of} examples of {} cannot be used and are left out",
                file.display()
            ));
            self.screen.hint("`agenttts data inspect` says why");
        }
        Ok(loaded)
    }

    /// Where models come from.
    pub(crate) fn workshop(&self) -> Result<Workshop, Failure> {
        Ok(self.workshop_of(self.models_dir()?))
    }

    /// The same, with embedded models from a folder.
    pub(crate) fn workshop_of(&self, models_dir: PathBuf) -> Workshop {
        Workshop::new(models_dir).allow_weak_sandbox(self.allow_weak_sandbox)
    }
}

fn newest(store: &Store) -> Result<Option<String>, Failure> {
    let studies = store.heads()?;
    Ok(studies.into_iter().max_by_key(|s| s.started_ms).map(|s| s.name))
}
