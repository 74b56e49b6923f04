//! Charges, refunds and shares in plain memory, for simulations of the whole shop in one process: no thread, no socket, and
//! the clock of the seams, so a run repeats for its seed. Held to the SQL store by the same suite.
//!
//! What is in here has been committed: a simulated node that dies loses none of it.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use contract::{
    Money, Once, OperationId, ShareEverything, Upholds,
    payments::{ChargeRecord, CloseRefusal, Evidence},
};
use runtime::Seams;
use store::{
    StoreError,
    simulated::{Hook, no_faults},
};

use super::{
    Ask, Begin, BeginRefund, Booked, ChargeStore, Closing, Decision, Intent, Leased, Outcome, RefundDecision,
    RefundStanding, RefundStore, ShareStore, Sighted, Sighting, Standing, Table, judge_sighting, may_close, note_of,
    open, refunds::may_refund,
};

/// Charges in memory. Clones share them.
#[derive(Clone)]
pub struct SimulatedCharges {
    tables: Arc<Mutex<Tables>>,
    seams: Seams,
    hook: Hook,
}

#[derive(Default)]
struct Tables {
    charges: BTreeMap<OperationId, Row>,
    refunds: BTreeMap<OperationId, Refund>,
    shares: Table,
}

#[derive(Clone)]
struct Row {
    /// None on a mark that closes what never came.
    intent: Option<Intent>,
    end: End,
    attempts: u32,
    maybe_sent: u32,
    said: Option<Evidence>,
    changed_at_ms: i64,
}

#[derive(Clone)]
enum End {
    Open,
    Decided(Decision),
    Closed,
}

struct Refund {
    amount: Money,
    said: Evidence,
    decided: Option<RefundDecision>,
}

impl Upholds<ShareEverything> for SimulatedCharges {}

impl fmt::Debug for SimulatedCharges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedCharges").finish_non_exhaustive()
    }
}

impl SimulatedCharges {
    /// No charges yet; time is that of the seams, and every call works.
    #[must_use]
    pub fn new(seams: Seams) -> Self {
        Self { tables: Arc::default(), seams, hook: no_faults() }
    }

    /// The same data for another node, whose calls fail as `hook` says.
    #[must_use]
    pub fn with_hook(&self, hook: Hook) -> Self {
        Self { hook, ..self.clone() }
    }

    fn run<T>(&self, call: &'static str, work: impl FnOnce(&mut Tables, i64) -> T) -> Result<T, StoreError> {
        self.try_run(call, |tables, now_ms| Ok(work(tables, now_ms)))
    }

    fn try_run<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(&mut Tables, i64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = (self.hook)(call);
        let mut tables: MutexGuard<'_, Tables> = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        fault.around(|| work(&mut tables, self.seams.now_ms()))
    }
}

impl Row {
    fn new(intent: Option<Intent>, end: End, now_ms: i64) -> Self {
        Self { intent, end, attempts: 0, maybe_sent: 0, said: None, changed_at_ms: now_ms }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self.end {
            End::Open => None,
            End::Decided(Decision::Charged { .. }) => Some(Outcome::Charged),
            End::Decided(Decision::Declined { .. }) => Some(Outcome::Declined),
            End::Closed => Some(Outcome::Closed),
        }
    }

    fn standing(&self, asked: &Intent) -> Standing {
        match &self.end {
            _ if self.intent.as_ref().is_some_and(|intent| intent != asked) => Standing::OtherIntent,
            End::Open => Standing::Open,
            End::Decided(decision) => Standing::Decided(decision.clone()),
            End::Closed => Standing::Closed,
        }
    }

    fn amount(&self) -> Option<Money> {
        self.intent.as_ref().map(|intent| intent.amount)
    }

    fn provider_id(&self) -> Option<&str> {
        match &self.end {
            End::Decided(Decision::Charged { provider_id }) => Some(provider_id),
            _ => None,
        }
    }
}

