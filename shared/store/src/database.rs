//! A relational database, SQLite or PostgreSQL: chosen by URI, used through one set of statements.
//!
//! ```text
//! let mut tx = db.begin().await?;
//! let done = tx.execute(sql("UPDATE t SET state = 'b' WHERE id = $1 AND state = 'a'").bind(id)).await?;
//! Database::commit(tx).await?;
//! ```

use std::{future::Future, time::Duration};

use sqlx::{
    FromRow,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::PgRow,
    sqlite::{Sqlite as SqliteEngine, SqliteRow},
};

use crate::{
    Sqlite, StoreError, StoreUri,
    postgres::{self, PgLink, PostgresServer},
    sql::Sql,
    sqlite::WriteTransaction,
};

/// How often a transaction that met another one is run again before the caller is told.
const CONFLICTS_MAX: u32 = 8;
/// Pause before it is run again; grows with each time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(2);

/// The tables of a family, in each dialect.
#[derive(Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: Migrator,
    /// For PostgreSQL.
    pub postgres: Migrator,
}

/// A database. Clones share its connections.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file on this machine.
    Sqlite(Sqlite),
    /// A server.
    Postgres(PostgresServer),
}

/// A connection in use: a transaction from [`Database::begin`], which is undone when dropped, or a reader.
#[derive(Debug)]
pub struct Link(Inner);

#[derive(Debug)]
enum Inner {
    SqliteWrite(WriteTransaction),
    SqliteRead(PoolConnection<SqliteEngine>),
    Postgres(PgLink),
}

/// What a row becomes: a struct that derives `sqlx::FromRow`, or a tuple.
pub trait Record: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Record for T {}

