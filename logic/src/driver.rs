//! Drives one checkout to its end, from what was frozen alone: reserve, charge, record. Every step is keyed by the
//! operation's id at the owner of its data, so any node may run any step again at any time.
//!
//! Before the charge everything can be undone (stock goes back); once a charge may have been sent there is only forward.
//! A definite no from the catalogue or the provider ends the checkout; anything else puts it off for the completer. No
//! `unknown` is ever read as "not charged": when the provider's window is over, the checkout ends only if the payments
//! family proves that nothing can have been sent, and waits for a person otherwise (CO-8, CO-20).
//!
//! Nothing here is cut off between charge and record: every caller runs [`drive`] on a task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{
    CallError, NoKey, OperationId, Outcome,
    carts::Clear,
    catalogue::{Pieces, Reserve, ReserveRefusal},
    orders::{Answer, Complete, Driver, Heartbeat, OpenCheckout, OrderState, Postpone, Refuse, RefuseReason},
    payments::{self, Charge, ChargeRefusal, ChargeStatus, CloseRefusal},
};
use runtime::crash;
use tokio::time::Instant;

use crate::App;

/// Bound of the work on one checkout by one driver; what is not done then, the completer does.
pub(crate) const WORK_WITHIN: Duration = Duration::from_secs(30);
/// How often the lease is renewed; it lasts three times as long.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How long the driver itself asks again for a charge that is not known yet, so that the customer, who waits for five
/// seconds, gets a definite answer if there is one to be had.
const CHARGE_WITHIN: Duration = Duration::from_millis(4_200);
/// How long the answer waits for the cart to be cleared; unless it was in that time, the outbox repeats it until it is.
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

/// The checkouts that this node drives at this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Driving(Arc<Mutex<BTreeMap<OperationId, usize>>>);

/// One of them, for as long as it lives.
#[derive(Debug)]
struct AtWheel {
    driving: Driving,
    operation: OperationId,
}

impl Driving {
    fn begin(&self, operation: OperationId) -> AtWheel {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
        AtWheel { driving: self.clone(), operation }
    }

    /// Whether somebody here drives it.
    pub(crate) fn contains(&self, operation: OperationId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&operation)
    }
}

impl Drop for AtWheel {
    fn drop(&mut self) {
        let mut driving = self.driving.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A repeat may drive it at the same time, when the first driver's lease has lapsed.
        match driving.get_mut(&self.operation) {
            Some(drivers) if *drivers > 1 => *drivers -= 1,
            _ => drop(driving.remove(&self.operation)),
        }
    }
}

/// Why a checkout could not be driven on for now.
struct Stuck {
    reason: String,
    delay_ms: i64,
    /// Whether trying again cannot help by itself: a person must look.
    attention: bool,
}

/// What is known for good about the charge.
enum Paid {
    /// Money was taken, under this name at the provider.
    Yes(String),
    /// None was, and none will be.
    No(RefuseReason),
}

/// Drives a checkout whose lease this driver holds.
pub(crate) async fn drive(app: &App, checkout: OpenCheckout, driver: Driver) -> Driven {
    let _at_wheel = app.driving.begin(checkout.operation);
    let steps = async {
        match steps(app, &checkout).await {
            Ok(answer) => Driven::Ended(answer),
            Err(stuck) => put_off(app, &checkout, driver, stuck).await,
        }
    };
    tokio::select! {
        // In this order, so that a simulation repeats.
        biased;
        driven = steps => driven,
        never = keep_lease(app, &checkout, driver) => match never {},
    }
}

async fn steps(app: &App, checkout: &OpenCheckout) -> Result<Answer, Stuck> {
    match reserve(app, checkout).await? {
        Some(reason) => refuse(app, checkout, reason).await,
        None => match charge(app, checkout).await? {
            Paid::Yes(provider_id) => complete(app, checkout, provider_id).await,
            Paid::No(reason) => refuse(app, checkout, reason).await,
        },
    }
}

