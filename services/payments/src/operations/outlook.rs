//! `payments.outlook`: how a charge that comes now would fare.

use std::time::Duration;

use contract::{
    Outcome, Repeatable,
    payments::{Expected, Outlook},
};

use crate::App;

pub(crate) async fn outlook(app: App, _: Outlook, _: Repeatable) -> Outcome<Outlook> {
    let outlook = app.gateway.outlook();
    Ok(Expected { wait_ms: millis(outlook.wait), call_ms: millis(outlook.call) })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
