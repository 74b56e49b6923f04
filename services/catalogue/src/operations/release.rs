//! `catalogue.release`: puts the pieces of a refused checkout back.

use contract::{CallError, Outcome, Repeatable, catalogue::Release};

use crate::App;

pub(crate) async fn release(app: App, op: Release, _: Repeatable) -> Outcome<Release> {
    let answer = app.stock.release(op.operation).await?;
    app.shelf.changed();
    answer.map_err(CallError::Refused)
}