/// Takes the pieces out of stock; `Some` is the catalogue's definite no.
async fn reserve(app: &App, checkout: &OpenCheckout) -> Result<Option<RefuseReason>, Stuck> {
    let pieces = checkout.snapshot.lines.iter();
    let lines = pieces.map(|line| Pieces { sku: line.sku.clone(), quantity: line.quantity }).collect();
    let request = Reserve { operation: checkout.operation, lines };
    match app.stock.call(&request, checkout.operation.into()).await {
        Ok(()) => {
            crash::point("logic.driver.reserved");
            Ok(None)
        }
        Err(CallError::Refused(ReserveRefusal::OutOfStock { sku, available })) => {
            Ok(Some(RefuseReason::OutOfStock { sku, available }))
        }
        Err(error) => Err(stuck("reserve", &error, checkout)),
    }
}

/// Charges, and asks again for as long as a customer would wait.
async fn charge(app: &App, checkout: &OpenCheckout) -> Result<Paid, Stuck> {
    let request = Charge {
        operation: checkout.operation,
        amount: checkout.snapshot.total,
        token: checkout.payment.clone(),
        not_after_ms: checkout.not_after_ms,
    };
    let until = Instant::now() + CHARGE_WITHIN;
    loop {
        let (reason, retry_after_ms) = match app.payments.call(&request, checkout.operation.into()).await {
            Ok(ChargeStatus::Charged { provider_id }) => {
                crash::point("logic.driver.charged");
                return Ok(Paid::Yes(provider_id));
            }
            Ok(ChargeStatus::Declined { code }) => return Ok(Paid::No(RefuseReason::Declined { code })),
            Ok(ChargeStatus::Pending { reason, retry_after_ms }) => (reason, retry_after_ms),
            Ok(ChargeStatus::Lapsed { reason }) => match close(app, checkout, &reason).await? {
                Closing::Done => return Ok(Paid::No(RefuseReason::Closed)),
                // Recorded since the charge was asked for: asking again brings its name.
                Closing::Charged => (reason, 0),
            },
            Err(CallError::Refused(refusal)) => return refused(app, checkout, refusal).await,
            Err(error) => return Err(stuck("charge", &error, checkout)),
        };
        let pause = Duration::from_millis(u64::try_from(retry_after_ms).unwrap_or_default().max(50));
        if Instant::now() + pause >= until {
            let delay_ms = put_off_ms(checkout).max(retry_after_ms);
            return Err(Stuck { reason: format!("charge: {reason}"), delay_ms, attention: false });
        }
        tokio::time::sleep(pause).await;
    }
}

/// What closing a charge came to.
enum Closing {
    /// Nothing was sent, and nothing will be.
    Done,
    /// Money was taken after all.
    Charged,
}

/// The provider's window is over and its look-up shows nothing. That proves nothing by itself: the payments family closes
/// the charge only if nothing can have left it, and otherwise a person must look.
async fn close(app: &App, checkout: &OpenCheckout, lapsed: &str) -> Result<Closing, Stuck> {
    let request = payments::Close { operation: checkout.operation, evidence: None };
    match app.payments.call(&request, NoKey).await {
        Ok(()) => Ok(Closing::Done),
        Err(CallError::Refused(CloseRefusal::Charged)) => Ok(Closing::Charged),
        Err(CallError::Refused(CloseRefusal::MayStillHappen)) => {
            Err(for_a_person(format!("charge: {lapsed}; a charge may have reached the provider all the same")))
        }
        Err(error) => Err(stuck("close", &error, checkout)),
    }
}

