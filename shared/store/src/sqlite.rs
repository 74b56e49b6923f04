//! SQLite as the embedded database: one file in WAL mode, shared by the processes of a family.
//!
//! One connection writes and takes the write lock at BEGIN: a deferred transaction that turns into a write fails at once
//! with "database is locked", whatever the busy timeout. Reads have connections of their own, which WAL lets run beside
//! the writer. `synchronous=FULL` because an acknowledged commit must survive the machine, not just the process.

use std::{fs::File, path::Path, str::FromStr as _, time::Duration};

use sqlx::{
    Sqlite as Engine, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::StoreError;

/// Unix milliseconds by the database's clock, as an SQL expression (SEM-7).
pub const NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// Connections for reads.
const READERS_MAX: u32 = 4;
/// How long a writer waits for another process's write lock. Longer than any write takes, shorter than callers wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// One database file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    write: SqlitePool,
    read: SqlitePool,
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
        let lock = File::create(path.with_extension("lock")).map_err(|error| failed(&error))?;
        let lock =
            tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.map_err(|error| failed(&error))?;
        let lock = lock.map_err(|error| failed(&error))?;
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(|error| failed(&error))?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        let write = pool().max_connections(1).connect_with(options.clone()).await.map_err(|error| failed(&error))?;
        migrations.run(&write).await.map_err(|error| failed(&error))?;
        let read = pool()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(|error| failed(&error))?;
        drop(lock);
        Ok(Self { write, read })
    }

    /// Begins a transaction that holds the write lock from the start.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when the lock cannot be had in time.
    pub async fn begin(&self) -> Result<Transaction<'static, Engine>, StoreError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Commits. The outcome is unknown when the database does not answer.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] or [`StoreError::Unknown`].
    pub async fn commit(transaction: Transaction<'static, Engine>) -> Result<(), StoreError> {
        transaction.commit().await.map_err(|error| StoreError::at_commit(&error))
    }

    /// Connections for reads; writing through them fails.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.read
    }
}
