//! The one writer: a thread that owns the writing connection and commits many operations together.
//!
//! Each operation runs in a savepoint of its own, so one that fails takes nothing with it, and each caller hears only
//! after the commit. SQLite syncs once per commit, so grouping is what makes synchronous=FULL fast. A full disk makes
//! SQLite roll the whole group back; its operations are then committed one by one, and only those that still fail do.

use std::sync::mpsc::{self, Receiver, Sender};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::error::{StoreError, StoreErrorKind};

/// Operations that are committed together at the most.
const GROUP: usize = 1_000;

/// An operation with the caller that waits for it.
trait Job: Send {
    /// Runs the operation and keeps its result; may be called again after a rollback.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;

    /// Tells the caller how it ended, once the commit's result is known.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Operation<T, F> {
    operation: F,
    result: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.result = Some(in_savepoint(connection, &mut self.operation)?);
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>) {
        let never_run = || StoreError::new(StoreErrorKind::Other, "the operation was not run");
        let Operation { result, caller, .. } = *self;
        // Nobody may be waiting any more: the write stands all the same.
        let _ = caller.send(committed.and_then(|()| result.ok_or_else(never_run)));
    }
}

/// Sends operations to the writer thread; the thread ends when all senders are gone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: Sender<Box<dyn Job>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new().name("store-writer".into()).spawn(move || run(connection, &inbox))?;
        Ok(Writer { jobs })
    }

    /// Runs an operation within the next commit and returns its result once that is durable.
    ///
    /// The operation runs again when the group that it was in had to be rolled back.
    pub(crate) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let gone = || StoreError::new(StoreErrorKind::Other, "the store's writer has stopped");
        self.jobs.send(Box::new(Operation { operation, result: None, caller })).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn run(mut connection: Connection, inbox: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match inbox.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        match commit(&mut connection, &mut group) {
            Ok(results) => group.into_iter().zip(results).for_each(|(job, result)| job.reply(result)),
            // A busy store made the whole group wait already.
            Err(error) if group.len() > 1 && error.kind != StoreErrorKind::Busy => {
                for job in group {
                    let mut single = [job];
                    let result = commit(&mut connection, &mut single);
                    let [job] = single;
                    job.reply(result.and_then(|results| results.into_iter().collect()));
                }
            }
            Err(error) => group.into_iter().for_each(|job| job.reply(Err(error.clone()))),
        }
    }
}

/// Runs operations in one transaction: the result of each, or the error that left nothing of any of them.
fn commit(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(group.len());
    for job in group {
        let result = job.run(&transaction);
        // SQLite has rolled back by itself: what ran before is gone, and what ran now would commit on its own.
        if transaction.is_autocommit() {
            let unknown = || StoreError::new(StoreErrorKind::Other, "the transaction was rolled back");
            return Err(result.err().unwrap_or_else(unknown));
        }
        results.push(result);
    }
    transaction.commit()?;
    Ok(results)
}

/// Runs an operation of which nothing stays if it fails.
pub(crate) fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("SAVEPOINT op")?;
    let result = operation(connection);
    if result.is_ok() {
        connection.execute_batch("RELEASE op")?;
    } else if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO op; RELEASE op")?;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier};

    /// A file that may grow to 100 pages, written to by one group of operations, a few of which are too large.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_operation_that_fills_the_disk_takes_none_of_its_group_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("full.db")).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (i INTEGER PRIMARY KEY, x TEXT)").unwrap();
        connection.query_row("PRAGMA max_page_count = 100", [], |_| Ok(())).unwrap();
        let writer = Writer::start(connection).unwrap();

        // The writer waits at the gate while the group gathers behind it.
        let gate = Arc::new(Barrier::new(2));
        let (mut held, waiting) = (Some(gate.clone()), writer.clone());
        let first = tokio::spawn(async move {
            waiting
                .run(move |_| {
                    // Only the first time: it runs again with its group.
                    if let Some(gate) = held.take() {
                        gate.wait();
                    }
                    Ok(())
                })
                .await
        });
        let mut calls = Vec::new();
        for i in 0..60i64 {
            let writer = writer.clone();
            let text = "x".repeat(if i % 7 == 6 { 500_000 } else { 1_000 });
            calls.push(tokio::spawn(async move {
                let insert = move |c: &Connection| {
                    c.execute("INSERT INTO t VALUES (?1, ?2)", rusqlite::params![i, text])?;
                    Ok(())
                };
                writer.run(insert).await
            }));
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
        first.await.unwrap().unwrap();
        let mut acknowledged = Vec::new();
        for (i, call) in (0..).zip(calls) {
            match call.await.unwrap() {
                Ok(()) => acknowledged.push(i),
                Err(error) => assert_eq!(error.kind, StoreErrorKind::DiskFull, "{error}"),
            }
        }

        let small: Vec<i64> = (0..60).filter(|i| i % 7 != 6).collect();
        assert_eq!(acknowledged, small);
        let reader = Connection::open(folder.path().join("full.db")).unwrap();
        let mut rows = reader.prepare("SELECT i FROM t ORDER BY i").unwrap();
        let stored: Vec<i64> = rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(stored, acknowledged, "what is stored is what was acknowledged");
    }
}