/// The payments family did not try.
async fn refused(app: &App, checkout: &OpenCheckout, refusal: ChargeRefusal) -> Result<Paid, Stuck> {
    match refusal {
        ChargeRefusal::Closed => closed_before(app, checkout).await,
        ChargeRefusal::IdReused => {
            Err(for_a_person("charge: the payments family knows this id with another body".to_owned()))
        }
        ChargeRefusal::WindowTooLong => Err(for_a_person(
            "charge: its last time lies further ahead than the provider is known to remember keys; compare \
             --charge-window-s of orders and payments"
                .to_owned(),
        )),
    }
}

/// The charge is closed: by a driver that died before it could say so to the orders family, or by a person, whose decision
/// is on record there in a moment, or after it is sent again. The second is no proof, so it is not made one here.
async fn closed_before(app: &App, checkout: &OpenCheckout) -> Result<Paid, Stuck> {
    let read = payments::Inspect { operation: checkout.operation };
    match app.payments.call(&read, NoKey).await {
        Ok(Some(record)) if record.note.is_none() && record.maybe_sent == 0 => Ok(Paid::No(RefuseReason::Closed)),
        Ok(_) => Err(for_a_person("charge: closed by a person, whose decision is not recorded yet".to_owned())),
        Err(error) => Err(stuck("inspect", &error, checkout)),
    }
}

/// Records the end and clears the cart, side by side: money was taken, so this checkout will be completed, by whomever.
async fn complete(app: &App, checkout: &OpenCheckout, provider_id: String) -> Result<Answer, Stuck> {
    let request = Complete { operation: checkout.operation, provider_id };
    let record = async {
        let answer = ended(app.orders.call(&request, checkout.operation.into()).await, "complete", checkout)?;
        crash::point("logic.driver.completed");
        Ok(answer)
    };
    let (answer, ()) = tokio::join!(record, clear(app, checkout));
    answer
}

/// Takes what was bought out of the cart, if that is quick.
async fn clear(app: &App, checkout: &OpenCheckout) {
    let snapshot = &checkout.snapshot;
    let clear = Clear { cart: snapshot.cart, epoch: snapshot.epoch, ops: snapshot.ops.clone() };
    match tokio::time::timeout(CLEAR_WITHIN, app.carts.call(&clear, NoKey)).await {
        Ok(Ok(_)) => app.cleared.add(checkout.operation),
        Ok(Err(error)) => {
            tracing::warn!(operation = %checkout.operation, %error, "the cart is not cleared yet; the outbox will do it");
        }
        Err(_elapsed) => {}
    }
}

async fn refuse(app: &App, checkout: &OpenCheckout, reason: RefuseReason) -> Result<Answer, Stuck> {
    let request = Refuse { operation: checkout.operation, reason };
    ended(app.orders.call(&request, checkout.operation.into()).await, "refuse", checkout)
}

fn ended(outcome: Outcome<Complete>, step: &str, checkout: &OpenCheckout) -> Result<Answer, Stuck> {
    outcome.map_err(|error| stuck(step, &error, checkout))
}

fn stuck<R: std::fmt::Debug>(step: &str, error: &CallError<R>, checkout: &OpenCheckout) -> Stuck {
    Stuck { reason: format!("{step}: {error}"), delay_ms: put_off_ms(checkout), attention: false }
}

const fn for_a_person(reason: String) -> Stuck {
    Stuck { reason, delay_ms: PUT_OFF_MAX_MS, attention: true }
}

fn put_off_ms(checkout: &OpenCheckout) -> i64 {
    (PUT_OFF_FIRST_MS << checkout.attempts.min(10)).min(PUT_OFF_MAX_MS)
}

/// Gives the lease back. Should even that fail, the lease lapses by itself.
async fn put_off(app: &App, checkout: &OpenCheckout, driver: Driver, stuck: Stuck) -> Driven {
    tracing::warn!(operation = %checkout.operation, attempts = checkout.attempts, reason = stuck.reason, "checkout put off");
    let Stuck { reason, delay_ms, attention } = stuck;
    let request = Postpone { operation: checkout.operation, driver, reason, delay_ms, attention };
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
