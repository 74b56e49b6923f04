//! Connections that are handed on without being tried in between.
//!
//! sqlx's pool asks the server for a sign of life each time a connection comes back, which is one exchange more for each
//! transaction. Here a connection whose last statement was answered goes to the next caller as it is; every other one goes
//! back to sqlx's pool, which undoes, tries or closes it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX, TRUSTED_FOR};
use crate::StoreError;

/// A server's connections. Clones share them.
#[derive(Clone, Debug)]
pub struct PostgresServer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// One for each connection: who holds a turn finds one here, or gets one from the pool at once.
    turns: Arc<Semaphore>,
    free: Mutex<Vec<Free>>,
}

#[derive(Debug)]
struct Free {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct PgLink {
    server: Arc<Inner>,
    /// There until the link is dropped.
    connection: Option<PoolConnection<Postgres>>,
    state: State,
    /// Given back last. There until the link is dropped.
    turn: Option<OwnedSemaphorePermit>,
}

/// What the connection may be used for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Anything: the last statement was answered, and no transaction is open.
    Fresh,
    /// A statement outside a transaction was sent and is not answered, or has failed.
    Asked,
    /// A transaction's statements: BEGIN was sent, answered or not, and COMMIT has not succeeded.
    Open,
}

impl PostgresServer {
    pub(super) fn new(pool: PgPool) -> Self {
        let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        Self(Arc::new(Inner { pool, turns, free: Mutex::default() }))
    }

    /// A connection.
    pub(crate) async fn link(&self) -> Result<PgLink, StoreError> {
        timeout(ACQUIRE_TIMEOUT, self.link_in_turn()).await.unwrap_or_else(|_| Err(in_use(ACQUIRE_TIMEOUT)))
    }

    async fn link_in_turn(&self) -> Result<PgLink, StoreError> {
        let turn = self.0.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| StoreError::NotExecuted("the connections are closed".to_owned()))?;
        let free = || self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(Free { mut connection, since }) = free() {
            // Dropped here, one that is dead goes back to the pool, which closes it.
            if since.elapsed() <= TRUSTED_FOR || connection.ping().await.is_ok() {
                return Ok(self.made(connection, turn));
            }
        }
        let connection = self.0.pool.acquire().await?;
        Ok(self.made(connection, turn))
    }

    /// A connection on which a transaction was begun; it is undone unless [`PgLink::commit`] ends it.
    pub(crate) async fn begin(&self) -> Result<PgLink, StoreError> {
        let mut link = self.link().await?;
        // Before it is sent: a caller that gives up leaves nobody a transaction to work in.
        link.state = State::Open;
        link.connection().execute("BEGIN").await?;
        Ok(link)
    }

    fn made(&self, connection: PoolConnection<Postgres>, turn: OwnedSemaphorePermit) -> PgLink {
        PgLink { server: self.0.clone(), connection: Some(connection), state: State::Fresh, turn: Some(turn) }
    }
}

impl PgLink {
    /// Commits the transaction.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.connection().execute("COMMIT").await?;
        self.state = State::Fresh;
        Ok(())
    }

    /// The connection, to send a statement. Until [`PgLink::answered`] is called nobody else can use it as it is.
    pub(crate) fn ask(&mut self) -> &mut PgConnection {
        if self.state == State::Fresh {
            self.state = State::Asked;
        }
        self.connection()
    }

    /// The statement was answered, to the end and without an error.
    pub(crate) fn answered(&mut self) {
        if self.state == State::Asked {
            self.state = State::Fresh;
        }
    }

    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a link has a connection")
    }
}

impl Drop for PgLink {
    fn drop(&mut self) {
        let (Some(connection), turn) = (self.connection.take(), self.turn.take()) else { return };
        match self.state {
            State::Fresh => self.server.put(connection),
            // The pool tries it.
            State::Asked => drop(connection),
            State::Open => undo(self.server.clone(), connection, turn),
        }
    }
}

impl Inner {
    fn put(&self, connection: PoolConnection<Postgres>) {
        let free = Free { connection, since: Instant::now() };
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(free);
    }
}

/// Ends the transaction on a connection; sqlx does not know of it, so its pool would not.
fn undo(server: Arc<Inner>, mut connection: PoolConnection<Postgres>, turn: Option<OwnedSemaphorePermit>) {
    let undone = async move {
        // After whatever was sent before is answered; the server's time limits bound that.
        match connection.execute("ROLLBACK").await {
            Ok(_) => server.put(connection),
            Err(_) => connection.close_on_drop(),
        }
        drop(turn);
    };
    // Without a runtime the process ends, and the server sees the connection close.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(undone));
    }
}

fn in_use(waited: Duration) -> StoreError {
    StoreError::NotExecuted(format!("all connections to the database were in use for {} ms", waited.as_millis()))
}
