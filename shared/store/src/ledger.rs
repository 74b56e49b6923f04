//! The exactly-once ledger: one row per request id, written in the transaction of the effect itself (SEM: exactly-once
//! effect = at-least-once sends + dedup at the owner of the data).
//!
//! Not a cache of responses beside the effect: a crash between effect and row cannot happen, since they commit together.
//! Refusals are remembered like replies; what was not executed leaves no row. Each service's migrations make the table:
//!
//! ```sql
//! CREATE TABLE ledger (
//!     request_id TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, -- BYTEA in PostgreSQL
//!     answer TEXT NOT NULL, created_at_ms INTEGER NOT NULL
//! );
//! ```

use contract::Once;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Link, StoreError, sql};

/// What a request id stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim<T> {
    /// Nothing yet: make the effect, then [`settle`], then commit.
    Fresh,
    /// It was done: this was the answer.
    Settled(T),
    /// It was done with another body: refuse.
    OtherBody,
}

/// Looks the request up inside the transaction that would make its effect.
///
/// # Errors
/// [`StoreError`] of the database, or of an answer that cannot be read back.
pub async fn claim<T: DeserializeOwned>(tx: &mut Link, once: &Once) -> Result<Claim<T>, StoreError> {
    let select = sql("SELECT fingerprint, answer FROM ledger WHERE request_id = $1").bind(once.id().as_str());
    let row: Option<(Vec<u8>, String)> = tx.optional(select).await?;
    match row {
        None => Ok(Claim::Fresh),
        Some((fingerprint, _)) if fingerprint != once.fingerprint().as_bytes() => Ok(Claim::OtherBody),
        Some((_, answer)) => Ok(Claim::Settled(serde_json::from_str(&answer)?)),
    }
}

/// Records the answer in the transaction of the effect.
///
/// # Errors
/// [`StoreError`] of the database; a second row for one id is one: the transaction rolls the effect back, and run again
/// ([`crate::Database::retrying`]) it finds the first one's answer.
pub async fn settle<T: Serialize>(tx: &mut Link, once: &Once, answer: &T) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger (request_id, fingerprint, answer, created_at_ms) VALUES ($1, $2, $3, now_ms())";
    let insert = sql(insert)
        .bind(once.id().as_str())
        .bind(once.fingerprint().as_bytes().as_slice())
        .bind(serde_json::to_string(answer)?);
    tx.execute(insert).await?;
    Ok(())
}
