//! The database layer on a real PostgreSQL: transactions that meet, restarts of the server, and a COMMIT whose answer is
//! lost (E13).
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

use std::{sync::Arc, time::Duration};

use store::{Database, Migrations, StoreError, StoreUri, sql};
use testkit::postgres::{CommitProxy, End, Postgres};
use tokio::task::JoinSet;

static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("tests/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/migrations/postgres"),
};

async fn open(uri: &str) -> Database {
    let uri: StoreUri = uri.parse().unwrap();
    Database::open(&uri, "test", &MIGRATIONS).await.unwrap()
}

async fn value(db: &Database) -> i64 {
    let row: (i64,) = db.reader().await.unwrap().one(sql("SELECT value FROM counters")).await.unwrap();
    row.0
}

/// Reads before it writes, so two that run at once must meet.
async fn count_up(db: &Database, lock: &'static str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    let (value,): (i64,) = tx.one(sql(lock)).await?;
    tx.execute(sql("UPDATE counters SET value = $1").bind(value + 1)).await?;
    Database::commit(tx).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_read_for_update_are_counted_once_each() {
    let server = Postgres::fast();
    let uri = server.uri();
    let (one, two) = tokio::join!(open(&uri), open(&uri));
    let mut writers = JoinSet::new();
    for number in 0..200 {
        let db = if number % 2 == 0 { one.clone() } else { two.clone() };
        writers.spawn(async move { count_up(&db, "SELECT value FROM counters FOR UPDATE").await.unwrap() });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!((value(&one).await, value(&two).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_meet_are_run_again() {
    let server = Postgres::fast();
    let db = open(&server.uri()).await;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let db = db.clone();
        writers.spawn(async move {
            for _ in 0..5 {
                let serializable = async || {
                    let mut tx = db.begin().await?;
                    tx.execute(sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")).await?;
                    let (value,): (i64,) = tx.one(sql("SELECT value FROM counters")).await?;
                    tx.execute(sql("UPDATE counters SET value = $1").bind(value + 1)).await?;
                    Database::commit(tx).await
                };
                // Bounded in the layer; a test may insist.
                while let Err(error) = db.retrying(|| Box::pin(serializable())).await {
                    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(value(&db).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_row_that_two_want_to_make_is_a_meeting() {
    let server = Postgres::fast();
    let db = open(&server.uri()).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(sql("CREATE TABLE claims (name TEXT PRIMARY KEY)")).await.unwrap();
    tx.execute(sql("INSERT INTO claims VALUES ('a')")).await.unwrap();
    Database::commit(tx).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let error = tx.execute(sql("INSERT INTO claims VALUES ('a')")).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_works_again_after_the_server_was_restarted() {
    let server = Arc::new(Postgres::start());
    let db = open(&server.uri()).await;
    for end in [End::Crash, End::Fast] {
        let before = value(&db).await;
        count_up(&db, "SELECT value FROM counters FOR UPDATE").await.unwrap();
        let restarted = server.clone();
        tokio::task::spawn_blocking(move || restarted.restart(end)).await.unwrap();
        // Whatever is idle in the pool is broken now; at most one call for each connection may notice it the hard way.
        let mut failures = 0;
        while count_up(&db, "SELECT value FROM counters FOR UPDATE").await.is_err() {
            failures += 1;
            assert!(failures < 8, "the pool does not recover");
        }
        assert_eq!(value(&db).await, before + 2);
    }
}

/// Callers hang up at any moment. What they leave is a connection like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_begin_that_nobody_waits_for_leaves_no_transaction() {
    let server = Postgres::fast();
    let (db, other) = (open(&server.uri()).await, open(&server.uri()).await);
    let mut given_up = 0;
    // The shortest come last: a transaction that began in time would end what an earlier one has left.
    for micros in (0..200).rev() {
        given_up += i32::from(tokio::time::timeout(Duration::from_micros(micros * 5), db.begin()).await.is_err());
    }
    assert!(given_up > 0, "no call was given up");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    let mut left = i64::MAX;
    // Less than the time after which the server itself ends what is idle.
    for _ in 0..100 {
        (left,) = other.reader().await.unwrap().one(sql(open)).await.unwrap();
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left, 0, "of {given_up} that were given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unknown_and_may_have_happened() {
    let server = Postgres::fast();
    let direct = open(&server.uri()).await;
    let proxy = CommitProxy::to(&server);
    let db = open(proxy.uri()).await;
    proxy.lose_next();
    let error = count_up(&db, "SELECT value FROM counters FOR UPDATE").await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
    // The server got the COMMIT, so this one has happened.
    tokio::time::timeout(Duration::from_secs(5), async {
        while value(&direct).await != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // And the next one through the same pool is all right.
    count_up(&db, "SELECT value FROM counters FOR UPDATE").await.unwrap();
    assert_eq!(value(&direct).await, 2);
}

/// A statement that commits itself: without its answer nobody knows whether it did.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_statement_without_an_answer_is_unknown() {
    let server = Postgres::fast();
    let proxy = CommitProxy::to(&server);
    let db = open(proxy.uri()).await;
    let count = || sql("UPDATE counters SET value = value + 1");
    assert_eq!(db.alone(count()).await.unwrap(), 1);
    proxy.lose_next();
    let error = db.alone(count()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
    assert_eq!(db.alone(count()).await.unwrap(), 1);
    let refused = db.alone(sql("UPDATE counters SET value = 1 / (value - value)")).await.unwrap_err();
    assert!(!matches!(refused, StoreError::Conflict(_)), "{refused}");
    assert_eq!(value(&open(&server.uri()).await).await, 3);
}

/// What is dropped without a commit is undone, and its connection is good for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_undone_and_its_connection_goes_on() {
    let server = Postgres::fast();
    let db = open(&server.uri()).await;
    let mut backends = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut tx = db.begin().await.unwrap();
        tx.execute(sql("UPDATE counters SET value = value + 1")).await.unwrap();
        let (backend,): (i32,) = tx.one(sql("SELECT pg_backend_pid()")).await.unwrap();
        backends.insert(backend);
        drop(tx);
        assert_eq!(value(&db).await, 0);
    }
    assert!(backends.len() <= 8, "{backends:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_uri_is_said_without_its_password() {
    let uri: StoreUri = "postgres://shop:s3cret@127.0.0.1:1/shop".parse().unwrap();
    let error = Database::open(&uri, "test", &MIGRATIONS).await.unwrap_err().to_string();
    assert!(error.contains("postgres://shop:***@127.0.0.1:1/shop") && !error.contains("s3cret"), "{error}");
}
