//! The outside checker (K1 to K16): does what customers were told agree with the databases, the provider's ledger and
//! the mailbox?
//!
//! [`judge`] is a pure function over [`Evidence`]; each group of checks is one file, and each check has planted histories
//! in `tests` that it must reject, with good twins that it must accept (T-8). A check that found nothing to look at has
//! proved nothing: where that means that the run was empty, the verdict is `unknown`, which fails the run (T-9).

mod amounts;
mod answers;
mod calls;
mod cart;
mod cases;
mod claims;
pub(crate) mod dump;
pub(crate) mod history;
pub(crate) mod linear;
mod liveness;
mod notify;
mod orders;
mod permits;
mod sessions;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::{cases::Book, dump::Dump, history::Sent};
use crate::{audit::Verdict, wire::Charge};

/// Sentences kept for each check; the count goes on.
const SENTENCES_MAX: usize = 20;

/// The checks by their names in the test strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Check {
    K1Lost,
    K2Unexpected,
    K3Duplicate,
    K4Equation,
    K5Resolution,
    K6Amounts,
    K7Stock,
    K8Cart,
    K9Replay,
    K10Misuse,
    K11Isolation,
    K12Notify,
    K13CallClass,
    K14Linearizable,
    K15Liveness,
    K16Sessions,
    Co16Permits,
    T4Sometimes,
    T7Control,
}

impl Check {
    pub(crate) const ALL: [(Self, &'static str, &'static str); 19] = [
        (Self::K1Lost, "K1 lost", "every acknowledged key has one order"),
        (Self::K2Unexpected, "K2 unexpected", "every order and charge has an attempted key"),
        (Self::K3Duplicate, "K3 duplicate", "a key has at most one order, one charge, one reservation"),
        (Self::K4Equation, "K4 equation", "orders = charges = acknowledged + recovered"),
        (Self::K5Resolution, "K5 resolution", "every checkout has ended, definitely"),
        (Self::K6Amounts, "K6 amounts", "charged = order's total = sum of its lines = agreed"),
        (Self::K7Stock, "K7 stock", "no piece is made or lost, sold is what was bought"),
        (Self::K8Cart, "K8 cart", "acknowledged adds stay, what is removed or bought stays away"),
        (Self::K9Replay, "K9 replay", "all final answers of a key are the same bytes"),
        (Self::K10Misuse, "K10 misuse", "a key with another body is refused and has no effect"),
        (Self::K11Isolation, "K11 isolation", "nobody gets another's order"),
        (Self::K12Notify, "K12 notify", "one receipt for each order, none for others"),
        (Self::K13CallClass, "K13 call class", "'not executed' means no effect; a resend counts once"),
        (
            Self::K14Linearizable,
            "K14 linearizable",
            "claims and stock have an order of events that explains all answers",
        ),
        (Self::K15Liveness, "K15 liveness", "after the faults: 99.9 % success within 30 s, nothing stays open"),
        (Self::K16Sessions, "K16 sessions", "whoever was given a session is known until the end"),
        (Self::Co16Permits, "CO-16 permits", "the provider never had more of the shop's calls at once than it allows"),
        (Self::T4Sometimes, "T4 sometimes", "each fault was met, and a checkout succeeded afterwards"),
        (Self::T7Control, "T7 control", "without faults nobody is left unknowing, and it is fast"),
    ];
}

/// When what happened, in milliseconds since the run began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phases {
    /// The last fault was taken away.
    pub(crate) healed_ms: u64,
    /// The control phase, without faults.
    pub(crate) control_ms: (u64, u64),
    /// How long after the customers stopped until nothing was open any more; `None` if that never came.
    pub(crate) rest_after_ms: Option<u64>,
}

/// How often something was done on purpose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sometimes {
    /// When each fault began, by kind. A kind that was asked for and never hit has an empty list.
    pub(crate) faults_ms: BTreeMap<String, Vec<u64>>,
    /// The customers' tricks, by name.
    pub(crate) tricks: BTreeMap<String, u64>,
}

