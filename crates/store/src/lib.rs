//! The store: samples, ledger and studies in one SQLite file.
//!
//! The only crate that knows SQL. One writer thread commits groups of operations (WAL, synchronous=FULL); what was
//! acknowledged survives a crash and a power cut. Failed calls are never stored as samples, and a stored sample is never
//! overwritten. There is no clock here: times are passed in.
//!
//! [`Store`] is what programs open; [`Study`] is the right of one process to run one study, and carries its ledger.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agenttts_core::{Archive, ExampleDigests, Exchange, Guideline, Request, RequestKey, StudyState, Trial, UnderWay};
use rusqlite::{Connection, OpenFlags};

pub mod care;
mod error;
mod ledger;
mod lock;
mod look;
mod samples;
mod schema;
mod seal;
mod studies;
mod texts;
mod writer;

pub use error::{StoreError, StoreErrorKind};
pub use ledger::{Amounts, LimitedUnit, Limits, Purpose, Reservation, Settlement, SpendTotals};
pub use look::{DrawnSample, StoredEvent, StudyGlance};
pub use samples::{NewSample, Sample, SampleHome, Taking};
pub use schema::SCHEMA_VERSION;
pub use seal::{NewTest, Opened, OpenedTest};
pub use studies::{ExampleOutcome, ItemOutcome, NewStudy, StageOutcome, StepOutcome, StudyHead, StudyRow};

use lock::StudyLock;
use writer::Writer;

