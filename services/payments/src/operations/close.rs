//! `payments.close`: a checkout that will not be charged never is.

use contract::{CallError, Outcome, Repeatable, payments::Close};

use crate::App;

pub(crate) async fn close(app: App, op: Close, _: Repeatable) -> Outcome<Close> {
    app.gateway.charges().close(op.operation, op.evidence.as_ref()).await?.map_err(CallError::Refused)
}