impl Tables {
    fn standing(&self, intent: &Intent) -> Standing {
        self.charges.get(&intent.operation).map_or(Standing::Open, |row| row.standing(intent))
    }

    fn open(&mut self, operation: OperationId) -> Option<&mut Row> {
        self.charges.get_mut(&operation).filter(|row| matches!(row.end, End::Open))
    }
}

impl Refund {
    fn standing(&self) -> RefundStanding {
        self.decided.clone().map_or(RefundStanding::Open, RefundStanding::from)
    }
}

#[async_trait]
impl ChargeStore for SimulatedCharges {
    async fn look(&self, intent: &Intent) -> Result<Standing, StoreError> {
        self.run("look", |tables, _| tables.standing(intent))
    }

    async fn begin(&self, _: &Once, intent: &Intent, ahead_max_ms: i64) -> Result<Begin, StoreError> {
        self.run("begin", |tables, now_ms| {
            let stands = tables.standing(intent);
            let (is_new, ahead) =
                (!tables.charges.contains_key(&intent.operation), intent.not_after_ms.saturating_sub(now_ms));
            if stands != Standing::Open {
                return Begin::Stands(stands);
            } else if ahead < 0 {
                return Begin::WindowOver;
            } else if is_new && ahead > ahead_max_ms {
                return Begin::WindowTooLong;
            }
            let new = || Row::new(Some(intent.clone()), End::Open, now_ms);
            let row = tables.charges.entry(intent.operation).or_insert_with(new);
            (row.attempts, row.maybe_sent, row.changed_at_ms) = (row.attempts + 1, row.maybe_sent + 1, now_ms);
            Begin::Send
        })
    }

    async fn not_sent(&self, _: &Once, operation: OperationId) -> Result<(), StoreError> {
        self.run("not_sent", |tables, now_ms| {
            if let Some(row) = tables.open(operation) {
                (row.maybe_sent, row.changed_at_ms) = (row.maybe_sent.saturating_sub(1), now_ms);
            }
        })
    }

    async fn reject(&self, _: &Once, intent: &Intent, code: &str) -> Result<Standing, StoreError> {
        self.run("reject", |tables, now_ms| {
            if let Some(row) = tables.open(intent.operation).filter(|row| row.maybe_sent > 0) {
                if row.maybe_sent == 1 {
                    row.end = End::Decided(Decision::Declined { code: code.to_owned() });
                }
                (row.maybe_sent, row.changed_at_ms) = (row.maybe_sent - 1, now_ms);
            }
            tables.standing(intent)
        })
    }

