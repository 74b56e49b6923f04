//! Claiming a key: of any number of first requests exactly one wins (IK-6), and it wins the cart's lines too (IK-15).

use std::collections::BTreeSet;

use contract::{
    Once, OperationId, PrincipalId,
    orders::{Find, Found, KeyReused, Open, OpenRefusal, Opened},
};
use store::{Database, Link, StoreError, sql};

use super::SqlOrders;
use crate::store::row::{COLUMNS, Row, VERSION};

/// Cart operations claimed by one statement: every number makes a text of its own, and a cart has up to 2,000.
const OPS_PER_STATEMENT: usize = 250;

pub(super) async fn find(store: &SqlOrders, request: Find) -> Result<Result<Found, KeyReused>, StoreError> {
    let mut reader = store.db.reader().await?;
    match by_key(&mut reader, request.principal, request.key.as_str()).await? {
        None => Ok(Ok(Found::Nothing)),
        Some(row) if row.fingerprint != request.fingerprint.as_bytes() => Ok(Err(KeyReused::KeyReused)),
        Some(row) => row.found(&store.periods).map(Ok),
    }
}

pub(super) async fn open(
    store: &SqlOrders,
    once: &Once,
    request: &Open,
) -> Result<Result<Opened, OpenRefusal>, StoreError> {
    let mut tx = store.db.begin().await?;
    let Some(mine) = insert(&mut tx, store, once, request).await? else {
        let row = by_key(&mut tx, request.principal, once.id().as_str()).await?;
        // The key's row can only have gone if the reaper forgot the key just now.
        let row = row.ok_or_else(|| StoreError::Conflict("the key was just forgotten".to_owned()))?;
        if row.fingerprint != request.fingerprint.as_bytes() {
            return Ok(Err(OpenRefusal::KeyReused));
        }
        // The winning claim, sent again because its answer was lost, is still the winner.
        let mine = row.is_open() && row.driver == Some(request.driver.0.to_string());
        let found = if mine { Opened::Claimed(row.checkout()?) } else { Opened::Existing(row.found(&store.periods)?) };
        return Ok(Ok(found));
    };
    if let Some(order) = claim_ops(&mut tx, request).await? {
        return Ok(Err(OpenRefusal::CartClaimed { order }));
    }
    runtime::crash::point("orders.open.claimed");
    Database::commit(tx).await?;
    runtime::crash::point("orders.open.committed");
    Ok(Ok(Opened::Claimed(mine.checkout()?)))
}

async fn by_key(link: &mut Link, principal: PrincipalId, key: &str) -> Result<Option<Row>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM operations WHERE principal = $1 AND request_key = $2");
    link.optional(sql(select).bind(principal.to_string()).bind(key)).await
}

/// None when the key is claimed. On PostgreSQL this waits for a claim that is being made, and then sees it.
async fn insert(tx: &mut Link, store: &SqlOrders, once: &Once, request: &Open) -> Result<Option<Row>, StoreError> {
    let insert = format!(
        "INSERT INTO operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, \
         created_at_ms, not_after_ms, driver, lease_until_ms, next_try_at_ms) \
         VALUES ($1, $2, $3, $4, $5, 'accepted', $6, $7, now_ms(), now_ms() + $8, $9, now_ms() + $10, now_ms()) \
         ON CONFLICT (principal, request_key) DO NOTHING RETURNING {COLUMNS}"
    );
    let insert = sql(insert)
        .bind(request.operation.to_string())
        .bind(request.principal.to_string())
        .bind(once.id().as_str())
        .bind(request.fingerprint.as_bytes().as_slice())
        .bind(VERSION)
        .bind(serde_json::to_string(&request.snapshot)?)
        .bind(&request.payment.0)
        .bind(store.periods.charge_window_ms)
        .bind(request.driver.0.to_string())
        .bind(store.periods.lease_ms);
    tx.optional(insert).await
}

/// Claims all cart operations, or says which other checkout has one of them. In order, so that two claims that share some
/// cannot each wait for the other.
async fn claim_ops(tx: &mut Link, request: &Open) -> Result<Option<OperationId>, StoreError> {
    let ops: BTreeSet<String> = request.snapshot.ops.iter().map(ToString::to_string).collect();
    let ops: Vec<String> = ops.into_iter().collect();
    for ops in ops.chunks(OPS_PER_STATEMENT) {
        let values: Vec<String> = (2..ops.len() + 2).map(|number| format!("(${number}, $1)")).collect();
        let insert =
            format!("INSERT INTO claimed_ops (op, operation) VALUES {} ON CONFLICT (op) DO NOTHING", values.join(", "));
        let insert = ops.iter().fold(sql(insert).bind(request.operation.to_string()), store::Sql::bind);
        if tx.execute(insert).await? == ops.len() as u64 {
            continue;
        }
        let places: Vec<String> = (2..ops.len() + 2).map(|number| format!("${number}")).collect();
        let select = format!(
            "SELECT operation FROM claimed_ops WHERE operation <> $1 AND op IN ({}) LIMIT 1",
            places.join(", ")
        );
        let select = ops.iter().fold(sql(select).bind(request.operation.to_string()), store::Sql::bind);
        let owner: Option<(String,)> = tx.optional(select).await?;
        // Gone between the two statements: it was refused and freed its lines, and the next run of this claim gets them.
        let (owner,) = owner.ok_or_else(|| StoreError::Conflict("a line was just freed".to_owned()))?;
        return owner.parse().map(Some).map_err(|_| StoreError::Corrupt(format!("claimed_ops: {owner} is no id")));
    }
    Ok(None)
}
