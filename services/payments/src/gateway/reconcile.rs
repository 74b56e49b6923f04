//! The reconciliation (CO-19): the provider's whole ledger against ours, both ways.
//!
//! The provider's side is read first, then ours page by page. What is younger than the grace on either side is left for
//! the next time, so what happens in between makes no difference.

use std::{collections::BTreeMap, time::Duration};

use contract::{
    CallError, Fingerprint, Money, OperationId, Outcome as Answer,
    payments::{Mismatch, Reconcile},
};
use tokio::time::Instant;

use super::Gateway;
use crate::{
    permits::{Called, Purpose},
    provider::{Ledger, LedgerLine},
    store::{Booked, Outcome},
};

/// Rows of ours that are read at once.
const PAGE_ROWS: u32 = 1_000;
/// How long the provider's ledger may take to come; it may be long.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(20);

/// All charges and refunds of one reference at the provider.
#[derive(Debug, Default)]
struct Theirs {
    charges: Vec<Money>,
    refunds: usize,
    youngest_ms: i64,
}

impl Gateway {
    /// At most `limit` differences.
    pub(crate) async fn reconcile(&self, limit: usize, deadline: Instant) -> Answer<Reconcile> {
        let unread = |why: String| CallError::NotExecuted(format!("the ledgers were not compared: {why}"));
        let permit = self.permits.acquire(Purpose::Settle, deadline).await;
        let permit = permit.ok_or_else(|| unread("all permits to call the provider are in use".to_owned()))?;
        let ledger = match permit.call(LEDGER_TIMEOUT, self.provider.ledger(), Result::is_err).await {
            Called::NotSent => return Err(unread("the lease of the permit ran out".to_owned())),
            Called::Silent => return Err(unread("the provider's ledger did not come in time".to_owned())),
            Called::Answered(ledger) => ledger.map_err(unread)?,
        };
        let mut theirs = by_reference(ledger);
        let grace_ms = i64::try_from(self.limits.reconcile_grace.as_millis()).unwrap_or(i64::MAX);
        let old_ms = self.charges.now_ms().await?.saturating_sub(grace_ms);

        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < limit {
            let page = self.charges.page(after, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.operation);
            for row in page {
                let there = theirs.remove(&row.operation.to_string()).unwrap_or_default();
                if row.changed_at_ms <= old_ms && there.youngest_ms <= old_ms {
                    found.extend(compare(&row, &there));
                }
            }
        }
        let strangers = theirs.into_iter().filter(|(_, there)| there.youngest_ms <= old_ms);
        found.extend(strangers.filter_map(|(reference, there)| stranger(&reference, &there)));
        found.truncate(limit);
        Ok(found)
    }
}

fn by_reference(ledger: Ledger) -> BTreeMap<String, Theirs> {
    let mut all: BTreeMap<String, Theirs> = BTreeMap::new();
    for LedgerLine { reference, amount, time_ms } in ledger.charges {
        let there = all.entry(reference).or_default();
        there.charges.push(amount);
        there.youngest_ms = there.youngest_ms.max(time_ms);
    }
    for LedgerLine { reference, time_ms, .. } in ledger.refunds {
        let there = all.entry(reference).or_default();
        there.refunds += 1;
        there.youngest_ms = there.youngest_ms.max(time_ms);
    }
    all
}

/// One row of ours against all that the provider has under its reference.
fn compare(ours: &Booked, theirs: &Theirs) -> Option<Mismatch> {
    let left = theirs.charges.len().saturating_sub(theirs.refunds);
    let (operation, reference) = (Some(ours.operation), ours.operation.to_string());
    let differs = |kind: Kind, amount: Option<Money>| Some(mismatch(kind, &reference, operation, amount));
    let charged = theirs.charges.first().copied();
    let other_amount = theirs.charges.iter().find(|amount| Some(**amount) != ours.amount && ours.amount.is_some());
    match ours.outcome {
        // Money that went back, by us or by hand, is no longer at stake.
        _ if left > 1 => differs(Kind::Twice, charged),
        Some(Outcome::Charged) if theirs.charges.is_empty() => differs(Kind::Missing, ours.amount),
        Some(Outcome::Charged) if left == 1 && ours.refunded => differs(Kind::RefundMissing, ours.amount),
        _ if left == 0 => None,
        None => differs(Kind::NotRecorded, charged),
        Some(Outcome::Declined) => differs(Kind::Declined, charged),
        Some(Outcome::Closed) => differs(Kind::Closed, charged),
        Some(Outcome::Charged) => other_amount.and_then(|amount| differs(Kind::Amount, Some(*amount))),
    }
}

/// A reference that we have no row for.
fn stranger(reference: &str, theirs: &Theirs) -> Option<Mismatch> {
    let operation = reference.parse().ok();
    let charged = theirs.charges.first().copied();
    match theirs.charges.len().saturating_sub(theirs.refunds) {
        0 => None,
        1 => Some(mismatch(Kind::NotRecorded, reference, operation, charged)),
        _ => Some(mismatch(Kind::Twice, reference, operation, charged)),
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    NotRecorded,
    Missing,
    RefundMissing,
    Amount,
    Twice,
    Declined,
    Closed,
}

impl Kind {
    /// Part of the difference's id: must stay as it is.
    const fn reason(self) -> &'static str {
        match self {
            Self::NotRecorded => "the provider has charged what is not recorded here as charged",
            Self::Missing => "recorded here as charged, but the provider has no such charge",
            Self::RefundMissing => "recorded here as paid back, but the provider has no such refund",
            Self::Amount => "the provider has charged another amount than is recorded here",
            Self::Twice => "the provider has charged more than once under one reference",
            Self::Declined => "the provider has charged what is recorded here as declined",
            Self::Closed => "the provider has charged what was closed here without a charge",
        }
    }
}

fn mismatch(kind: Kind, reference: &str, operation: Option<OperationId>, amount: Option<Money>) -> Mismatch {
    let id = Fingerprint::of(format!("{} {reference}", kind.reason()).as_bytes()).uuid();
    Mismatch { id, operation, reason: kind.reason().to_owned(), amount }
}
