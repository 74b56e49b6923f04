//! `shop.inspect`: all that is known about one item, from both owners, and what it proves (CO-21).

use contract::{
    CallError, NoKey, Outcome, Repeatable, orders, payments,
    shop::{Inspect, Inspected},
};

use crate::{App, proof};

pub(crate) async fn inspect(app: App, request: Inspect, _: Repeatable) -> Outcome<Inspect> {
    let detail = app.orders.call(&orders::Inspect { id: request.id }, NoKey).await?;
    let charge = match detail.item.operation {
        Some(operation) => {
            let read = payments::Inspect { operation };
            app.payments.call(&read, NoKey).await.map_err(CallError::widen)?
        }
        None => None,
    };
    let proven = proof::sentences(&detail, charge.as_ref(), app.node.seams.now_ms());
    Ok(Inspected { detail, charge, proven })
}
