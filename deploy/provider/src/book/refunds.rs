//! The rules of refunds: the whole amount, once for a charge, for ever.
//!
//! A refund is decided and on its way to the disk in one step, because nothing waits in between. Its key is remembered
//! and forgotten like that of a charge; that a charge was refunded is never forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Book, LINES_MAX, Rules, is_false};
use crate::request::RefundRequest;

/// Marks the lines of refunds in the ledger; lines of charges have no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundKind {
    Refund,
}

/// One line of the ledger: one refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundEntry {
    pub(crate) line: u64,
    pub(crate) kind: RefundKind,
    pub(crate) key: String,
    pub(crate) request: RefundRequest,
    /// The line of the refunded charge.
    pub(crate) charge_line: u64,
    pub(crate) time_ms: i64,
    /// As for charges: the key has an earlier line, which was forgotten.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) key_again: bool,
}

impl RefundEntry {
    pub(crate) fn refund_id(&self) -> String {
        format!("re_{:012}", self.line)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RefundDecision {
    /// True once it is on the disk.
    Record(Arc<RefundEntry>),
    /// It was made before; the answer is the same again.
    Decided(Arc<RefundEntry>),
    KeyReused,
    /// A refund with this key or of this charge, or the charge itself, is on its way to the disk.
    InProgress,
    /// No charge carries the reference so far.
    NotFound,
    /// Another key refunded the charge.
    AlreadyRefunded,
    /// The amount is not that of the charge.
    NotWhole,
    /// Nothing happened: `LINES_MAX` is reached.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Refunds {
    /// By key, the latest refund.
    keys: BTreeMap<String, State>,
    /// Refunded lines of charges; false while the refund is on its way to the disk.
    charges: BTreeMap<u64, bool>,
    by_line: BTreeMap<u64, Arc<RefundEntry>>,
}

#[derive(Debug)]
struct State {
    entry: Arc<RefundEntry>,
    on_disk: bool,
}

impl Book {
    /// Turns a request into a ledger entry. The caller must write the entry in the order of its line number.
    pub(crate) fn refund(&mut self, key: &str, request: &RefundRequest, now_ms: i64, rules: &Rules) -> RefundDecision {
        let key_again = match self.refunds.keys.get(key) {
            Some(State { entry, on_disk }) if !on_disk || !rules.forget(entry.time_ms, now_ms) => {
                return match (entry.request == *request, on_disk) {
                    (false, _) => RefundDecision::KeyReused,
                    (true, false) => RefundDecision::InProgress,
                    (true, true) => RefundDecision::Decided(entry.clone()),
                };
            }
            earlier => earlier.is_some(),
        };
        if self.next_line > LINES_MAX {
            return RefundDecision::Full;
        }
        let charge_line = match self.refundable(request) {
            Ok(line) => line,
            Err(refusal) => return refusal,
        };
        let entry = Arc::new(RefundEntry {
            line: self.take_line(),
            kind: RefundKind::Refund,
            key: key.to_owned(),
            request: request.clone(),
            charge_line,
            time_ms: now_ms,
            key_again,
        });
        self.refunds.charges.insert(charge_line, false);
        self.refunds.keys.insert(key.to_owned(), State { entry: entry.clone(), on_disk: false });
        RefundDecision::Record(entry)
    }

    /// The oldest charge of the reference that was not refunded: one at most, unless references were not unique.
    fn refundable(&self, request: &RefundRequest) -> Result<u64, RefundDecision> {
        let Some(reference) = self.references.get(&request.reference) else {
            return Err(RefundDecision::NotFound);
        };
        let left = || reference.charged.iter().filter(|line| !self.refunds.charges.contains_key(line));
        let whole = |line: &&u64| self.charges.get(line).is_some_and(|charge| charge.request.amount == request.amount);
        if let Some(line) = left().find(whole) {
            return Ok(*line);
        }
        let busy = |line: &u64| self.refunds.charges.get(line) == Some(&false);
        Err(if left().next().is_some() {
            RefundDecision::NotWhole
        } else if reference.pending > 0 || reference.charged.iter().any(busy) {
            RefundDecision::InProgress
        } else {
            RefundDecision::AlreadyRefunded
        })
    }

    /// The refund is on the disk: from now on it is the answer to its key.
    pub(crate) fn commit_refund(&mut self, entry: &Arc<RefundEntry>) {
        self.refunds.charges.insert(entry.charge_line, true);
        self.refunds.keys.insert(entry.key.clone(), State { entry: entry.clone(), on_disk: true });
        self.refunds.by_line.insert(entry.line, entry.clone());
    }

    /// Takes over one line of the ledger at start. The error says what is wrong with it.
    pub(crate) fn replay_refund(&mut self, entry: RefundEntry) -> Result<(), String> {
        self.check_line(entry.line)?;
        let Some(charge) = self.charges.get(&entry.charge_line) else {
            return Err(format!("it refunds line {}, which is no charge", entry.charge_line));
        };
        if charge.request.reference != entry.request.reference || charge.request.amount != entry.request.amount {
            return Err(format!("it differs from the charge in line {}", entry.charge_line));
        }
        if self.refunds.charges.contains_key(&entry.charge_line) {
            return Err(format!("the charge in line {} was refunded before", entry.charge_line));
        }
        if !entry.key_again && self.refunds.keys.contains_key(&entry.key) {
            return Err(format!("refund key {} was used before", entry.key));
        }
        self.next_line += 1;
        self.commit_refund(&Arc::new(entry));
        Ok(())
    }

    /// Every refund ever made, oldest first.
    pub(crate) fn refunds(&self) -> Vec<Arc<RefundEntry>> {
        self.refunds.by_line.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
