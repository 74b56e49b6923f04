//! `payments.inspect`: what is on record about a charge.

use contract::{Outcome, Repeatable, payments::Inspect};

use crate::App;

pub(crate) async fn inspect(app: App, op: Inspect, _: Repeatable) -> Outcome<Inspect> {
    Ok(app.gateway.charges().inspect(op.operation).await?)
}
