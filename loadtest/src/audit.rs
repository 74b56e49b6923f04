//! The verdict: do the orders, the money and what customers were told agree?
//!
//! [`judge`] is a pure function over collected evidence, so that every check has a planted history it must reject and
//! a good twin it must accept (`audit/tests.rs`). The equation is `orders == charges == acknowledged + recovered`,
//! where *recovered* are checkouts whose customer was never told, and the charges come from the provider's ledger.
//! Nothing to judge is not a pass: it is `unknown`, and `unknown` fails the run.

pub(crate) mod collect;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::wire::{Charge, Money, Order};

/// What a customer knows about one checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Told "completed", by 201 or by polling.
    Acknowledged { order: String, total: Money },
    /// Told definitely that nothing was or will be charged.
    Declined { operation: Option<String> },
    /// Told definitely that nothing happened, for another reason.
    Refused { problem: String, operation: Option<String> },
    /// Never told; `order` is known if a 202 named it.
    Unknown { order: Option<String> },
}

/// One checkout of a session.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) key: String,
    pub(crate) expected_total: Money,
    pub(crate) outcome: Outcome,
}

/// One session: what its customer tried, and the orders it shows afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionEvidence {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) orders: Vec<Order>,
}

/// Everything the verdict rests on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) sessions: Vec<SessionEvidence>,
    pub(crate) ledger_before: Vec<Charge>,
    pub(crate) ledger_after: Vec<Charge>,
    /// Whether every charge made during the run must be ours.
    pub(crate) exclusive: bool,
    /// Evidence that could not be read; any makes a pass impossible.
    pub(crate) gaps: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Unknown,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// The result, in numbers and in sentences.
#[derive(Debug, Serialize)]
pub(crate) struct Audit {
    pub(crate) verdict: Verdict,
    /// Paid orders of our sessions.
    pub(crate) orders: usize,
    /// Charges for our orders; with `exclusive`, all charges made during the run.
    pub(crate) charges: usize,
    pub(crate) acknowledged: usize,
    /// Paid orders whose customer was never told.
    pub(crate) recovered: usize,
    /// Unknown checkouts that left no paid order.
    pub(crate) unknown_without_effect: usize,
    /// What is wrong, one sentence each.
    pub(crate) discrepancies: Vec<String>,
    /// What could not be judged.
    pub(crate) gaps: Vec<String>,
}

impl Audit {
    /// The verdict when the evidence could not even be collected.
    pub(crate) fn impossible(acknowledged: usize, gap: String) -> Self {
        Self { acknowledged, ..Self::empty(vec![gap]) }
    }

    fn empty(gaps: Vec<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            orders: 0,
            charges: 0,
            acknowledged: 0,
            recovered: 0,
            unknown_without_effect: 0,
            discrepancies: Vec::new(),
            gaps,
        }
    }
}

/// The ledger by the orders that its charges name.
struct Books<'a> {
    by_reference: BTreeMap<&'a str, Vec<&'a Charge>>,
    /// Ids of ours seen so far, in whatever state.
    known: BTreeSet<&'a str>,
}

/// Compares what customers were told, the shop's orders and the provider's ledger.
pub(crate) fn judge(evidence: &Evidence) -> Audit {
    let mut audit = Audit::empty(evidence.gaps.clone());
    let mut books = Books { by_reference: BTreeMap::new(), known: BTreeSet::new() };
    for charge in &evidence.ledger_after {
        books.by_reference.entry(&charge.reference).or_default().push(charge);
    }
    for session in &evidence.sessions {
        judge_orders(session, &mut books, &mut audit);
        judge_attempts(session, &mut books, &mut audit);
    }
    judge_ledger(evidence, &books, &mut audit);
    if audit.acknowledged == 0 {
        audit.gaps.push("no checkout was acknowledged, so nothing was tested".to_owned());
    }
    // Implied by the checks above; written out because it is the promise, and a hole in them must not pass.
    let balanced = audit.orders == audit.charges && audit.orders == audit.acknowledged + audit.recovered;
    if !balanced && audit.discrepancies.is_empty() {
        audit.discrepancies.push("the equation does not hold, although no single order shows why".to_owned());
    }
    audit.verdict = match (audit.discrepancies.is_empty(), audit.gaps.is_empty()) {
        (false, _) => Verdict::Fail,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Pass,
    };
    audit
}

/// Each order by itself: ended, sums right, charged exactly as its state says.
fn judge_orders<'a>(session: &'a SessionEvidence, books: &mut Books<'a>, audit: &mut Audit) {
    for order in &session.orders {
        let id = &order.id;
        if !books.known.insert(id) {
            audit.discrepancies.push(format!("order {id} is listed more than once"));
            continue;
        }
        let charges = books.by_reference.get(id.as_str()).map_or(&[][..], Vec::as_slice);
        match order.state.as_str() {
            "completed" | "refunded" => {
                audit.orders += 1;
                judge_charges(order, charges, audit);
            }
            "declined" | "refused" if charges.is_empty() => {}
            state @ ("declined" | "refused") => audit.discrepancies.push(format!("order {id} is {state} but charged")),
            state @ ("accepted" | "needs_attention") => {
                audit.discrepancies.push(format!("order {id} is still open ({state}), {} charges", charges.len()));
            }
            state => audit.discrepancies.push(format!("order {id} has the undocumented state {state}")),
        }
        if !lines_add_up(order) {
            audit.discrepancies.push(format!("the lines of order {id} do not add up to its total {}", order.total));
        }
    }
}