/// An open store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    path: Arc<PathBuf>,
    /// The file itself where `path` is a link to it: every process must lock a study in the same place.
    file: Arc<PathBuf>,
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the store in a file, making it where it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// A file of another program, a newer schema, a damaged or unwritable file, a full disk.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let at = |e: StoreError| e.at(path);
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| at(e.into()))?;
        }
        schema::check_header(path).map_err(at)?;
        let mut connection = Connection::open(path).map_err(|e| at(e.into()))?;
        schema::configure(&connection).map_err(at)?;
        schema::prepare(&mut connection).map_err(at)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(|e| at(e.into()))?;
        schema::configure(&reader).map_err(at)?;
        let writer = Writer::start(connection).map_err(at)?;
        let file = std::fs::canonicalize(path).map_err(|e| at(e.into()))?;
        Ok(Store {
            path: Arc::new(path.to_owned()),
            file: Arc::new(file),
            writer,
            reader: Arc::new(Mutex::new(reader)),
        })
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stored samples of a request in a stream with an index below `n`, in order of index; there may be gaps.
    pub fn samples(&self, key: &RequestKey, stream: u64, n: u32) -> Result<Vec<Sample>, StoreError> {
        samples::read(&self.read(), key, stream, n).map_err(|e| e.at(&self.path))
    }

    /// How many samples of a request a stream holds.
    pub fn sample_count(&self, key: &RequestKey, stream: u64) -> Result<u32, StoreError> {
        samples::count(&self.read(), key, stream).map_err(|e| e.at(&self.path))
    }

    /// How many samples of a request a stream holds that were stored before the one with this id.
    pub fn sample_count_before(&self, key: &RequestKey, stream: u64, id: i64) -> Result<u32, StoreError> {
        samples::count_before(&self.read(), key, stream, id).map_err(|e| e.at(&self.path))
    }

    /// The requests of which a stream holds samples, in no order. Looks through the whole bank.
    pub fn requests_in(&self, stream: u64) -> Result<Vec<(RequestKey, Request)>, StoreError> {
        samples::requests_in(&self.read(), stream).map_err(|e| e.at(&self.path))
    }

    /// What drawing these samples took, in the order of their ids; ids that are not there are left out.
    pub fn takings(&self, ids: &[i64]) -> Result<Vec<Taking>, StoreError> {
        samples::takings(&self.read(), ids).map_err(|e| e.at(&self.path))
    }

    /// All studies, oldest first.
    pub fn studies(&self) -> Result<Vec<StudyRow>, StoreError> {
        studies::list(&self.read()).map_err(|e| e.at(&self.path))
    }

    /// All studies without their data, oldest first.
    pub fn heads(&self) -> Result<Vec<StudyHead>, StoreError> {
        studies::heads(&self.read()).map_err(|e| e.at(&self.path))
    }

    /// The study of that name, or the only one whose name begins so.
    pub fn study(&self, name: &str) -> Result<StudyRow, StoreError> {
        studies::find(&self.read(), name).map_err(|e| e.at(&self.path))
    }

    /// A study's archive.
    pub fn archive(&self, study: i64) -> Result<Archive, StoreError> {
        studies::archive(&self.read(), study).map_err(|e| e.at(&self.path))
    }

    /// The trials of a study's archive, without the exchanges with its agent.
    pub fn trials(&self, study: i64) -> Result<Vec<Trial>, StoreError> {
        studies::trials(&self.read(), study).map_err(|e| e.at(&self.path))
    }

    /// What a trial did with each example, by example id.
    pub fn outcomes(&self, study: i64, trial: u32) -> Result<Vec<ExampleOutcome>, StoreError> {
        studies::outcomes(&self.read(), study, trial).map_err(|e| e.at(&self.path))
    }

    /// A study's events after a sequence number: number, milliseconds since 1970, JSON.
    pub fn events(&self, study: i64, after: i64) -> Result<Vec<(i64, i64, String)>, StoreError> {
        studies::events(&self.read(), study, after).map_err(|e| e.at(&self.path))
    }

    /// What a study spent so far. Reservations of a process that runs it now are not in it.
    pub fn spend(&self, study: i64) -> Result<SpendTotals, StoreError> {
        ledger::totals(&self.read(), study).map_err(|e| e.at(&self.path))
    }

    /// The final tests of a study, oldest first.
    pub fn tests(&self, study: i64) -> Result<Vec<OpenedTest>, StoreError> {
        seal::of_study(&self.read(), study).map_err(|e| e.at(&self.path))
    }

    /// Which of these examples final tests had opened before the test of this number; by all tests where there is none.
    pub fn opened(&self, examples: &[ExampleDigests], before: Option<i64>) -> Result<Opened, StoreError> {
        seal::opened(&self.read(), examples, before).map_err(|e| e.at(&self.path))
    }

    /// Begins a study and takes the right to run it.
    pub async fn create_study(&self, new: NewStudy) -> Result<Study, StoreError> {
        let (id, name) = self.write(move |c| studies::create(c, &new)).await?;
        self.hold(id, name).await
    }

    /// Takes the right to run a study that is there. What a dead process left reserved counts as spent.
    ///
    /// # Errors
    /// [`StoreErrorKind::StudyLocked`] while another process runs it.
    pub async fn open_study(&self, name: &str) -> Result<Study, StoreError> {
        let row = self.study(name)?;
        self.hold(row.id, row.name).await
    }

    async fn hold(&self, id: i64, name: String) -> Result<Study, StoreError> {
        let lock = lock::lock_study(&self.file, &name)?;
        self.write(move |c| ledger::mark_lost(c, id)).await?;
        let spent = self.spend(id)?.amounts;
        let book = Mutex::new(Book { spent, open: Amounts::default() });
        Ok(Study { store: self.clone(), id, name, book, lock })
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        // A reader has no state that a panic elsewhere could leave half-changed.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(operation).await.map_err(|e| e.at(&self.path))
    }
}

/// The right of this process to run one study. Dropped or dead, the study is free again.
#[derive(Debug)]
pub struct Study {
    store: Store,
    id: i64,
    name: String,
    // One process runs a study at a time, so its sums may live here; the rows are the truth that survives.
    book: Mutex<Book>,
    lock: StudyLock,
}

#[derive(Debug)]
struct Book {
    spent: Amounts,
    open: Amounts,
}

/// A reservation that would pass a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The limit's unit.
    pub unit: LimitedUnit,
    /// What is spent and reserved already.
    pub used: Amounts,
}

