//! The completer: finishes checkouts that nobody drives, because their node died, their client left, or the outcome of a
//! step was not known. Every logic node runs one; leases keep them apart.

use std::time::Duration;

use contract::{
    NoKey,
    orders::{Driver, Due, OpenCheckout},
};
use futures_util::future::join_all;
use overload::Class;
use rpc::{Scope, TraceContext};

use crate::{
    App,
    driver::{Driven, WORK_WITHIN, drive},
};

/// Pause between looks, plus up to as much again at random so that nodes do not look in step.
const LOOK_EVERY_MS: u64 = 250;
/// Checkouts driven at once by one node.
const AT_ONCE: u32 = 16;

pub(crate) async fn run(app: App) {
    let pause = || Duration::from_millis(LOOK_EVERY_MS + app.node.seams.below(LOOK_EVERY_MS));
    while app.node.tasks.pause(pause()).await {
        let driver = Driver(app.node.seams.uuid());
        match app.orders.call(&Due { driver, limit: AT_ONCE }, NoKey).await {
            Ok(due) => {
                join_all(due.into_iter().map(|checkout| finish(&app, checkout, driver))).await;
            }
            Err(error) => tracing::debug!(%error, "cannot ask for checkouts that are due"),
        }
    }
}

async fn finish(app: &App, checkout: OpenCheckout, driver: Driver) {
    let operation = checkout.operation;
    // As important as when its customer asked for it, and in the lane of those that wait for the provider.
    let scope = Scope::new(WORK_WITHIN, TraceContext::start(&app.node.seams)).of(Class::Critical);
    // On a task of its own: shutdown must not cut between charge and record when it need not.
    let (task_app, tasks) = (app.clone(), &app.node.tasks);
    let driven = tasks.spawn(scope.run(async move { drive(&task_app, checkout, driver).await })).await;
    if let Ok(Driven::Ended(_)) = driven {
        tracing::info!(%operation, "checkout finished without its client");
    }
}