impl Database {
    /// Opens the database and brings the family's tables up to date. `family` is its schema in PostgreSQL.
    ///
    /// # Errors
    /// When the URI names no relational database, or the database cannot be opened or migrated; the message names it,
    /// without its password.
    pub async fn open(uri: &StoreUri, family: &str, migrations: &Migrations) -> Result<Self, StoreError> {
        match uri {
            StoreUri::Sqlite(path) => Sqlite::open(path, &migrations.sqlite).await.map(Self::Sqlite),
            StoreUri::Postgres(uri) => postgres::open(uri, family, &migrations.postgres).await.map(Self::Postgres),
            // Redis answers before its disk or a replica has a write, and a failover may forget it: never money (MEM-8).
            StoreUri::Redis(_) => Err(StoreError::NotExecuted(
                "a Redis may forget what it acknowledged, and this data must be shared by everything; use \
                 sqlite:///path/to/file.db or postgres://user@host/database"
                    .to_owned(),
            )),
            StoreUri::Memory => Err(StoreError::NotExecuted(
                "memory:// forgets, and this data must be shared by everything; use sqlite:///path/to/file.db or \
                 postgres://user@host/database"
                    .to_owned(),
            )),
        }
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when no connection, or not SQLite's write lock, can be had in time.
    pub async fn begin(&self) -> Result<Link, StoreError> {
        Ok(Link(match self {
            Self::Sqlite(file) => Inner::SqliteWrite(file.begin().await?),
            Self::Postgres(server) => Inner::Postgres(server.begin().await?),
        }))
    }

    /// Runs one statement as a transaction of its own; returns how many rows it touched. PostgreSQL commits it by itself,
    /// which is one exchange instead of three.
    ///
    /// # Errors
    /// Those of [`Database::commit`]: without an answer the change may be there.
    pub async fn alone(&self, sql: Sql) -> Result<u64, StoreError> {
        let Self::Postgres(server) = self else {
            let mut tx = self.begin().await?;
            let touched = tx.execute(sql).await?;
            Self::commit(tx).await?;
            return Ok(touched);
        };
        let mut link = server.link().await?;
        let answer = sql.for_postgres().execute(link.ask()).await.map_err(|error| StoreError::at_commit(&error))?;
        link.answered();
        Ok(answer.rows_affected())
    }

    /// A connection for reads, each statement by itself.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when none can be had in time.
    pub async fn reader(&self) -> Result<Link, StoreError> {
        Ok(Link(match self {
            Self::Sqlite(file) => Inner::SqliteRead(file.reader().acquire().await?),
            Self::Postgres(server) => Inner::Postgres(server.link().await?),
        }))
    }

    /// Commits. The outcome is unknown when the database does not answer (E13).
    ///
    /// # Errors
    /// [`StoreError::Unknown`], or one that says nothing was changed.
    pub async fn commit(link: Link) -> Result<(), StoreError> {
        match link.0 {
            Inner::SqliteWrite(transaction) => Sqlite::commit(transaction).await,
            Inner::Postgres(link) => link.commit().await.map_err(|error| StoreError::at_commit(&error)),
            Inner::SqliteRead(_) => Ok(()),
        }
    }

    /// Runs a whole transaction, again if it met another one: a serialization failure, a deadlock, or a unique row that
    /// both wanted to make. Nothing of the failed one stays, and the next run sees what the other one did.
    ///
    /// # Errors
    /// Those of the transaction; after several meetings [`StoreError::Conflict`], which says nothing was changed.
    pub async fn retrying<T, F>(&self, transaction: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        for met in 1..CONFLICTS_MAX {
            match transaction().await {
                Err(StoreError::Conflict(reason)) => {
                    tracing::debug!(met, reason, "a transaction met another one and is run again");
                    tokio::time::sleep(CONFLICT_PAUSE * met).await;
                }
                done => return done,
            }
        }
        transaction().await
    }
}

impl Link {
    /// Runs a statement; returns how many rows it touched.
    ///
    /// # Errors
    /// [`StoreError`] that says nothing was changed.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64, StoreError> {
        Ok(match &mut self.0 {
            Inner::SqliteWrite(link) => sql.for_sqlite().execute(&mut **link).await?.rows_affected(),
            Inner::SqliteRead(link) => sql.for_sqlite().execute(&mut **link).await?.rows_affected(),
            Inner::Postgres(link) => {
                let answer = sql.for_postgres().execute(link.ask()).await?;
                link.answered();
                answer.rows_affected()
            }
        })
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] that says nothing was changed.
    pub async fn optional<T: Record>(&mut self, sql: Sql) -> Result<Option<T>, StoreError> {
        Ok(match &mut self.0 {
            Inner::SqliteWrite(link) => from(sql.for_sqlite().fetch_optional(&mut **link).await?)?,
            Inner::SqliteRead(link) => from(sql.for_sqlite().fetch_optional(&mut **link).await?)?,
            Inner::Postgres(link) => {
                let answer = sql.for_postgres().fetch_optional(link.ask()).await?;
                link.answered();
                from(answer)?
            }
        })
    }

    /// The one row that there must be.
    ///
    /// # Errors
    /// [`StoreError`] that says nothing was changed.
    pub async fn one<T: Record>(&mut self, sql: Sql) -> Result<T, StoreError> {
        let row = self.optional(sql).await?;
        row.ok_or_else(|| StoreError::NotExecuted("a statement that must give a row gave none".to_owned()))
    }

    /// All rows.
    ///
    /// # Errors
    /// [`StoreError`] that says nothing was changed.
    pub async fn all<T: Record>(&mut self, sql: Sql) -> Result<Vec<T>, StoreError> {
        match &mut self.0 {
            Inner::SqliteWrite(link) => each(&sql.for_sqlite().fetch_all(&mut **link).await?),
            Inner::SqliteRead(link) => each(&sql.for_sqlite().fetch_all(&mut **link).await?),
            Inner::Postgres(link) => {
                let answer = sql.for_postgres().fetch_all(link.ask()).await?;
                link.answered();
                each(&answer)
            }
        }
    }
}

fn from<T, R>(row: Option<R>) -> Result<Option<T>, sqlx::Error>
where
    R: sqlx::Row,
    T: for<'r> FromRow<'r, R>,
{
    row.map(|row| T::from_row(&row)).transpose()
}

fn each<T, R>(rows: &[R]) -> Result<Vec<T>, StoreError>
where
    R: sqlx::Row,
    T: for<'r> FromRow<'r, R>,
{
    Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
}
