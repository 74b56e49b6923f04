//! Writers of two nodes on one file: nobody is refused, nothing is lost, and what was dropped was undone.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use store::Sqlite;
use tokio::task::JoinSet;

async fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, &sqlx::migrate!("tests/migrations/sqlite")).await.unwrap()
}

/// Reads before it writes: without the write lock from the start, two would read the same value.
async fn count_up(db: Sqlite) {
    let mut tx = db.begin().await.unwrap();
    let (value,): (i64,) = sqlx::query_as("SELECT value FROM counters").fetch_one(&mut *tx).await.unwrap();
    sqlx::query("UPDATE counters SET value = $1").bind(value + 1).execute(&mut *tx).await.unwrap();
    Sqlite::commit(tx).await.unwrap();
}

async fn value(db: &Sqlite) -> i64 {
    let (value,): (i64,) = sqlx::query_as("SELECT value FROM counters").fetch_one(db.reader()).await.unwrap();
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_two_nodes_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (one, two) = tokio::join!(open(&path), open(&path));
    let mut writers = JoinSet::new();
    for number in 0..200 {
        writers.spawn(count_up(if number % 2 == 0 { one.clone() } else { two.clone() }));
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!((value(&one).await, value(&two).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_undone_and_lets_the_next_one_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (one, two) = (open(&path).await, open(&path).await);
    let mut tx = one.begin().await.unwrap();
    sqlx::query("UPDATE counters SET value = 1000").execute(&mut *tx).await.unwrap();
    drop(tx);
    count_up(two.clone()).await;
    count_up(one).await;
    assert_eq!(value(&two).await, 2);
}

#[tokio::test]
async fn readers_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("test.db")).await;
    assert!(sqlx::query("UPDATE counters SET value = 1").execute(db.reader()).await.is_err());
}

/// SQLite ends a transaction by itself when the disk is full; the only connection that writes must not be lost to it.
#[tokio::test]
async fn a_node_writes_again_once_a_full_disk_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("test.db")).await;
    let mut tx = db.begin().await.unwrap();
    sqlx::query("CREATE TABLE papers (bytes BLOB)").execute(&mut *tx).await.unwrap();
    sqlx::query("PRAGMA max_page_count = 10").execute(&mut *tx).await.unwrap();
    Sqlite::commit(tx).await.unwrap();

    let mut tx = db.begin().await.unwrap();
    let full = sqlx::query("INSERT INTO papers VALUES (zeroblob(1000000))").execute(&mut *tx).await.unwrap_err();
    assert_eq!(full.as_database_error().unwrap().code().as_deref(), Some("13"), "{full}");
    drop(tx);

    let mut tx = db.begin().await.expect("the connection can begin again");
    sqlx::query("PRAGMA max_page_count = 100000").execute(&mut *tx).await.unwrap();
    sqlx::query("INSERT INTO papers VALUES (zeroblob(1000000))").execute(&mut *tx).await.unwrap();
    Sqlite::commit(tx).await.unwrap();
}

/// Another process holds the turn and is paused: the others go on without it, since SQLite's own lock is free.
#[tokio::test]
async fn a_paused_holder_of_the_turn_costs_order_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let db = open(&path).await;
    let paused = std::fs::File::open(path.with_extension("lock")).unwrap();
    paused.lock().unwrap();
    for _ in 0..3 {
        count_up(db.clone()).await;
    }
    assert_eq!(value(&db).await, 3);
    paused.unlock().unwrap();
    count_up(db).await;
}
