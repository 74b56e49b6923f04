//! What the rows become, as plain functions: every back end writes what these say, in its own way.

use contract::{
    EventId, Fingerprint, OperationId,
    orders::{
        Action, Answer, AttentionItem, AttentionKind, Event, EventKind, Order, OrderPage, OrderState, RefuseReason,
        ResolveRefusal, Taken,
    },
};
use store::StoreError;

use super::{
    Periods,
    row::{End, REFERENCE, Row, total_if_readable},
};

/// Longest answer that is stored as it is, in bytes of JSON; a longer one is made again from the row (IK-18).
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long after the provider's window a checkout that waits for a person is still looked up at the provider: longer than
/// any request to it can be under way.
pub(crate) const AFTER_WINDOW_MS: i64 = 10 * 60 * 1_000;
/// A time that does not come: the checkout waits for a person, or for news.
pub(crate) const NEVER_MS: i64 = i64::MAX;

/// How a checkout is to end.
#[derive(Debug)]
pub(crate) enum Ending {
    Complete {
        provider_id: String,
    },
    Refuse(RefuseReason),
    /// By a person, who has seen that nothing was charged.
    NotCharged,
}

/// What ending a checkout writes.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) state: &'static str,
    pub(crate) provider_id: Option<String>,
    pub(crate) answer: Answer,
    /// The answer as it is stored.
    pub(crate) stored: String,
    /// Ids and kinds, in order.
    pub(crate) events: Vec<(String, String)>,
    /// Whether its lines may be bought again, under a new key.
    pub(crate) frees_lines: bool,
}

pub(crate) fn ending(row: &Row, ending: Ending) -> Result<Ended, StoreError> {
    let operation = row.id()?;
    let refused = |state, answer| (state, None, answer, vec![EventKind::ReleaseStock]);
    let (state, provider_id, answer, kinds) = match ending {
        Ending::Complete { provider_id } => {
            let order = Order { state: OrderState::Completed, ..row.order()? };
            let snapshot = row.snapshot()?;
            let clear = EventKind::ClearCart { cart: snapshot.cart, epoch: snapshot.epoch, ops: snapshot.ops };
            let receipt = EventKind::SendReceipt { principal: row.principal()?, order: order.clone() };
            let kinds = vec![EventKind::SettleStock, clear, receipt];
            ("completed", Some(provider_id), Answer::Completed(order), kinds)
        }
        Ending::Refuse(RefuseReason::Declined { code }) => {
            refused("declined", Answer::Declined { order: operation, code })
        }
        Ending::Refuse(RefuseReason::OutOfStock { sku, available }) => {
            refused("refused", Answer::OutOfStock { order: operation, sku, available })
        }
        Ending::Refuse(RefuseReason::Closed) => refused("refused", Answer::Closed { order: operation, proven: true }),
        Ending::NotCharged => refused("refused", Answer::Closed { order: operation, proven: false }),
    };
    let stored = serde_json::to_string(&answer)?;
    // Only an order can be that long, and it can be read from the row.
    let stored = if stored.len() > ANSWER_BYTES_MAX { REFERENCE.to_owned() } else { stored };
    let events = kinds.iter().map(|kind| event(operation, kind)).collect::<Result<_, _>>()?;
    Ok(Ended { state, frees_lines: provider_id.is_none(), provider_id, answer, stored, events })
}

/// An event's id is a function of its content, so that no repeat can publish it twice.
fn event(operation: OperationId, kind: &EventKind) -> Result<(String, String), StoreError> {
    let kind = serde_json::to_string(kind)?;
    let id = Fingerprint::of(format!("{operation} {kind}").as_bytes()).uuid();
    Ok((EventId(id).to_string(), kind))
}

/// Times the first lease that an event gets which was tried so often before: each try doubles it, up to a minute by default,
/// so that a poisoned event does not hold up the others (CO-26).
#[cfg(feature = "simulation")]
pub(crate) const fn event_lease_times(attempts: i64) -> i64 {
    match attempts {
        0 => 1,
        1 => 2,
        2 => 4,
        3 => 8,
        _ => 12,
    }
}

/// The same as SQL.
pub(crate) const EVENT_LEASE_TIMES: &str =
    "CASE attempts WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 2 THEN 4 WHEN 3 THEN 8 ELSE 12 END";

/// What a person's decision does to a checkout.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is open again and due now.
    TryAgain,
    End(Ending),
    /// Its state becomes refunded; its answer stays (IK-14).
    Refund {
        refund_id: String,
    },
}

pub(crate) fn effect(state: OrderState, action: Action) -> Result<Effect, ResolveRefusal> {
    use OrderState::{Accepted, Completed, NeedsAttention};
    match (action, state) {
        (Action::Retry, NeedsAttention) => Ok(Effect::TryAgain),
        (Action::Charged { provider_id }, Accepted | NeedsAttention) => {
            Ok(Effect::End(Ending::Complete { provider_id }))
        }
        (Action::NotCharged, Accepted | NeedsAttention) => Ok(Effect::End(Ending::NotCharged)),
        (Action::Refunded { refund_id }, Completed) => Ok(Effect::Refund { refund_id }),
        _ => Err(ResolveRefusal::WrongState(Some(state))),
    }
}

/// A checkout as an item of the queue, also when it waits for nobody.
pub(crate) fn checkout_item(row: &Row) -> Result<AttentionItem, StoreError> {
    Ok(AttentionItem {
        id: row.id()?.0,
        kind: AttentionKind::Checkout,
        operation: Some(row.id()?),
        reason: row.reason.clone().unwrap_or_default(),
        amount: total_if_readable(&row.snapshot),
        since_ms: row.attention_since_ms.unwrap_or(row.created_at_ms),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
    })
}

/// Why an event is an item of the queue.
pub(crate) fn event_reason(kind: &str, attempts: i64) -> String {
    // {"send_receipt":{...}} or "settle_stock": the name, without what may be a customer's.
    let name = kind.split('"').nth(1).unwrap_or("unreadable");
    format!("event {name} could not be delivered in {attempts} tries")
}

/// What an operator may read: bounded, whatever the caller sent.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(contract::orders::NOTE_CHARS_MAX).collect()
}

/// A page of these rows, which are one more than the page holds if there is another one.
pub(crate) fn page(rows: &[Row], limit: u32) -> Result<OrderPage, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(100);
    let items = rows.iter().take(limit).map(Row::order).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| rows.len() > limit).map(|order| order.id);
    Ok(OrderPage { items, next })
}

/// Why a checkout cannot be taken.
pub(crate) fn not_taken(row: &Row, periods: &Periods) -> Result<Taken, StoreError> {
    Ok(match row.end(periods)? {
        End::Answer(answer) => Taken::Ended(*answer),
        End::Expired => Taken::Expired { state: row.state()? },
        End::Open => {
            let driven = row.driver.is_some() && row.lease_until_ms > row.now_ms;
            Taken::Busy { state: row.state()?, driven }
        }
    })
}

/// An event as it is delivered, if this binary can read it.
pub(crate) fn readable(id: &str, operation: &str, kind: &str) -> Option<Event> {
    let read = || Some((id.parse().ok()?, operation.parse().ok()?, serde_json::from_str(kind).ok()?));
    let Some((event, operation, kind)) = read() else {
        tracing::error!(event = id, operation, "an event of the outbox cannot be read; it stays and is tried again");
        return None;
    };
    Some(Event { id: event, operation, kind })
}
