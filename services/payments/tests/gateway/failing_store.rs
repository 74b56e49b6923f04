//! The SQL store with failures and pauses on command.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
};

use async_trait::async_trait;
use contract::{
    Money, Once, OperationId, ShareEverything, Upholds,
    payments::{ChargeRecord, CloseRefusal, Evidence},
};
use payments::store::{
    Ask, Begin, BeginRefund, Booked, ChargeStore, Decision, Intent, Leased, RefundDecision, RefundStanding,
    RefundStore, ShareStore, Sighted, Sighting, SqlCharges, Standing,
};
use runtime::ManualClock;
use store::StoreError;

#[derive(Debug)]
pub(crate) struct Failures {
    clock: Arc<ManualClock>,
    pause_ms: AtomicI64,
    begins: AtomicBool,
    decisions: AtomicBool,
}

impl Failures {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, pause_ms: AtomicI64::new(0), begins: AtomicBool::default(), decisions: AtomicBool::default() }
    }

    /// Moves the wall clock after each intent, as if the process had stood still.
    pub(crate) fn pause_after_begin_ms(&self, ms: i64) {
        self.pause_ms.store(ms, SeqCst);
    }

    pub(crate) fn fail_begins(&self, fail: bool) {
        self.begins.store(fail, SeqCst);
    }

    pub(crate) fn fail_decisions(&self, fail: bool) {
        self.decisions.store(fail, SeqCst);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FailingStore {
    pub(crate) inner: SqlCharges,
    pub(crate) failures: Arc<Failures>,
}

impl Upholds<ShareEverything> for FailingStore {}

fn failed() -> StoreError {
    StoreError::NotExecuted("disk full".to_owned())
}

#[async_trait]
impl ChargeStore for FailingStore {
    async fn look(&self, intent: &Intent) -> Result<Standing, StoreError> {
        self.inner.look(intent).await
    }

    async fn begin(&self, once: &Once, intent: &Intent, ahead_max_ms: i64) -> Result<Begin, StoreError> {
        if self.failures.begins.load(SeqCst) {
            return Err(failed());
        }
        let begin = self.inner.begin(once, intent, ahead_max_ms).await;
        self.failures.clock.advance_ms(self.failures.pause_ms.load(SeqCst));
        begin
    }

    async fn not_sent(&self, once: &Once, operation: OperationId) -> Result<(), StoreError> {
        self.inner.not_sent(once, operation).await
    }

    async fn reject(&self, once: &Once, intent: &Intent, code: &str) -> Result<Standing, StoreError> {
        self.inner.reject(once, intent, code).await
    }

    async fn decide(&self, once: &Once, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError> {
        if self.failures.decisions.load(SeqCst) {
            return Err(failed());
        }
        self.inner.decide(once, intent, decision).await
    }

    async fn close(
        &self,
        operation: OperationId,
        evidence: Option<&Evidence>,
    ) -> Result<Result<(), CloseRefusal>, StoreError> {
        self.inner.close(operation, evidence).await
    }

    async fn sight(&self, sighting: &Sighting) -> Result<Sighted, StoreError> {
        self.inner.sight(sighting).await
    }

    async fn inspect(&self, operation: OperationId) -> Result<Option<ChargeRecord>, StoreError> {
        self.inner.inspect(operation).await
    }

    async fn page(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<Booked>, StoreError> {
        self.inner.page(after, limit).await
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        self.inner.now_ms().await
    }
}

#[async_trait]
impl RefundStore for FailingStore {
    async fn begin_refund(
        &self,
        once: &Once,
        operation: OperationId,
        amount: Money,
        evidence: &Evidence,
    ) -> Result<BeginRefund, StoreError> {
        self.inner.begin_refund(once, operation, amount, evidence).await
    }

    async fn decide_refund(
        &self,
        once: &Once,
        operation: OperationId,
        decision: &RefundDecision,
    ) -> Result<RefundStanding, StoreError> {
        if self.failures.decisions.load(SeqCst) {
            return Err(failed());
        }
        self.inner.decide_refund(once, operation, decision).await
    }
}

#[async_trait]
impl ShareStore for FailingStore {
    async fn lease(&self, ask: &Ask) -> Result<Leased, StoreError> {
        self.inner.lease(ask).await
    }
}
