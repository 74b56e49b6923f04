//! PostgreSQL as the shared database: one server for the nodes of all machines. Each family has a schema of its own, so
//! that all of them can use one database and none can reach into another's tables by accident.
//!
//! Transactions run at READ COMMITTED. What must not be decided twice is decided by a unique constraint or by a
//! compare-and-set, not by the isolation level.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{StoreError, uri::PostgresUri};

mod links;

pub(crate) use links::PgLink;
pub use links::PostgresServer;

/// Connections of one node. A statement keeps a PostgreSQL process busy, so more than a few for each core only queue
/// inside the server; eight for each of two nodes of four families stay below its default limit of 100.
const CONNECTIONS_MAX: u32 = 8;
/// How long a request waits for a free connection, or for a new one to be made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was idle for longer is tried before it is used: the server may have been restarted meanwhile. Busy
/// ones are not, since the round trip would cost every transaction a tenth.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
/// What the server ends by itself, so that a node which hangs or is paused holds up nobody for long, in milliseconds.
const LIMITS: [(&str, &str); 3] = [
    // Longer than any statement of ours takes, shorter than callers wait.
    ("statement_timeout", "4000"),
    // A lock is held by a transaction of a few statements; who waits longer waits for a node that is paused.
    ("lock_timeout", "2000"),
    ("idle_in_transaction_session_timeout", "3000"),
];

/// Connects, makes the family's schema if need be and brings its tables up to date.
pub(crate) async fn open(uri: &PostgresUri, schema: &str, migrations: &Migrator) -> Result<PostgresServer, StoreError> {
    let failed = |error: sqlx::Error| StoreError::at_open(uri, &error);
    let options = PgConnectOptions::from_str(uri.with_password()).map_err(failed)?;
    let options = options.application_name(&format!("trestle {schema}")).options([("search_path", schema)]);
    let options = options.options(LIMITS);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(failed)?;
    make_schema(&pool, schema).await.map_err(failed)?;
    // Nodes of a family start together; the migrator takes a lock in the database.
    migrations.run(&pool).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => failed(error),
        error => StoreError::NotExecuted(format!("{uri}: {error}")),
    })?;
    Ok(PostgresServer::new(pool))
}

/// Two nodes that make it at once: one of them sees the other's row in a unique index, and then the schema is there.
async fn make_schema(pool: &PgPool, schema: &str) -> Result<(), sqlx::Error> {
    let make = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    match sqlx::query(make).execute(pool).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(()),
        done => done.map(|_| ()),
    }
}
