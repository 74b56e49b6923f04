//! One row of `operations`, and what it says.

use contract::{
    Money, OperationId,
    orders::{Answer, Found, OpenCheckout, Order, OrderState, Snapshot},
    payments::PaymentToken,
};
use sqlx::FromRow;
use store::StoreError;

/// The version that this binary writes, and the newest it understands (IK-17).
pub(super) const VERSION: i64 = 1;

/// All columns that anybody reads, in one place, so that every query maps to one struct.
pub(super) const COLUMNS: &str = "id, principal, fingerprint, version, state, snapshot, payment, created_at_ms, not_after_ms, \
     attempts, reason, driver, lease_until_ms, answer";

#[derive(Debug, FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) principal: String,
    pub(super) fingerprint: Vec<u8>,
    pub(super) version: i64,
    pub(super) state: String,
    pub(super) snapshot: String,
    pub(super) payment: Option<String>,
    pub(super) created_at_ms: i64,
    pub(super) not_after_ms: i64,
    pub(super) attempts: i64,
    pub(super) reason: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) lease_until_ms: i64,
    pub(super) answer: Option<String>,
}

impl Row {
    pub(super) fn id(&self) -> Result<OperationId, StoreError> {
        self.id.parse().map_err(|_| self.corrupt("id"))
    }

    pub(super) fn state(&self) -> Result<OrderState, StoreError> {
        serde_json::from_value(self.state.as_str().into()).map_err(|_| self.corrupt("state"))
    }

    /// Whether it is not over.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "accepted" | "needs_attention")
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        if self.version > VERSION {
            return Err(StoreError::Corrupt(format!(
                "operation {} has version {}, newer than this node",
                self.id, self.version
            )));
        }
        Ok(serde_json::from_str(&self.snapshot)?)
    }

    /// For the person who looks at a row that no driver could read: it must not hide the rest of the queue.
    pub(super) fn total_if_readable(&self) -> Money {
        let snapshot: Option<serde_json::Value> = serde_json::from_str(&self.snapshot).ok();
        let total = snapshot.as_ref().and_then(|snapshot| snapshot.get("total"));
        total.and_then(|total| serde_json::from_value(total.clone()).ok()).unwrap_or(Money::gbp(0))
    }

    pub(super) fn order(&self) -> Result<Order, StoreError> {
        let snapshot = self.snapshot()?;
        Ok(Order {
            id: self.id()?,
            state: self.state()?,
            lines: snapshot.lines,
            total: snapshot.total,
            address: snapshot.address,
            created_at_ms: self.created_at_ms,
        })
    }

    /// The stored answer, when it is over.
    pub(super) fn answer(&self) -> Result<Option<Answer>, StoreError> {
        self.answer.as_deref().map(|answer| serde_json::from_str(answer).map_err(StoreError::from)).transpose()
    }

    pub(super) fn found(&self) -> Result<Found, StoreError> {
        Ok(match self.answer()? {
            Some(answer) => Found::Ended(answer),
            None => Found::Open { operation: self.id()? },
        })
    }

    pub(super) fn checkout(&self) -> Result<OpenCheckout, StoreError> {
        Ok(OpenCheckout {
            operation: self.id()?,
            principal: self.principal.parse().map_err(|_| self.corrupt("principal"))?,
            snapshot: self.snapshot()?,
            payment: PaymentToken(self.payment.clone().ok_or_else(|| self.corrupt("payment"))?),
            not_after_ms: self.not_after_ms,
            attempts: u32::try_from(self.attempts).map_err(|_| self.corrupt("attempts"))?,
        })
    }

    fn corrupt(&self, column: &str) -> StoreError {
        StoreError::Corrupt(format!("operation {}: column {column} cannot be read", self.id))
    }
}
