//! Delivers what is to be done after a checkout ended: settle or release stock, clear the cart, send the receipt.
//! At least once: an event is forgotten only after its consumer said it is done, and consumers recognise repeats.

use std::time::Duration;

use contract::{
    CallError, EventId, NoKey,
    carts::Clear,
    catalogue::{EndRefusal, Release, Settle},
    orders::{Ack, Event, EventKind, Events},
};
use futures_util::future::join_all;
use runtime::crash;

use crate::App;

/// Pause between looks when there was nothing, plus up to as much again at random.
const LOOK_EVERY_MS: u64 = 100;
/// Events taken at once.
const AT_ONCE: u32 = 50;

pub(crate) async fn run(app: App) {
    loop {
        let delivered = round(&app).await;
        if delivered == 0 {
            let pause_ms = LOOK_EVERY_MS + app.node.seams.below(LOOK_EVERY_MS);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }
}

/// Delivers one batch; returns how many were delivered.
async fn round(app: &App) -> usize {
    let events = match app.orders.call(&Events { limit: AT_ONCE }, NoKey).await {
        Ok(events) => events,
        Err(error) => {
            tracing::debug!(%error, "cannot ask for events");
            return 0;
        }
    };
    let delivered = join_all(events.into_iter().map(|event| deliver(app, event))).await;
    let ids: Vec<EventId> = delivered.into_iter().flatten().collect();
    let count = ids.len();
    if count > 0 {
        crash::point("logic.outbox.delivered");
    }
    if count > 0
        && let Err(error) = app.orders.call(&Ack { ids }, NoKey).await
    {
        tracing::warn!(%error, "delivered events cannot be forgotten yet and will be delivered again");
    }
    count
}

/// The event's id when its consumer is done with it; otherwise its lease lapses and it comes again.
async fn deliver(app: &App, event: Event) -> Option<EventId> {
    let Event { id, operation, kind } = event;
    let result = match kind {
        EventKind::SettleStock => ended(app.stock.call(&Settle { operation }, NoKey).await),
        EventKind::ReleaseStock => ended(app.stock.call(&Release { operation }, NoKey).await),
        EventKind::ClearCart { cart, epoch, ops } => {
            let cleared = app.carts.call(&Clear { cart, epoch, ops }, NoKey).await;
            cleared.map(|_| ()).map_err(|error| error.to_string())
        }
        EventKind::SendReceipt { principal, order } => {
            app.receipts.send(id, principal, &order).await.map_err(|error| error.to_string())
        }
    };
    match result {
        Ok(()) => Some(id),
        Err(reason) => {
            tracing::warn!(%operation, event = %id, reason, "event not delivered; it will come again");
            None
        }
    }
}

fn ended(outcome: Result<(), CallError<EndRefusal>>) -> Result<(), String> {
    outcome.map_err(|error| error.to_string())
}
