//! The shares of the permits in a relational database. All requests for shares take turns: each locks one row before
//! it reads. The rows of the shares would not do: a table that is being laid out has none to lock.

use async_trait::async_trait;
use store::{Database, Link, StoreError, sql};

use super::super::{Ask, Leased, NodeRow, ShareRow, ShareStore, Verdict, judge, laid_out};
use super::{SqlCharges, now_ms};

/// Nodes that were not seen for this long are forgotten; longer than any request of theirs can be under way.
const FORGET_MS: i64 = 600_000;

impl SqlCharges {
    async fn lease_once(&self, ask: &Ask) -> Result<Leased, StoreError> {
        let mut tx = self.0.begin().await?;
        let _turn: (i64,) = tx.one(sql("SELECT turn FROM permit_turn FOR UPDATE")).await?;
        enter(&mut tx, ask).await?;
        let select = "SELECT share, size, holder, free_at_ms FROM permit_shares ORDER BY share";
        let rows: Vec<(i64, i64, Option<String>, i64)> = tx.all(sql(select)).await?;
        // Read after the lock: time that went by waiting for it has gone by for every lease.
        let now_ms = now_ms(&mut tx).await?;
        let nodes: Vec<(String, i64, i64)> = tx.all(sql("SELECT holder, wants, seen_at_ms FROM permit_nodes")).await?;
        let shares: Vec<_> = rows
            .into_iter()
            .map(|(share, size, holder, free_at_ms)| ShareRow { share, size, holder, free_at_ms })
            .collect();
        let nodes: Vec<_> =
            nodes.into_iter().map(|(holder, wants, seen_at_ms)| NodeRow { holder, wants, seen_at_ms }).collect();
        let mut verdict = judge(&shares, &nodes, ask, now_ms);
        if let Verdict::LayOut(sizes) = verdict {
            lay_out(&mut tx, &sizes).await?;
            verdict = judge(&laid_out(&sizes), &nodes, ask, now_ms);
        }
        let Verdict::Change { back, take, leased } = verdict else {
            return Err(StoreError::Corrupt("shares that were laid out just now are of another number".to_owned()));
        };
        let renews = leased.shares.iter().any(|(share, _)| !take.contains(share));
        change(&mut tx, ask, &back, &take, renews).await?;
        Database::commit(tx).await?;
        Ok(leased)
    }
}

#[async_trait]
impl ShareStore for SqlCharges {
    async fn lease(&self, ask: &Ask) -> Result<Leased, StoreError> {
        self.0.retrying(|| self.lease_once(ask)).await
    }
}

/// Notes that the node is there and what it wants. The round keeps out a request that was held up on its way, which would
/// give back shares that the node has meanwhile been told it holds.
async fn enter(tx: &mut Link, ask: &Ask) -> Result<(), StoreError> {
    let enter = "INSERT INTO permit_nodes (holder, round, wants, seen_at_ms) VALUES ($1, $2, $3, now_ms()) \
                 ON CONFLICT (holder) DO UPDATE SET round = excluded.round, wants = excluded.wants, \
                 seen_at_ms = excluded.seen_at_ms WHERE permit_nodes.round < excluded.round";
    if tx.execute(sql(enter).bind(&ask.holder).bind(ask.round).bind(ask.wants)).await? != 1 {
        return Err(StoreError::NotExecuted(format!("request {} for permits was overtaken by a later one", ask.round)));
    }
    Ok(())
}

async fn lay_out(tx: &mut Link, sizes: &[i64]) -> Result<(), StoreError> {
    tx.execute(sql("DELETE FROM permit_shares")).await?;
    tx.execute(sql("DELETE FROM permit_nodes WHERE seen_at_ms < now_ms() - $1").bind(FORGET_MS)).await?;
    for (share, size) in (1_i64..).zip(sizes) {
        let insert =
            "INSERT INTO permit_shares (share, size, holder, lease_until_ms, free_at_ms) VALUES ($1, $2, NULL, 0, 0)";
        tx.execute(sql(insert).bind(share).bind(*size)).await?;
    }
    Ok(())
}

async fn change(tx: &mut Link, ask: &Ask, back: &[i64], take: &[i64], renews: bool) -> Result<(), StoreError> {
    for share in back {
        let give = "UPDATE permit_shares SET holder = NULL, lease_until_ms = 0, free_at_ms = 0 WHERE share = $1 AND holder = $2";
        tx.execute(sql(give).bind(*share).bind(&ask.holder)).await?;
    }
    for share in take {
        let take = "UPDATE permit_shares SET holder = $2, lease_until_ms = now_ms() + $3, \
                    free_at_ms = now_ms() + $3 + $4 WHERE share = $1";
        tx.execute(sql(take).bind(*share).bind(&ask.holder).bind(ask.lease_ms).bind(ask.handling_ms)).await?;
    }
    if renews {
        let renew = "UPDATE permit_shares SET lease_until_ms = now_ms() + $2, free_at_ms = now_ms() + $2 + $3 \
                     WHERE holder = $1";
        tx.execute(sql(renew).bind(&ask.holder).bind(ask.lease_ms).bind(ask.handling_ms)).await?;
    }
    Ok(())
}
