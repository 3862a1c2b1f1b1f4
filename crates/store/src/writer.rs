//! The one writer: a thread that owns the writing connection and commits many operations together.
//!
//! Each operation runs in a savepoint of its own, so one that fails takes nothing with it, and each caller hears only
//! after the commit. SQLite syncs once per commit, so grouping is what makes synchronous=FULL fast.

use std::sync::mpsc::{self, Receiver, Sender};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::error::{StoreError, StoreErrorKind};

/// Operations that are committed together at the most.
const GROUP: usize = 1_000;

/// Tells a caller how its operation ended, once the commit's result is known.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// An operation: runs on the transaction, or hears why there is none.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Reply + Send>;

/// Sends operations to the writer thread; the thread ends when all senders are gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: Sender<Job>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new().name("store-writer".into()).spawn(move || run(connection, &inbox))?;
        Ok(Writer { jobs })
    }

    /// Runs an operation within the next commit and returns its result once that is durable.
    pub(crate) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|c| in_savepoint(c, operation));
            Box::new(move |committed| {
                // Nobody may be waiting any more: the write stands all the same.
                let _ = reply.send(committed.and(result));
            })
        });
        let gone = || StoreError::new(StoreErrorKind::Other, "the store's writer has stopped");
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn run(mut connection: Connection, inbox: &Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match inbox.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let (replies, committed): (Vec<Reply>, _) =
            match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
                Ok(transaction) => {
                    let replies = group.into_iter().map(|job| job(Ok(&transaction))).collect();
                    (replies, transaction.commit().map_err(StoreError::from))
                }
                Err(error) => {
                    let error = StoreError::from(error);
                    (group.into_iter().map(|job| job(Err(error.clone()))).collect(), Err(error))
                }
            };
        for reply in replies {
            reply(committed.clone());
        }
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("SAVEPOINT op")?;
    let result = operation(connection);
    let end = if result.is_ok() { "RELEASE op" } else { "ROLLBACK TO op; RELEASE op" };
    connection.execute_batch(end)?;
    result
}
