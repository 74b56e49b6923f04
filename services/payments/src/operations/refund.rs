//! `payments.refund`: pays a whole charge back, once.

use contract::{
    CallError, Once, Outcome,
    payments::{Refund, RefundStatus},
};
use tokio::time::Instant;

use super::{charge::deadlines, check_evidence};
use crate::App;

pub(crate) async fn refund(app: App, op: Refund, once: Once) -> Outcome<Refund> {
    if once.id().as_str() != op.operation.to_string() {
        return Err(CallError::NotExecuted("the request id of a refund is its operation".to_owned()));
    }
    if op.amount.amount_minor <= 0 {
        return Err(CallError::NotExecuted("a refund is of at least one minor unit".to_owned()));
    }
    check_evidence(&op.evidence)?;
    let (deadline, permit_by) = deadlines(Instant::now());
    let gateway = app.gateway.clone();
    // Detached, for the same reason as a charge.
    let work = app.tasks.spawn(async move { gateway.refund(&op, &once, permit_by).await });
    match tokio::time::timeout_at(deadline, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(broken)) => Err(CallError::Unknown(format!("the refund broke off: {broken}"))),
        Err(_) => Ok(RefundStatus::Pending { reason: "the provider has not answered yet".to_owned() }),
    }
}
