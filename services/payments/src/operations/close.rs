//! `payments.close`: a checkout that will not be charged never is.

use contract::{CallError, Outcome, Repeatable, payments::Close};

use super::check_evidence;
use crate::App;

pub(crate) async fn close(app: App, op: Close, _: Repeatable) -> Outcome<Close> {
    if let Some(evidence) = &op.evidence {
        check_evidence(evidence)?;
    }
    let closed = app.gateway.charges().close(op.operation, op.evidence.as_ref()).await?;
    runtime::crash::point("payments.close.committed");
    closed.map_err(CallError::Refused)
}
