//! `shop.checkout`: buys what is in the cart, once for each key.
//!
//! 1. Look the key up. A hit answers, or resumes from what was frozen, *before* cart or prices are read: a repeat must
//!    not fail because the cart it bought is empty now.
//! 2. Read cart and prices; the total must be what the customer agreed to. Meanwhile ask whether it could be paid in time.
//! 3. Claim the key and freeze the snapshot. Of many first requests one wins and drives; the others wait for it.
//! 4. Drive the checkout to its end (`driver.rs`).
//!
//! The work is detached from the connection: a customer who hangs up does not cut between charge and record (IK-8).

use std::time::Duration;

use contract::Once;
use contract::{
    CallError, NoKey, OpId, OperationId, Outcome, RequestId,
    carts::{CartContents, View},
    orders::{Answer, Driver, Find, Found, Open, OpenRefusal, Opened, OrderState, Snapshot, Take, Taken},
    session::Session,
    shop::{Checkout, CheckoutRefusal, CheckoutReply},
};
use rpc::Scope;
use runtime::crash;
use tokio::{sync::watch, time::Instant};

use crate::{
    App,
    app::cart_of,
    driver::{Driven, WORK_WITHIN, drive},
};

/// How long the customer waits; then the answer is 202 and the shop goes on alone.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often a repeat looks whether the one before has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Refused = CallError<CheckoutRefusal>;

pub(crate) async fn checkout(app: App, request: Checkout, once: Once) -> Outcome<Checkout> {
    let session = app.authenticate(request.session).await;
    let session = session.map_err(|error| error.map_refusal(|_| CheckoutRefusal::Unauthenticated))?;
    let (opened, order) = watch::channel(None);
    let key = once.id().clone();
    let work = find_or_open(app.clone(), request, session, key, opened);
    let work = match Scope::current() {
        Some(scope) => app.node.tasks.spawn(scope.detached(WORK_WITHIN).run(work)),
        None => app.node.tasks.spawn(work),
    };
    match tokio::time::timeout(ANSWER_WITHIN, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(CallError::Unknown(format!("the checkout's task ended: {panic}"))),
        Err(_elapsed) => match *order.borrow() {
            Some(order) => Ok(CheckoutReply::Pending { order, state: OrderState::Accepted }),
            None => Err(CallError::Unknown("the key was not claimed in time".to_owned())),
        },
    }
}

async fn find_or_open(
    app: App,
    request: Checkout,
    session: Session,
    key: RequestId,
    opened: watch::Sender<Option<OperationId>>,
) -> Outcome<Checkout> {
    let cut_off =
        || app.cut_off_from(&app.orders).map(|site| CallError::Refused(CheckoutRefusal::HomeUnreachable { site }));
    if let Some(refusal) = cut_off() {
        return Err(refusal);
    }
    let find = Find { principal: session.principal, key: key.clone(), fingerprint: request.fingerprint.clone() };
    let key = match look_up(&app, &find).await {
        Ok(Found::Nothing) => key,
        Ok(found) => return join(&app, found, &opened).await,
        // T-10, in test builds only: the claim of this very key is skipped.
        Err(CallError::NotExecuted(_) | CallError::Unknown(_)) if runtime::bug("fail-open-store") => {
            OperationId(app.node.seams.uuid()).into()
        }
        // Fails closed (IK-7): a key that cannot be looked up may stand for an order.
        // A look-up begins nothing, so whatever became of it, "this request began nothing" is true.
        Err(error @ CallError::Refused(_)) => return Err(error),
        Err(error) => return Err(cut_off().unwrap_or(error)),
    };
    match open(&app, request, session, key, &opened).await {
        // The same request may have claimed the key, bought the cart and emptied it between our look at the key and our
        // look at the cart. "The key is unused" is true only if it still is.
        Err(CallError::Refused(refusal)) if claims_unused(&refusal) => match look_up(&app, &find).await? {
            Found::Nothing => Err(CallError::Refused(refusal)),
            found => join(&app, found, &opened).await,
        },
        // Of an unknown outcome nothing may be said.
        Err(CallError::NotExecuted(reason)) => Err(cut_off().unwrap_or(CallError::NotExecuted(reason))),
        outcome => outcome,
    }
}

/// Whether the refusal says that the key is unused.
const fn claims_unused(refusal: &CheckoutRefusal) -> bool {
    matches!(
        refusal,
        CheckoutRefusal::CartEmpty | CheckoutRefusal::TotalChanged { .. } | CheckoutRefusal::PaymentsBusy { .. }
    )
}

async fn look_up(app: &App, find: &Find) -> Result<Found, Refused> {
    app.orders.call(find, NoKey).await.map_err(|error| error.map_refusal(|_| CheckoutRefusal::KeyReused))
}

