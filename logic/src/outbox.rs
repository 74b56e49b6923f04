//! Delivers what is to be done after a checkout ended: settle or release stock, clear the cart, send the receipt.
//! At least once: an event is forgotten only after its consumer said it is done, and consumers recognise repeats.
//!
//! In batches: a round takes what has come since the one before, and stock is settled by one call, in one transaction, for
//! all of them. So there is a pause between rounds also while there is work; without it each round would find one or two
//! events, and cost as much as one that finds fifty.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{
    CallError, EventId, NoKey, OperationId,
    carts::Clear,
    catalogue::{EndRefusal, Release, SETTLE_MAX, Settle},
    orders::{Ack, Event, EventKind, Events},
};
use futures_util::future::{join, join_all};
use runtime::crash;

use crate::App;

/// Pause between looks, plus up to as much again at random so that nodes do not look in step.
const LOOK_EVERY_MS: u64 = 100;
/// Events taken at once. After so many there is no pause: there may be more.
const AT_ONCE: u32 = 100;
const _: () = assert!(AT_ONCE as usize <= SETTLE_MAX);

/// Checkouts whose carts this node's drivers have cleared: the event need not be delivered once more, if this node takes
/// it. What a node that dies knew of them dies with it, and then they are cleared again, which changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleared(Arc<Mutex<BTreeSet<OperationId>>>);

impl Cleared {
    /// Most that are remembered: the events of about half of them go to other nodes. At the bound it starts anew.
    const MAX: usize = 4_096;

    pub(crate) fn add(&self, operation: OperationId) {
        let mut cleared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cleared.len() >= Self::MAX {
            cleared.clear();
        }
        cleared.insert(operation);
    }

    fn take(&self, operation: OperationId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation)
    }
}

pub(crate) async fn run(app: App) {
    let pause = || Duration::from_millis(LOOK_EVERY_MS + app.node.seams.below(LOOK_EVERY_MS));
    while !app.node.tasks.is_draining() {
        let taken = round(&app).await;
        if taken < AT_ONCE as usize && !app.node.tasks.pause(pause()).await {
            return;
        }
    }
}

/// Delivers one batch; returns how many events were taken, or none if none could be delivered.
async fn round(app: &App) -> usize {
    let events = match app.orders.call(&Events { limit: AT_ONCE }, NoKey).await {
        Ok(events) => events,
        Err(error) => {
            tracing::debug!(%error, "cannot ask for events");
            return 0;
        }
    };
    let taken = events.len();
    let (sold, others): (Vec<_>, Vec<_>) =
        events.into_iter().partition(|event| matches!(event.kind, EventKind::SettleStock));
    let others = join_all(others.into_iter().map(|event| deliver(app, event)));
    let (mut ids, others) = join(settle(app, &sold), others).await;
    ids.extend(others.into_iter().flatten());
    if ids.is_empty() {
        return 0;
    }
    crash::point("logic.outbox.delivered");
    if let Err(error) = app.orders.call(&Ack { ids }, NoKey).await {
        tracing::warn!(%error, "delivered events cannot be forgotten yet and will be delivered again");
    }
    taken
}

/// Settles the stock of all these checkouts by one call. Should that fail, each gets a call of its own, since one that no
/// catalogue can take must not hold up the others (CO-26).
async fn settle(app: &App, events: &[Event]) -> Vec<EventId> {
    let refused = match settle_batch(app, events).await {
        Ok(refused) => refused,
        Err(_) if events.len() > 1 => {
            let alone = events.iter().map(async |event| {
                let refused = settle_batch(app, std::slice::from_ref(event)).await;
                refused.unwrap_or_else(|reason| vec![(event.operation, reason)])
            });
            join_all(alone).await.concat()
        }
        Err(reason) => events.iter().map(|event| (event.operation, reason.clone())).collect(),
    };
    let mut done = Vec::with_capacity(events.len());
    for event in events {
        match refused.iter().find(|(operation, _)| *operation == event.operation) {
            None => done.push(event.id),
            Some((_, reason)) => not_delivered(event.operation, event.id, reason),
        }
    }
    done
}

/// The ones that were not settled, and why.
async fn settle_batch(app: &App, events: &[Event]) -> Result<Vec<(OperationId, String)>, String> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let operations = events.iter().map(|event| event.operation).collect();
    let refused = app.stock.call(&Settle { operations }, NoKey).await.map_err(|error| error.to_string())?;
    Ok(refused.into_iter().map(|(operation, why)| (operation, format!("refused: {why:?}"))).collect())
}

/// The event's id when its consumer is done with it; otherwise its lease lapses and it comes again.
async fn deliver(app: &App, event: Event) -> Option<EventId> {
    let Event { id, operation, kind } = event;
    let result = match kind {
        // Settled together with others.
        EventKind::SettleStock => return None,
        EventKind::ReleaseStock => ended(app.stock.call(&Release { operation }, NoKey).await),
        EventKind::ClearCart { .. } if app.cleared.take(operation) => Ok(()),
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
            not_delivered(operation, id, &reason);
            None
        }
    }
}

fn not_delivered(operation: OperationId, event: EventId, reason: &str) {
    tracing::warn!(%operation, %event, reason, "event not delivered; it will come again");
}

fn ended(outcome: Result<(), CallError<EndRefusal>>) -> Result<(), String> {
    outcome.map_err(|error| error.to_string())
}
