//! `payments.charge`: charges a checkout, once.

use std::time::Duration;

use contract::{
    CallError, Once, Outcome,
    payments::{Charge, ChargeStatus},
};
use rpc::Scope;
use tokio::time::Instant;

use crate::App;

/// How long a caller that named no deadline is made to wait.
pub(super) const PATIENCE_DEFAULT: Duration = Duration::from_secs(4);
/// Kept for the way back, so that "not known yet" arrives before the caller has to guess.
const ANSWER_MARGIN: Duration = Duration::from_millis(25);

pub(crate) async fn charge(app: App, op: Charge, once: Once) -> Outcome<Charge> {
    if once.id().as_str() != op.operation.to_string() {
        return Err(CallError::NotExecuted("the request id of a charge is its operation".to_owned()));
    }
    if op.amount.amount_minor <= 0 {
        return Err(CallError::NotExecuted("a charge is of at least one minor unit".to_owned()));
    }
    let (deadline, permit_by) = deadlines(Instant::now());
    let gateway = app.gateway.clone();
    // Detached: a caller that hangs up must not cut between the provider's answer and its record (IK-8).
    let work = app.tasks.spawn(async move { gateway.charge(&op, &once, permit_by).await });
    match tokio::time::timeout_at(deadline, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(broken)) => Err(CallError::Unknown(format!("the charge broke off: {broken}"))),
        Err(_) => Ok(ChargeStatus::Pending {
            reason: "the provider has not answered yet".to_owned(),
            retry_after_ms: app.gateway.retry_after_ms(None),
        }),
    }
}

/// When the caller must be answered; and when a permit must be had, earlier, so that work that got none says so itself.
pub(super) fn deadlines(now: Instant) -> (Instant, Instant) {
    let patience = Scope::current().map_or(PATIENCE_DEFAULT, |scope| scope.remaining());
    (now + patience.saturating_sub(ANSWER_MARGIN), now + patience.saturating_sub(ANSWER_MARGIN * 2))
}