/// Everything the verdict rests on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) sent: Vec<Sent>,
    pub(crate) dump: Dump,
    /// Operations that were there before the run.
    pub(crate) before: BTreeSet<String>,
    pub(crate) ledger_before: Vec<Charge>,
    pub(crate) ledger: Vec<Charge>,
    /// Carts after everything came to rest, by session: quantity by sku.
    pub(crate) carts: BTreeMap<String, BTreeMap<String, i64>>,
    /// Sessions that were not known any more when their carts were to be read.
    pub(crate) forgotten: BTreeSet<String>,
    pub(crate) phases: Phases,
    pub(crate) sometimes: Sometimes,
    /// When a node with carts stood still, and a while after: reads may be old then (milliseconds from and to).
    pub(crate) stale_carts_ms: Vec<(u64, u64)>,
    /// The same of sessions: one that wakes may not know yet who came meanwhile.
    pub(crate) stale_sessions_ms: Vec<(u64, u64)>,
    /// The most calls that the provider had at once since its start, as it counted itself.
    pub(crate) calls_at_once: u64,
    /// Whether the scenario leaves work for people.
    pub(crate) attention_expected: bool,
    /// Evidence that could not be read; any makes a pass impossible.
    pub(crate) gaps: Vec<String>,
}

/// What one check found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Finding {
    /// How many things it looked at.
    pub(crate) judged: u64,
    pub(crate) violations: u64,
    /// The first violations, one sentence each.
    pub(crate) sentences: Vec<String>,
}

/// The findings of all checks.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<Check, Finding>);

impl Findings {
    /// One more thing looked at.
    pub(crate) fn judged(&mut self, check: Check) {
        self.0.entry(check).or_default().judged += 1;
    }

    pub(crate) fn violation(&mut self, check: Check, sentence: String) {
        let finding = self.0.entry(check).or_default();
        finding.violations += 1;
        if finding.sentences.len() < SENTENCES_MAX {
            finding.sentences.push(sentence);
        }
    }

    /// Looks at one thing: `holds`, or the sentence is a violation.
    pub(crate) fn expect(&mut self, check: Check, holds: bool, sentence: impl FnOnce() -> String) {
        self.judged(check);
        if !holds {
            self.violation(check, sentence());
        }
    }
}

/// The numbers of the equation.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Numbers {
    /// Paid orders made during the run.
    pub(crate) orders: usize,
    /// Charges made during the run, by the provider's ledger.
    pub(crate) charges: usize,
    /// Keys whose customer was told "bought".
    pub(crate) acknowledged: usize,
    /// Paid orders whose customer was never told.
    pub(crate) recovered: usize,
    /// Keys whose customer was told a definite no.
    pub(crate) refused: usize,
    /// Keys whose customer was told that they stand for nothing.
    pub(crate) unused: usize,
    /// Keys whose customer never learned what became of them.
    pub(crate) unknown: usize,
    /// Reads that did not show the newest cart while a node with carts stood still: allowed, but counted.
    pub(crate) stale_views: usize,
}

/// The result.
#[derive(Debug, Serialize)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) numbers: Numbers,
    pub(crate) findings: BTreeMap<Check, Finding>,
    pub(crate) gaps: Vec<String>,
}

/// Whether one of these spans of time has a moment in common with another (milliseconds from and to, both included).
fn any_meets(spans: &[(u64, u64)], from_ms: u64, to_ms: u64) -> bool {
    spans.iter().any(|(from, to)| *from <= to_ms && from_ms <= *to)
}

/// Holds everything against everything else.
pub(crate) fn judge(evidence: &Evidence) -> Judgement {
    let book = Book::new(evidence);
    let mut findings = Findings::default();
    let mut numbers = orders::check(&book, &mut findings);
    amounts::check(&book, &mut findings);
    stock::check(&book, &mut findings);
    cart::check(&book, &mut findings, &mut numbers);
    answers::check(&book, &mut findings);
    notify::check(&book, &mut findings);
    permits::check(evidence, &mut findings);
    sessions::check(evidence, &mut findings);
    calls::check(&book, &mut findings);
    let mut gaps = evidence.gaps.clone();
    claims::check(&book, &mut findings, &mut gaps);
    liveness::check(&book, &mut findings, &mut gaps);
    if numbers.acknowledged == 0 {
        gaps.push("no checkout was acknowledged, so nothing was tested".to_owned());
    }
    let failed = findings.0.values().any(|finding| finding.violations > 0);
    let verdict = match (failed, gaps.is_empty()) {
        (true, _) => Verdict::Fail,
        (false, false) => Verdict::Unknown,
        (false, true) => Verdict::Pass,
    };
    Judgement { verdict, numbers, findings: findings.0, gaps }
}