fn judge_charges(order: &Order, charges: &[&Charge], audit: &mut Audit) {
    let id = &order.id;
    match charges {
        [charge] => {
            if charge.amount != order.total {
                audit.discrepancies.push(format!("order {id} costs {} but {} was charged", order.total, charge.amount));
            }
            if charge.key != *id {
                // A repeat is harmless only under the order's own key.
                audit.discrepancies.push(format!("order {id} was charged under the foreign key {}", charge.key));
            }
        }
        [] => audit.discrepancies.push(format!("order {id} has no charge")),
        _ => audit.discrepancies.push(format!("order {id} was charged {} times", charges.len())),
    }
}

fn lines_add_up(order: &Order) -> bool {
    let mut sum_minor = 0_i64;
    for line in &order.lines {
        let product = line.unit_price.amount_minor.checked_mul(line.quantity);
        let currencies = [&line.unit_price.currency, &line.line_total.currency];
        if product != Some(line.line_total.amount_minor) || currencies.iter().any(|c| **c != order.total.currency) {
            return false;
        }
        sum_minor = sum_minor.saturating_add(line.line_total.amount_minor);
    }
    !order.lines.is_empty() && sum_minor == order.total.amount_minor
}

/// What the customer was told against the session's orders.
fn judge_attempts<'a>(session: &'a SessionEvidence, books: &mut Books<'a>, audit: &mut Audit) {
    let paid = |order: &&Order| matches!(order.state.as_str(), "completed" | "refunded");
    let mut unclaimed: BTreeSet<&str> = session.orders.iter().filter(paid).map(|order| order.id.as_str()).collect();
    for attempt in &session.attempts {
        match &attempt.outcome {
            Outcome::Acknowledged { order, total } => {
                audit.acknowledged += 1;
                unclaimed.remove(order.as_str());
                judge_acknowledged(session, attempt, order, total, books, audit);
            }
            Outcome::Declined { operation: Some(id) } | Outcome::Refused { operation: Some(id), .. } => {
                // Judged here only if the session does not show it: declined orders are not listed.
                if books.known.insert(id) && books.by_reference.contains_key(id.as_str()) {
                    audit.discrepancies.push(format!("operation {id} was refused to its customer, but charged"));
                }
            }
            Outcome::Declined { operation: None } | Outcome::Refused { operation: None, .. } => {}
            Outcome::Unknown { order: Some(id) } => {
                if books.known.insert(id) {
                    let charges = books.by_reference.get(id.as_str()).map_or(0, Vec::len);
                    audit
                        .discrepancies
                        .push(format!("order {id} was answered with 202, then vanished; charges: {charges}"));
                }
                if unclaimed.remove(id.as_str()) {
                    audit.recovered += 1;
                } else {
                    audit.unknown_without_effect += 1;
                }
            }
            Outcome::Unknown { order: None } => {}
        }
    }
    // The orders that are left can only come from the checkouts that got no answer at all.
    let nameless =
        session.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Unknown { order: None }).count();
    let recovered = unclaimed.len().min(nameless);
    audit.recovered += recovered;
    audit.unknown_without_effect += nameless - recovered;
    for id in unclaimed.into_iter().skip(recovered) {
        audit.discrepancies.push(format!("order {id} exists, but its customer was told otherwise or never asked"));
    }
}

fn judge_acknowledged<'a>(
    session: &SessionEvidence,
    attempt: &Attempt,
    id: &'a str,
    total: &Money,
    books: &mut Books<'a>,
    audit: &mut Audit,
) {
    if session.attempts.iter().any(|other| {
        other.key < attempt.key && matches!(&other.outcome, Outcome::Acknowledged { order, .. } if order == id)
    }) {
        audit.discrepancies.push(format!("order {id} answered two different keys"));
    }
    let Some(order) = session.orders.iter().find(|order| order.id == id) else {
        books.known.insert(id);
        let charges = books.by_reference.get(id).map_or(0, Vec::len);
        audit.discrepancies.push(format!("order {id} was acknowledged but is lost; charges: {charges}"));
        return;
    };
    if order.state != "completed" {
        audit.discrepancies.push(format!("order {id} was acknowledged as completed but is {}", order.state));
    }
    if order.total != *total || order.total != attempt.expected_total {
        let (agreed, now) = (&attempt.expected_total, &order.total);
        audit.discrepancies.push(format!("order {id}: agreed on {agreed}, acknowledged {total}, now {now}"));
    }
}

/// The ledger as a whole: append-only, and nothing in it that nobody ordered.
fn judge_ledger(evidence: &Evidence, books: &Books<'_>, audit: &mut Audit) {
    // A session that could not be read has charges of its own; they are no strangers, only unjudged.
    let exclusive = evidence.exclusive && evidence.gaps.is_empty();
    let mut count: BTreeMap<&Charge, i64> = BTreeMap::new();
    for charge in &evidence.ledger_after {
        *count.entry(charge).or_default() += 1;
    }
    for charge in &evidence.ledger_before {
        *count.entry(charge).or_default() -= 1;
    }
    for (charge, difference) in count {
        if difference < 0 {
            audit.discrepancies.push(format!("the ledger lost or changed the charge for {}", charge.reference));
            continue;
        }
        let ours = books.known.contains(charge.reference.as_str());
        if exclusive || ours {
            audit.charges += usize::try_from(difference).unwrap_or(0);
        }
        if exclusive && !ours && difference > 0 {
            let Charge { reference, amount, time, .. } = charge;
            audit
                .discrepancies
                .push(format!("charge of {amount} at {time} for {reference}, which is no order of ours"));
        }
    }
}