impl Study {
    /// Its id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether [`Store::ask_to_stop`] was called for it, by this process or another, since it was opened.
    pub fn is_asked_to_stop(&self) -> bool {
        self.lock.is_asked_to_stop()
    }

    /// Tells whoever looks at the study how far it is, at most twice a second, or that nothing is under way; see
    /// [`Store::under_way`].
    pub fn note(&self, under_way: Option<UnderWay>) {
        self.lock.note(under_way);
    }

    /// Tells what was noted sooner after another note than is written at once; to be called every now and then.
    pub fn renew_note(&self) {
        self.lock.renew();
    }

    /// What is settled or lost so far.
    pub fn spent(&self) -> Amounts {
        self.book().spent
    }

    /// Reserves an upper bound of what a call may take, durably, before the call. Refused if what is spent, what is
    /// reserved and this together would pass a limit.
    pub async fn reserve(
        &self,
        purpose: Purpose,
        amounts: Amounts,
        limits: &Limits,
    ) -> Result<Result<Reservation, Refused>, StoreError> {
        {
            let mut book = self.book();
            let used = book.spent.plus(book.open);
            if let Some(unit) = limits.passed_by(&used.plus(amounts)) {
                return Ok(Err(Refused { unit, used }));
            }
            book.open = book.open.plus(amounts);
        }
        let study = self.id;
        match self.store.write(move |c| ledger::open(c, study, &purpose, &amounts)).await {
            Ok(id) => Ok(Ok(Reservation { id, amounts })),
            Err(error) => {
                let mut book = self.book();
                book.open = book.open.minus(amounts);
                Err(error)
            }
        }
    }

    /// Reserves more for a call that goes on, durably, as [`reserve`](Study::reserve) does for one that begins.
    pub async fn grow(
        &self,
        reservation: &mut Reservation,
        by: Amounts,
        limits: &Limits,
    ) -> Result<Result<(), Refused>, StoreError> {
        {
            let mut book = self.book();
            let used = book.spent.plus(book.open);
            if let Some(unit) = limits.passed_by(&used.plus(by)) {
                return Ok(Err(Refused { unit, used }));
            }
            book.open = book.open.plus(by);
        }
        let (id, amounts) = (reservation.id, reservation.amounts.plus(by));
        match self.store.write(move |c| ledger::grow(c, id, &amounts)).await {
            Ok(()) => {
                reservation.amounts = amounts;
                Ok(Ok(()))
            }
            Err(error) => {
                let mut book = self.book();
                book.open = book.open.minus(by);
                Err(error)
            }
        }
    }

    /// Gives back a part of a reservation that will not be used. Should the process die, all of what was reserved at most
    /// counts.
    pub fn give_back(&self, reservation: &mut Reservation, amounts: Amounts) {
        let mut book = self.book();
        book.open = book.open.minus(amounts);
        reservation.amounts = reservation.amounts.minus(amounts);
    }

    /// Counts all open reservations as spent in full: their calls were given up.
    pub async fn lose_open(&self) -> Result<(), StoreError> {
        let study = self.id;
        self.store.write(move |c| ledger::mark_lost(c, study)).await?;
        let spent = self.store.spend(study)?.amounts;
        *self.book() = Book { spent, open: Amounts::default() };
        Ok(())
    }

    /// Replaces a reservation by what the call really took, and stores its samples, in one transaction. Returns the
    /// samples' ids.
    ///
    /// # Errors
    /// [`StoreErrorKind::SampleTaken`] when another study stored one of the samples meanwhile: none of these is stored
    /// and the first stays, but the call is settled all the same, for it was paid.
    pub async fn settle(
        &self,
        reservation: Reservation,
        settlement: Settlement,
        samples: Option<(SampleHome, Vec<NewSample>)>,
    ) -> Result<Vec<i64>, StoreError> {
        let Reservation { id, amounts } = reservation;
        let actual = settlement.amounts;
        let stored = self
            .store
            .write(move |c| {
                let stored = match &samples {
                    Some((home, new)) => match writer::in_savepoint(c, |c| samples::insert(c, home, new)) {
                        Err(error) if error.kind != StoreErrorKind::SampleTaken => return Err(error),
                        stored => stored,
                    },
                    None => Ok(Vec::new()),
                };
                ledger::settle(c, id, &settlement, stored.as_ref().map_or(0, Vec::len))?;
                Ok(stored)
            })
            .await?;
        let mut book = self.book();
        book.open = book.open.minus(amounts);
        book.spent = book.spent.plus(actual);
        stored.map_err(|e| e.at(&self.store.path))
    }