    async fn decide(&self, _: &Once, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError> {
        self.run("decide", |tables, now_ms| {
            let new = || Row::new(Some(intent.clone()), End::Open, now_ms);
            let row = tables.charges.entry(intent.operation).or_insert_with(new);
            if matches!(row.end, End::Open) {
                (row.end, row.changed_at_ms) = (End::Decided(decision.clone()), now_ms);
                return Standing::Decided(decision.clone());
            }
            row.standing(intent)
        })
    }

    async fn close(
        &self,
        operation: OperationId,
        evidence: Option<&Evidence>,
    ) -> Result<Result<(), CloseRefusal>, StoreError> {
        self.run("close", |tables, now_ms| {
            if let Some(row) = tables.charges.get(&operation) {
                let over = row.intent.as_ref().is_some_and(|intent| now_ms > intent.not_after_ms);
                match may_close(row.outcome(), row.maybe_sent.into(), over, evidence.is_some()) {
                    Closing::Already => return Ok(()),
                    Closing::Refused(why) => return Err(why.into()),
                    Closing::Close => {}
                }
            }
            let row = tables.charges.entry(operation).or_insert_with(|| Row::new(None, End::Closed, now_ms));
            (row.end, row.said, row.changed_at_ms) = (End::Closed, evidence.cloned(), now_ms);
            Ok(())
        })
    }

    async fn sight(&self, sighting: &Sighting) -> Result<Sighted, StoreError> {
        self.run("sight", |tables, now_ms| {
            let Some(row) = tables.charges.get_mut(&sighting.operation) else { return Sighted::NoIntent };
            if let Some(known) = judge_sighting(row.outcome(), row.amount(), row.provider_id(), sighting) {
                return known;
            }
            row.end = End::Decided(Decision::Charged { provider_id: sighting.provider_id.clone() });
            (row.said, row.changed_at_ms) = (sighting.evidence.clone(), now_ms);
            Sighted::News
        })
    }

    async fn inspect(&self, operation: OperationId) -> Result<Option<ChargeRecord>, StoreError> {
        self.run("inspect", |tables, _| {
            let row = tables.charges.get(&operation)?;
            let refund = tables.refunds.get(&operation);
            let pair = |said: &Evidence| (said.operator.clone(), said.note.clone());
            Some(ChargeRecord {
                status: match &row.end {
                    End::Open => Some(open()),
                    End::Decided(decision) => Some(decision.clone().into()),
                    End::Closed => None,
                },
                attempts: row.attempts,
                maybe_sent: row.maybe_sent,
                note: note_of(row.said.as_ref().map(pair), refund.map(|refund| pair(&refund.said))),
                refund_id: refund.and_then(|refund| match &refund.decided {
                    Some(RefundDecision::Refunded { refund_id }) => Some(refund_id.clone()),
                    _ => None,
                }),
            })
        })
    }

    async fn page(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<Booked>, StoreError> {
        self.run("page", |tables, _| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = tables.charges.range((from, Bound::Unbounded)).take(limit as usize);
            rows.map(|(operation, row)| Booked {
                operation: *operation,
                outcome: row.outcome(),
                amount: row.amount(),
                refunded: tables
                    .refunds
                    .get(operation)
                    .is_some_and(|refund| matches!(refund.decided, Some(RefundDecision::Refunded { .. }))),
                changed_at_ms: row.changed_at_ms,
            })
            .collect()
        })
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        self.run("now_ms", |_, now_ms| now_ms)
    }
}

#[async_trait]
impl RefundStore for SimulatedCharges {
    async fn begin_refund(
        &self,
        _: &Once,
        operation: OperationId,
        amount: Money,
        evidence: &Evidence,
    ) -> Result<BeginRefund, StoreError> {
        self.run("begin_refund", |tables, _| {
            let stands = match tables.refunds.get(&operation) {
                Some(refund) if refund.amount != amount => RefundStanding::OtherAmount,
                Some(refund) => refund.standing(),
                None => {
                    let charge = tables.charges.get(&operation).map(|row| (row.outcome(), row.amount()));
                    may_refund(charge, amount).err().unwrap_or(RefundStanding::Open)
                }
            };
            if stands != RefundStanding::Open {
                return BeginRefund::Stands(stands);
            }
            let new = || Refund { amount, said: evidence.clone(), decided: None };
            tables.refunds.entry(operation).or_insert_with(new);
            BeginRefund::Send
        })
    }

    async fn decide_refund(
        &self,
        _: &Once,
        operation: OperationId,
        decision: &RefundDecision,
    ) -> Result<RefundStanding, StoreError> {
        self.try_run("decide_refund", |tables, _| {
            let without = || StoreError::Corrupt(format!("refund {operation}: decided without an intent"));
            let refund = tables.refunds.get_mut(&operation).ok_or_else(without)?;
            refund.decided.get_or_insert_with(|| decision.clone());
            Ok(refund.standing())
        })
    }
}

#[async_trait]
impl ShareStore for SimulatedCharges {
    async fn lease(&self, ask: &Ask) -> Result<Leased, StoreError> {
        self.try_run("lease", |tables, now_ms| tables.shares.lease(ask, now_ms))
    }
}
