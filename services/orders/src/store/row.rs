//! One row of `operations`, and what it says. Shared by all back ends, so that they cannot differ in it.

use contract::{
    Money, OperationId, PrincipalId,
    orders::{Answer, Found, OpenCheckout, Order, OrderState, Snapshot},
    payments::PaymentToken,
};
use sqlx::FromRow;
use store::StoreError;

use super::Periods;

/// The version that this binary writes, and the newest it understands (IK-17).
pub(crate) const VERSION: i64 = 1;

/// All columns that anybody reads, in one place, so that every query maps to one struct. The database's time comes with
/// them: a row is judged by the clock that wrote it (SEM-7).
pub(crate) const COLUMNS: &str = "id, principal, fingerprint, version, state, snapshot, payment, created_at_ms, \
     not_after_ms, attempts, reason, attention_since_ms, driver, lease_until_ms, answer, ended_at_ms, now_ms() AS now_ms";

/// What is stored instead of an answer that is too long to be kept: it is made again from the row (IK-18).
pub(super) const REFERENCE: &str = "\"order\"";

#[derive(Clone, Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) principal: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) state: String,
    pub(crate) snapshot: String,
    pub(crate) payment: Option<String>,
    pub(crate) created_at_ms: i64,
    pub(crate) not_after_ms: i64,
    pub(crate) attempts: i64,
    pub(crate) reason: Option<String>,
    pub(crate) attention_since_ms: Option<i64>,
    pub(crate) driver: Option<String>,
    pub(crate) lease_until_ms: i64,
    pub(crate) answer: Option<String>,
    pub(crate) ended_at_ms: Option<i64>,
    /// When it was read.
    pub(crate) now_ms: i64,
}

/// How a checkout ended, as far as it is still told.
#[derive(Debug)]
pub(crate) enum End {
    /// It has not.
    Open,
    /// With this answer.
    Answer(Box<Answer>),
    /// So long ago that its answer is kept no more.
    Expired,
}

impl Row {
    pub(crate) fn id(&self) -> Result<OperationId, StoreError> {
        self.id.parse().map_err(|_| self.corrupt("id"))
    }

    pub(crate) fn principal(&self) -> Result<PrincipalId, StoreError> {
        self.principal.parse().map_err(|_| self.corrupt("principal"))
    }

    pub(crate) fn state(&self) -> Result<OrderState, StoreError> {
        serde_json::from_value(self.state.as_str().into()).map_err(|_| self.corrupt("state"))
    }

    /// Whether it is not over.
    pub(crate) fn is_open(&self) -> bool {
        is_open(&self.state)
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        if self.version > VERSION {
            return Err(StoreError::Corrupt(format!(
                "operation {} has version {}, newer than this node",
                self.id, self.version
            )));
        }
        Ok(serde_json::from_str(&self.snapshot)?)
    }

    pub(crate) fn order(&self) -> Result<Order, StoreError> {
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

    /// How it ended. Whether that is still told is judged here and now, not by whether the reaper has come by (IK-12).
    pub(crate) fn end(&self, periods: &Periods) -> Result<End, StoreError> {
        if self.is_open() {
            return Ok(End::Open);
        }
        let ended_at_ms = self.ended_at_ms.ok_or_else(|| self.corrupt("ended_at_ms"))?;
        match self.answer.as_deref() {
            Some(answer) if ended_at_ms.saturating_add(periods.result_ms) > self.now_ms => {
                self.answer(answer).map(|answer| End::Answer(Box::new(answer)))
            }
            _ => Ok(End::Expired),
        }
    }

    fn answer(&self, stored: &str) -> Result<Answer, StoreError> {
        if stored == REFERENCE {
            // As it was answered then: a refund since does not change what the customer was told (IK-14).
            return Ok(Answer::Completed(Order { state: OrderState::Completed, ..self.order()? }));
        }
        Ok(serde_json::from_str(stored)?)
    }

    /// For calls that know no other answer than the stored one.
    pub(crate) fn kept_no_more(&self) -> StoreError {
        StoreError::Corrupt(format!("operation {} ended so long ago that its answer is kept no more", self.id))
    }

    pub(crate) fn found(&self, periods: &Periods) -> Result<Found, StoreError> {
        Ok(match self.end(periods)? {
            End::Open => Found::Open { operation: self.id()? },
            End::Answer(answer) => Found::Ended(*answer),
            End::Expired => Found::Expired { operation: self.id()?, state: self.state()? },
        })
    }

    pub(crate) fn checkout(&self) -> Result<OpenCheckout, StoreError> {
        Ok(OpenCheckout {
            operation: self.id()?,
            principal: self.principal()?,
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

pub(crate) fn is_open(state: &str) -> bool {
    matches!(state, "accepted" | "needs_attention")
}

/// For the person who looks at a row that no driver could read: it must not hide the rest of the queue.
pub(crate) fn total_if_readable(snapshot: &str) -> Option<Money> {
    let snapshot: serde_json::Value = serde_json::from_str(snapshot).ok()?;
    serde_json::from_value(snapshot.get("total")?.clone()).ok()
}