    /// Adds a trial, or replaces it by its next state, together with what it did with each example.
    pub async fn put_trial(&self, trial: Trial, outcomes: Vec<ExampleOutcome>) -> Result<(), StoreError> {
        let study = self.id;
        self.store
            .write(move |c| {
                studies::put_trial(c, study, &trial)?;
                studies::put_outcomes(c, study, trial.number, &outcomes)
            })
            .await
    }

    /// Makes trials pending again: what they did is forgotten, what they drew is kept.
    pub async fn reopen_trials(&self, trials: Vec<Trial>) -> Result<(), StoreError> {
        let study = self.id;
        self.store
            .write(move |c| {
                trials.iter().try_for_each(|trial| {
                    studies::put_trial(c, study, trial)?;
                    studies::drop_outcomes(c, study, trial.number)
                })
            })
            .await
    }

    /// Adds the guidelines and the trials of one round, all or none.
    pub async fn append_round(&self, guidelines: Vec<Guideline>, trials: Vec<Trial>) -> Result<(), StoreError> {
        let study = self.id;
        self.store
            .write(move |c| {
                guidelines.iter().try_for_each(|g| studies::append_guideline(c, study, g))?;
                trials.iter().try_for_each(|t| studies::put_trial(c, study, t))
            })
            .await
    }

    /// Adds an exchange with the agent.
    pub async fn append_exchange(&self, exchange: Exchange) -> Result<(), StoreError> {
        let study = self.id;
        self.store.write(move |c| studies::append_exchange(c, study, &exchange)).await
    }

    /// Adds an event, at milliseconds since 1970.
    pub async fn append_event(&self, ms: i64, event: String) -> Result<(), StoreError> {
        let study = self.id;
        self.store.write(move |c| studies::append_event(c, study, ms, &event)).await
    }

    /// Notes for ever that the study's final test opens its examples. The same test of the same plan, begun again, is no
    /// other opening.
    pub async fn open_test(&self, test: NewTest) -> Result<(), StoreError> {
        let study = self.id;
        self.store.write(move |c| seal::open(c, study, &test)).await
    }

    /// Says where the study stands.
    pub async fn set_state(&self, state: StudyState, reason: Option<String>) -> Result<(), StoreError> {
        let study = self.id;
        self.store.write(move |c| studies::set_state(c, study, state, reason.as_deref())).await
    }

    /// Sets the wall-clock milliseconds over all sessions.
    pub async fn set_elapsed(&self, ms: i64) -> Result<(), StoreError> {
        let study = self.id;
        self.store
            .write(move |c| {
                c.execute("UPDATE studies SET elapsed_ms = ?2 WHERE id = ?1", [study, ms])?;
                Ok(())
            })
            .await
    }

    /// Replaces the settings, as when a study is resumed with a larger budget.
    pub async fn set_settings(&self, settings: String) -> Result<(), StoreError> {
        self.set_text("settings", settings).await
    }

    /// Sets the result.
    pub async fn set_result(&self, result: String) -> Result<(), StoreError> {
        self.set_text("result", result).await
    }

    async fn set_text(&self, column: &'static str, text: String) -> Result<(), StoreError> {
        let study = self.id;
        self.store
            .write(move |c| {
                c.execute(&format!("UPDATE studies SET {column} = ?2 WHERE id = ?1"), rusqlite::params![study, text])?;
                Ok(())
            })
            .await
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Sums are changed by single assignments.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
