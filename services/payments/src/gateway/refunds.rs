//! The order of steps around one refund: that of a charge. The provider keeps one refund for a charge for ever, so sending the
//! same key again is safe at any time.

use contract::{
    CallError, Once, Outcome,
    payments::{Refund, RefundRefusal, RefundStatus},
};
use tokio::time::Instant;

use super::Gateway;
use crate::{
    permits::{Called, Purpose},
    provider::RefundAnswer,
    store::{BeginRefund, NOTHING_KNOWN, RefundDecision, RefundStanding},
};

impl Gateway {
    /// Pays back once, or says what is known.
    pub(crate) async fn refund(&self, op: &Refund, once: &Once, permit_by: Instant) -> Outcome<Refund> {
        let Some(permit) = self.permits.acquire(Purpose::Settle, permit_by).await else {
            return Ok(pending("all permits to call the provider are in use"));
        };
        match self.charges.begin_refund(once, op.operation, op.amount, &op.evidence).await? {
            BeginRefund::Send => {}
            BeginRefund::Stands(standing) => return answer(standing),
        }
        runtime::crash::point("payments.refund.intended");
        let call = self.provider.refund(op.operation, op.amount);
        let works_on = |said: &RefundAnswer| matches!(said, RefundAnswer::Unknown { .. });
        let said = match permit.call(self.limits.provider_timeout, call, works_on).await {
            Called::NotSent => return Ok(pending("the lease of the permit ran out before the send")),
            Called::Silent => RefundAnswer::Unknown { reason: self.silence() },
            Called::Answered(said) => said,
        };
        let decision = match said {
            RefundAnswer::Refunded { refund_id } => RefundDecision::Refunded { refund_id },
            RefundAnswer::Refused { code } => RefundDecision::Refused { code },
            RefundAnswer::Undecided { reason } | RefundAnswer::Unknown { reason } => return Ok(pending(&reason)),
        };
        match self.charges.decide_refund(once, op.operation, &decision).await {
            Ok(standing) => {
                if standing != decision.clone().into() {
                    self.contradiction(
                        op.operation,
                        &format!("refund: recorded {standing:?}, the provider says {decision:?}"),
                    );
                }
                answer(standing)
            }
            Err(error) => {
                tracing::error!(operation = %op.operation, %error, "the outcome of a refund could not be recorded");
                Ok(pending("the provider's decision could not be recorded"))
            }
        }
    }
}

fn answer(standing: RefundStanding) -> Outcome<Refund> {
    match standing {
        RefundStanding::Refunded { refund_id } => Ok(RefundStatus::Refunded { refund_id }),
        RefundStanding::Refused { code } => Err(CallError::Refused(RefundRefusal::Provider { code })),
        RefundStanding::OtherAmount => Err(CallError::Refused(RefundRefusal::OtherAmount)),
        RefundStanding::ChargeOpen => Err(CallError::NotExecuted(
            "the charge itself is not decided yet: settle that first, then pay it back".to_owned(),
        )),
        RefundStanding::Open => Ok(pending(NOTHING_KNOWN)),
    }
}

fn pending(reason: &str) -> RefundStatus {
    RefundStatus::Pending { reason: reason.to_owned() }
}
