//! What the node does unasked: forgetting what is kept only for a time (IK-13), and looking at what waits.

use sqlx::FromRow;
use store::{Database, Link, StoreError, sql};

use super::SqlOrders;
use crate::store::{Figures, Reaped, Waiting};

/// Only what is over: an unfinished checkout is a person's at worst, never the reaper's (E15).
const OVER: &str = "state NOT IN ('accepted', 'needs_attention')";

pub(super) async fn reap(store: &SqlOrders, limit: u32) -> Result<Reaped, StoreError> {
    let pick = |kept: &str| {
        format!(
            "id IN (SELECT id FROM operations WHERE {kept} IS NOT NULL AND {OVER} AND ended_at_ms <= now_ms() - $1 \
             ORDER BY ended_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED)"
        )
    };
    let wipe = format!("UPDATE operations SET answer = NULL WHERE {}", pick("answer"));
    let forget = format!("UPDATE operations SET request_key = NULL WHERE {}", pick("request_key"));
    let mut tx = store.db.begin().await?;
    let answers = tx.execute(sql(wipe).bind(store.periods.result_ms).bind(limit)).await?;
    let keys = tx.execute(sql(forget).bind(store.periods.key_ms).bind(limit)).await?;
    if runtime::bug("greedy-reaper") {
        reap_greedily(&mut tx, store.periods.result_ms).await?;
    }
    Database::commit(tx).await?;
    Ok(Reaped { answers, keys })
}

/// The seeded bug: by age alone, whatever the state.
async fn reap_greedily(tx: &mut Link, age_ms: i64) -> Result<(), StoreError> {
    let open = "state IN ('accepted', 'needs_attention') AND created_at_ms <= now_ms() - $1";
    for table in ["claimed_ops", "attempts"] {
        let delete = format!("DELETE FROM {table} WHERE operation IN (SELECT id FROM operations WHERE {open})");
        tx.execute(sql(delete).bind(age_ms)).await?;
    }
    tx.execute(sql(format!("DELETE FROM operations WHERE {open}")).bind(age_ms)).await?;
    Ok(())
}

#[derive(FromRow)]
struct Counts {
    now_ms: i64,
    checkouts: i64,
    checkout_ms: Option<i64>,
    events: i64,
    event_ms: Option<i64>,
    mismatches: i64,
    mismatch_ms: Option<i64>,
    outbox: i64,
    outbox_ms: Option<i64>,
}

pub(super) async fn figures(db: &Database) -> Result<Figures, StoreError> {
    let count = |name: &str, name_ms: &str, column: &str, from: &str| {
        format!("(SELECT count(*) FROM {from}) AS {name}, (SELECT min({column}) FROM {from}) AS {name_ms}")
    };
    let select = format!(
        "SELECT now_ms() AS now_ms, {}, {}, {}, {}",
        count("checkouts", "checkout_ms", "attention_since_ms", "operations WHERE state = 'needs_attention'"),
        count("events", "event_ms", "attention_since_ms", "outbox WHERE attention_since_ms IS NOT NULL"),
        count("mismatches", "mismatch_ms", "since_ms", "findings WHERE closed_at_ms IS NULL"),
        count("outbox", "outbox_ms", "created_at_ms", "outbox WHERE attention_since_ms IS NULL"),
    );
    let counts: Counts = db.reader().await?.one(sql(select)).await?;
    let waiting = |depth: i64, since_ms: Option<i64>| Waiting {
        depth: u64::try_from(depth).unwrap_or_default(),
        oldest_age_ms: since_ms.map_or(0, |since_ms| (counts.now_ms - since_ms).max(0)),
    };
    Ok(Figures {
        checkouts: waiting(counts.checkouts, counts.checkout_ms),
        events: waiting(counts.events, counts.event_ms),
        mismatches: waiting(counts.mismatches, counts.mismatch_ms),
        outbox: waiting(counts.outbox, counts.outbox_ms),
    })
}