async fn open(
    app: &App,
    request: Checkout,
    session: Session,
    key: RequestId,
    opened: &watch::Sender<Option<OperationId>>,
) -> Outcome<Checkout> {
    let (snapshot, unpayable) = tokio::join!(freeze(app, &request, &session, &key), app.payability.refusal());
    let snapshot = snapshot?;
    if let Some(retry_after_ms) = unpayable {
        return Err(CallError::Refused(CheckoutRefusal::PaymentsBusy { retry_after_ms }));
    }
    let driver = Driver(app.node.seams.uuid());
    let proposal = Open {
        principal: session.principal,
        fingerprint: request.fingerprint,
        operation: OperationId(app.node.seams.uuid()),
        snapshot,
        payment: request.payment,
        driver,
    };
    let claim = app.orders.call(&proposal, key).await.map_err(|error| {
        error.map_refusal(|refusal| match refusal {
            OpenRefusal::KeyReused => CheckoutRefusal::KeyReused,
            OpenRefusal::CartClaimed { order } => CheckoutRefusal::CartClaimed { order },
        })
    })?;
    match claim {
        Opened::Claimed(checkout) => {
            let order = checkout.operation;
            crash::point("logic.checkout.opened");
            opened.send_replace(Some(order));
            Ok(reply(order, drive(app, checkout, driver).await, false))
        }
        Opened::Existing(found) => join(app, found, opened).await,
    }
}

/// What the customer agreed to, or why there is nothing to agree to.
async fn freeze(app: &App, request: &Checkout, session: &Session, key: &RequestId) -> Result<Snapshot, Refused> {
    let cart = cart_of(session);
    let contents = app.carts.call(&View { cart }, NoKey).await.map_err(CallError::widen)?;
    // The key of a change of this very cart stands for that change (IK-3). What has left the cart it does not know.
    let change = OpId::new(cart, key.as_str());
    if contents.lines.iter().any(|line| line.ops.contains(&change)) {
        return Err(CallError::Refused(CheckoutRefusal::KeyReused));
    }
    let priced = app.prices.lines_now(&contents).await.map_err(CallError::widen);
    let (lines, total) = priced?;
    if lines.is_empty() {
        return Err(CallError::Refused(CheckoutRefusal::CartEmpty));
    }
    if total != request.expected_total {
        return Err(CallError::Refused(CheckoutRefusal::TotalChanged { total }));
    }
    let CartContents { epoch, lines: cart_lines } = contents;
    let bought = cart_lines.into_iter().filter(|line| lines.iter().any(|priced| priced.sku == line.sku));
    let ops = bought.flat_map(|line| line.ops).collect();
    Ok(Snapshot { lines, total, address: request.address.clone(), cart, epoch, ops })
}

/// A repeat: the stored answer, or wait for whoever drives, or take over when its lease has lapsed.
async fn join(app: &App, found: Found, opened: &watch::Sender<Option<OperationId>>) -> Outcome<Checkout> {
    let operation = match found {
        Found::Ended(answer) => return Ok(replay(answer)),
        Found::Open { operation } => operation,
        Found::Expired { operation, state } => return expired(operation, state),
        Found::Nothing => return Err(CallError::Unknown("the key was claimed and is gone".to_owned())),
    };
    let driver = Driver(app.node.seams.uuid());
    let until = Instant::now() + ANSWER_WITHIN.saturating_sub(Duration::from_millis(500));
    loop {
        let taken = app.orders.call(&Take { operation, driver }, NoKey).await;
        let taken = taken.map_err(|error| {
            let in_progress = CheckoutRefusal::InProgress { order: operation };
            error.map_refusal(|_| in_progress)
        })?;
        match taken {
            Taken::Ended(answer) => return Ok(replay(answer)),
            Taken::Expired { state } => return expired(operation, state),
            Taken::Yours(checkout) => {
                // Taken late, it may outlast the customer's patience; then the answer is 202 as for a first request.
                opened.send_replace(Some(operation));
                return Ok(reply(operation, drive(app, checkout, driver).await, true));
            }
            Taken::Busy { state, driven: false } => return Ok(CheckoutReply::Pending { order: operation, state }),
            Taken::Busy { .. } if Instant::now() >= until => {
                return Err(CallError::Refused(CheckoutRefusal::InProgress { order: operation }));
            }
            Taken::Busy { .. } => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn reply(order: OperationId, driven: Driven, replayed: bool) -> CheckoutReply {
    match driven {
        Driven::Ended(answer) => CheckoutReply::Ended { answer, replayed },
        Driven::PutOff(state) => CheckoutReply::Pending { order, state },
    }
}

/// The key did its work long ago; its answer is gone and the work is not done again (IK-12).
fn expired(order: OperationId, state: OrderState) -> Outcome<Checkout> {
    Err(CallError::Refused(CheckoutRefusal::ResultExpired { order, state }))
}

fn replay(answer: Answer) -> CheckoutReply {
    CheckoutReply::Ended { answer, replayed: true }
}
