//! `payments.observe`: the provider says, unasked, that it has made a charge.

use contract::{Outcome, Repeatable, payments::Observe};

use super::check_text;
use crate::{
    App,
    store::{Sighted, Sighting},
};

pub(crate) async fn observe(app: App, op: Observe, _: Repeatable) -> Outcome<Observe> {
    check_text("the provider's name for the charge", &op.provider_id)?;
    let Observe { operation, provider_id, amount } = op;
    let sighting = Sighting { operation, provider_id, amount: Some(amount), evidence: None };
    match app.gateway.charges().sight(&sighting).await? {
        Sighted::News => Ok(true),
        Sighted::Known => Ok(false),
        Sighted::NoIntent => {
            app.gateway.contradiction(operation, "the provider has charged what was never asked for");
            Ok(false)
        }
        Sighted::Contradicts { reason } => {
            app.gateway.contradiction(operation, &format!("the provider says it is charged, but {reason}"));
            Ok(false)
        }
    }
}
