//! Drives one checkout to its end, from what was frozen alone: reserve, charge, record. Every step is keyed by the
//! operation's id at the owner of its data, so any node may run any step again at any time.
//!
//! Before the charge everything can be undone (stock goes back); once a charge may have been sent there is only forward.
//! A definite no from the catalogue or the provider ends the checkout; anything else puts it off for the completer. No
//! `unknown` is ever read as "not charged".

use std::time::Duration;

use contract::{
    CallError, NoKey, Outcome,
    carts::Clear,
    catalogue::{Pieces, Reserve, ReserveRefusal},
    orders::{Answer, Complete, Driver, Heartbeat, OpenCheckout, OrderState, Postpone, Refuse, RefuseReason},
    payments::{Charge, ChargeStatus},
};
use tokio::time::Instant;

use crate::App;

/// How often the lease is renewed; it lasts three times as long.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How long the driver itself asks again for a charge that is not known yet, so that the customer, who waits for five
/// seconds, gets a definite answer if there is one to be had.
const CHARGE_WITHIN: Duration = Duration::from_millis(4_200);
/// How long the answer waits for the cart to be cleared; the outbox repeats it until it is.
const CLEAR_WITHIN: Duration = Duration::from_millis(200);
/// First pause before the completer tries again; doubles with each try.
const PUT_OFF_FIRST_MS: i64 = 250;
/// Longest pause.
const PUT_OFF_MAX_MS: i64 = 30_000;

/// Where a checkout stands after it was driven.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and is moved once")]
pub(crate) enum Driven {
    /// It is over.
    Ended(Answer),
    /// It is open and will be tried again.
    PutOff(OrderState),
}

/// Why a checkout could not be driven on for now.
struct Stuck {
    reason: String,
    delay_ms: i64,
}

/// Drives a checkout whose lease this driver holds.
pub(crate) async fn drive(app: &App, checkout: OpenCheckout, driver: Driver) -> Driven {
    let steps = async {
        match steps(app, &checkout).await {
            Ok(answer) => Driven::Ended(answer),
            Err(stuck) => put_off(app, &checkout, driver, stuck).await,
        }
    };
    tokio::select! {
        driven = steps => driven,
        never = keep_lease(app, &checkout, driver) => match never {},
    }
}

async fn steps(app: &App, checkout: &OpenCheckout) -> Result<Answer, Stuck> {
    match reserve(app, checkout).await? {
        Some(reason) => refuse(app, checkout, reason).await,
        None => match charge(app, checkout).await? {
            Ok(provider_id) => complete(app, checkout, provider_id).await,
            Err(reason) => refuse(app, checkout, reason).await,
        },
    }
}

/// Takes the pieces out of stock; `Some` is the catalogue's definite no.
async fn reserve(app: &App, checkout: &OpenCheckout) -> Result<Option<RefuseReason>, Stuck> {
    let pieces = checkout.snapshot.lines.iter();
    let lines = pieces.map(|line| Pieces { sku: line.sku.clone(), quantity: line.quantity }).collect();
    let request = Reserve { operation: checkout.operation, lines };
    match app.catalogue.call(&request, checkout.operation.into()).await {
        Ok(()) => Ok(None),
        Err(CallError::Refused(ReserveRefusal::OutOfStock { sku, available })) => {
            Ok(Some(RefuseReason::OutOfStock { sku, available }))
        }
        Err(error) => Err(stuck("reserve", &error, checkout)),
    }
}

/// Charges; `Err` inside is the provider's recorded no.
async fn charge(app: &App, checkout: &OpenCheckout) -> Result<Result<String, RefuseReason>, Stuck> {
    let request = Charge {
        operation: checkout.operation,
        amount: checkout.snapshot.total,
        token: checkout.payment.clone(),
        not_after_ms: checkout.not_after_ms,
    };
    let until = Instant::now() + CHARGE_WITHIN;
    loop {
        match app.payments.call(&request, checkout.operation.into()).await {
            Ok(ChargeStatus::Charged { provider_id }) => return Ok(Ok(provider_id)),
            Ok(ChargeStatus::Declined { code }) => return Ok(Err(RefuseReason::Declined { code })),
            Ok(ChargeStatus::Pending { reason, retry_after_ms }) => {
                let pause = Duration::from_millis(u64::try_from(retry_after_ms).unwrap_or_default().max(50));
                if Instant::now() + pause >= until {
                    return Err(Stuck {
                        reason: format!("charge: {reason}"),
                        delay_ms: put_off_ms(checkout).max(retry_after_ms),
                    });
                }
                tokio::time::sleep(pause).await;
            }
            Err(error) => return Err(stuck("charge", &error, checkout)),
        }
    }
}

async fn complete(app: &App, checkout: &OpenCheckout, provider_id: String) -> Result<Answer, Stuck> {
    let request = Complete { operation: checkout.operation, provider_id };
    let answer = ended(app.orders.call(&request, checkout.operation.into()).await, "complete", checkout)?;
    let snapshot = &checkout.snapshot;
    let clear = Clear { cart: snapshot.cart, epoch: snapshot.epoch, ops: snapshot.ops.clone() };
    if let Ok(Err(error)) = tokio::time::timeout(CLEAR_WITHIN, app.carts.call(&clear, NoKey)).await {
        tracing::warn!(operation = %checkout.operation, %error, "the cart is not cleared yet; the outbox will do it");
    }
    Ok(answer)
}

async fn refuse(app: &App, checkout: &OpenCheckout, reason: RefuseReason) -> Result<Answer, Stuck> {
    let request = Refuse { operation: checkout.operation, reason };
    ended(app.orders.call(&request, checkout.operation.into()).await, "refuse", checkout)
}

fn ended(outcome: Outcome<Complete>, step: &str, checkout: &OpenCheckout) -> Result<Answer, Stuck> {
    outcome.map_err(|error| stuck(step, &error, checkout))
}

fn stuck<R: std::fmt::Debug>(step: &str, error: &CallError<R>, checkout: &OpenCheckout) -> Stuck {
    Stuck { reason: format!("{step}: {error}"), delay_ms: put_off_ms(checkout) }
}

fn put_off_ms(checkout: &OpenCheckout) -> i64 {
    (PUT_OFF_FIRST_MS << checkout.attempts.min(10)).min(PUT_OFF_MAX_MS)
}

/// Gives the lease back. Should even that fail, the lease lapses by itself.
async fn put_off(app: &App, checkout: &OpenCheckout, driver: Driver, stuck: Stuck) -> Driven {
    tracing::warn!(operation = %checkout.operation, attempts = checkout.attempts, reason = stuck.reason, "checkout put off");
    let Stuck { reason, delay_ms } = stuck;
    let request = Postpone { operation: checkout.operation, driver, reason, delay_ms };
    Driven::PutOff(app.orders.call(&request, NoKey).await.unwrap_or(OrderState::Accepted))
}

/// Renews the lease for as long as it is polled. A lost lease is no reason to stop: the ledgers make a second driver
/// harmless, and stopping between charge and record would only cost time.
async fn keep_lease(app: &App, checkout: &OpenCheckout, driver: Driver) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        let _ = app.orders.call(&Heartbeat { operation: checkout.operation, driver }, NoKey).await;
    }
}
