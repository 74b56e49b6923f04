//! SQLite as the embedded database: one file in WAL mode, shared by the processes of a family.
//!
//! One connection writes and takes the write lock at BEGIN: a deferred transaction that turns into a write fails at once
//! with "database is locked", whatever the busy timeout. Reads have connections of their own, which WAL lets run beside
//! the writer. `synchronous=FULL` because an acknowledged commit must survive the machine, not just the process.
//!
//! Writers of several processes take turns by an advisory lock on a file beside the database. SQLite itself only sleeps
//! and tries again, up to 100 ms at a time and without order; with the kernel's queue the next writer starts when the
//! one before commits. The lock is for speed alone: SQLite's own lock still keeps writers apart, and the kernel frees
//! ours when its holder dies.

use std::{
    fs::File,
    ops::{Deref, DerefMut},
    path::Path,
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, Sqlite as Engine, SqliteConnection, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;

/// Connections for reads.
const READERS_MAX: u32 = 4;
/// How long a writer waits for another process's write lock. Longer than any write takes, shorter than callers wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a write waits for the file's lock before it goes on without: longer than a few writes take.
const FILE_TURN_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a node waits for another one to bring the tables up to date.
const MIGRATION_TURN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// One database file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    write: SqlitePool,
    read: SqlitePool,
    /// The turn among the tasks of this process; the file's lock is the turn among processes.
    turns: Arc<Semaphore>,
    turn_file: Arc<TurnFile>,
}

/// A write transaction that holds the write lock; dropping it undoes it.
#[derive(Debug)]
pub struct WriteTransaction {
    // Dropped in this order: the rollback is on its way before the next writer is let in.
    transaction: Transaction<'static, Engine>,
    turn: Turn,
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// This process's turn to write, given back when dropped; without the file's lock when another process sat on it.
#[derive(Debug)]
struct Turn {
    file: Option<Locked>,
    _permit: OwnedSemaphorePermit,
}

/// The file whose lock is the turn among processes.
#[derive(Debug)]
struct TurnFile {
    file: File,
    /// Whether a thread of ours is blocked on it; a second one would not come any sooner.
    is_waited_for: AtomicBool,
}

/// The file's lock, given back when dropped.
#[derive(Debug)]
struct Locked(Arc<TurnFile>);

impl Drop for Locked {
    fn drop(&mut self) {
        // A failure would only cost the others SQLite's own waiting; closing the file frees the lock in any case.
        let _ = self.0.file.unlock();
    }
}

impl Sqlite {
    /// Opens the file, makes it if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or migrated; the message names it.
    pub async fn open(path: &Path, migrations: &Migrator) -> Result<Self, StoreError> {
        let failed =
            |error: &dyn std::fmt::Display| StoreError::NotExecuted(format!("sqlite://{}: {error}", path.display()));
        // Nodes of a family start together, and migrations in one file must not race.
        let file = File::create(path.with_extension("lock")).map_err(|error| failed(&error))?;
        let turn_file = Arc::new(TurnFile { file, is_waited_for: AtomicBool::new(false) });
        let turns = Arc::new(Semaphore::new(1));
        let turn = take_turn(&turns, &turn_file, MIGRATION_TURN_TIMEOUT).await?;
        if turn.file.is_none() {
            return Err(failed(&"another node has been migrating it for too long"));
        }
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(|error| failed(&error))?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        // SQLite ends a transaction by itself when the disk is full or fails. sqlx then cannot roll it back, counts it as
        // still open and refuses every later BEGIN on this connection: for ever, as it is the only one. So it is replaced.
        let write = pool().before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
        let write = write.max_connections(1).connect_with(options.clone()).await.map_err(|error| failed(&error))?;
        migrations.run(&write).await.map_err(|error| failed(&error))?;
        let read = pool()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(|error| failed(&error))?;
        drop(turn);
        Ok(Self { write, read, turns, turn_file })
    }

    /// Begins a transaction that holds the write lock from the start.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when the lock cannot be had in time.
    pub async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let turn = take_turn(&self.turns, &self.turn_file, FILE_TURN_TIMEOUT).await?;
        let transaction = self.write.begin_with("BEGIN IMMEDIATE").await?;
        Ok(WriteTransaction { transaction, turn })
    }

    /// Commits. The outcome is unknown when the database does not answer.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] or [`StoreError::Unknown`].
    pub async fn commit(write: WriteTransaction) -> Result<(), StoreError> {
        let WriteTransaction { transaction, turn } = write;
        let committed = transaction.commit().await.map_err(|error| StoreError::at_commit(&error));
        drop(turn);
        committed
    }

    /// Connections for reads; writing through them fails.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.read
    }
}

/// Waits for the turn among tasks, then, not for long, among processes. A process that is paused with the file's lock
/// costs the others that wait once each and one blocked thread, and then only the order: SQLite's own lock decides.
async fn take_turn(turns: &Arc<Semaphore>, file: &Arc<TurnFile>, patience: Duration) -> Result<Turn, StoreError> {
    let busy = || StoreError::NotExecuted(format!("no turn to write within {} ms", ACQUIRE_TIMEOUT.as_millis()));
    let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, turns.clone().acquire_owned()).await.map_err(|_| busy())?;
    let permit = permit.map_err(|_closed| busy())?;
    Ok(Turn { file: lock(file, patience).await, _permit: permit })
}

async fn lock(file: &Arc<TurnFile>, patience: Duration) -> Option<Locked> {
    if file.file.try_lock().is_ok() {
        return Some(Locked(file.clone()));
    }
    if file.is_waited_for.swap(true, Ordering::SeqCst) {
        return None;
    }
    let file = file.clone();
    let wait = tokio::task::spawn_blocking(move || {
        let locked = file.file.lock().is_ok();
        file.is_waited_for.store(false, Ordering::SeqCst);
        locked.then(|| Locked(file))
    });
    tokio::time::timeout(patience, wait).await.ok()?.ok()?
}
