//! `shop.resolve`: does what a person decided (CO-22).
//!
//! First at the owner of the charge (attest, close, pay back), then in the orders family, which records the decision with
//! its effect in one transaction; stock and receipt follow from its outbox. Each step is keyed, by the checkout or by the
//! request's id, and finds what it did before, so a command that died in between is simply given again. Nothing here
//! judges a checkout's state before it acts, except where money would go back: the owners' compare-and-sets do.

use contract::{
    CallError, NoKey, Once, OperationId, Outcome, orders,
    orders::{Action, AttentionDetail, AttentionKind, NOTE_CHARS_MAX, NoItem, OrderState},
    payments::{Attest, AttestRefusal, Close, CloseRefusal, Evidence, Refund, RefundRefusal, RefundStatus},
    shop::{Decision, Resolve, ResolveRefusal},
};
use runtime::{crash, rfc3339};
use uuid::Uuid;

use super::cart::done_before;
use crate::App;

type Refused = CallError<ResolveRefusal>;

pub(crate) async fn resolve(app: App, request: Resolve, once: Once) -> Outcome<Resolve> {
    check(&request)?;
    let detail = inspect(&app, request.id).await?;
    let (at_owner, action) = match (&request.decision, detail.item.kind) {
        (Decision::Charged { provider_id }, AttentionKind::Checkout) => {
            attest(&app, &request, provider_id.clone()).await?;
            crash::point("logic.resolve.charged");
            (true, Action::Charged { provider_id: provider_id.clone() })
        }
        (Decision::NotCharged, AttentionKind::Checkout) => {
            close(&app, &request, &detail).await?;
            (true, Action::NotCharged)
        }
        (Decision::Refund, _) => (true, Action::Refunded { refund_id: refund(&app, &request, &detail).await? }),
        // Nothing to be done elsewhere: a difference is closed with what the person found, an event is only tried again.
        (Decision::Retry, _) => (false, Action::Retry),
        (Decision::Charged { provider_id }, _) => (false, Action::Charged { provider_id: provider_id.clone() }),
        (Decision::NotCharged, _) => (false, Action::NotCharged),
    };
    let Resolve { id, operator, note, .. } = request;
    let record = orders::Resolve { id, action, operator, note };
    let recorded = app.orders.call(&record, once.id().clone()).await;
    recorded.map_err(|error| {
        let error = error.map_refusal(not_recorded);
        if at_owner { done_before(error) } else { error }
    })
}

fn check(request: &Resolve) -> Result<(), Refused> {
    let mut texts = vec![("operator", &request.operator), ("note", &request.note)];
    if let Decision::Charged { provider_id } = &request.decision {
        texts.push(("provider id", provider_id));
    }
    for (name, text) in texts {
        if text.trim().is_empty() || text.chars().count() > NOTE_CHARS_MAX {
            return Err(not_now(format!("the {name} has 1 to {NOTE_CHARS_MAX} characters")));
        }
    }
    Ok(())
}

async fn inspect(app: &App, id: Uuid) -> Result<AttentionDetail, Refused> {
    let detail = app.orders.call(&orders::Inspect { id }, NoKey).await;
    detail.map_err(|error| error.map_refusal(|NoItem::NoItem| ResolveRefusal::NoItem))
}

fn evidence(request: &Resolve) -> Evidence {
    Evidence { operator: request.operator.clone(), note: request.note.clone() }
}

async fn attest(app: &App, request: &Resolve, provider_id: String) -> Result<(), Refused> {
    let attest = Attest { operation: OperationId(request.id), provider_id, evidence: evidence(request) };
    app.payments.call(&attest, NoKey).await.map_err(|error| {
        error.map_refusal(|refusal| {
            ResolveRefusal::NotNow(match refusal {
                AttestRefusal::NoIntent => {
                    "nothing was ever sent to the provider for this checkout, so that charge is not its own".to_owned()
                }
                AttestRefusal::DecidedOtherwise => {
                    "the charge is on record as declined, closed, or charged under another name: see \
                     `trestle attention show`"
                        .to_owned()
                }
            })
        })
    })
}

async fn close(app: &App, request: &Resolve, detail: &AttentionDetail) -> Result<(), Refused> {
    let close = Close { operation: OperationId(request.id), evidence: Some(evidence(request)) };
    app.payments.call(&close, NoKey).await.map_err(|error| {
        error.map_refusal(|refusal| {
            ResolveRefusal::NotNow(match refusal {
                CloseRefusal::Charged => {
                    "money was taken: that is on record. An open checkout completes by itself; then it can be refunded"
                        .to_owned()
                }
                CloseRefusal::MayStillHappen => {
                    let until = detail.not_after_ms.map_or_else(|| "its last time".to_owned(), rfc3339);
                    format!("the provider may still execute a first charge until {until}: look again after that")
                }
            })
        })
    })
}

/// Pays back; the name of the refund. Only what is on record as sold goes back this way, or a charge that has no sale.
async fn refund(app: &App, request: &Resolve, detail: &AttentionDetail) -> Result<String, Refused> {
    let Some(operation) = detail.item.operation else {
        return Err(not_now("its reference is none of ours: pay it back at the provider's".to_owned()));
    };
    let state = match detail.item.kind {
        AttentionKind::Checkout => detail.state,
        AttentionKind::Event => return Err(not_now(format!("refund the checkout {operation}, not its event"))),
        AttentionKind::Mismatch => of_checkout(app, operation).await?,
    };
    match (detail.item.kind, state) {
        (AttentionKind::Checkout, Some(OrderState::Completed | OrderState::Refunded)) => {}
        (AttentionKind::Mismatch, Some(OrderState::Declined | OrderState::Refused) | None) => {}
        (AttentionKind::Mismatch, Some(OrderState::Completed | OrderState::Refunded)) => {
            return Err(not_now(format!("it belongs to an order: refund that, {operation}")));
        }
        (_, Some(OrderState::Accepted | OrderState::NeedsAttention)) => {
            return Err(not_now("the checkout is open: say `charged` first, then refund the order".to_owned()));
        }
        _ => return Err(not_now("no money is on record for it".to_owned())),
    }
    let Some(amount) = detail.item.amount else {
        return Err(not_now("how much was charged cannot be read: pay it back at the provider's".to_owned()));
    };
    let pay_back = Refund { operation, amount, evidence: evidence(request) };
    match app.payments.call(&pay_back, operation.into()).await {
        Ok(RefundStatus::Refunded { refund_id }) => Ok(refund_id),
        Ok(RefundStatus::Pending { reason }) => {
            Err(CallError::Unknown(format!("the refund is not known yet ({reason}): ask again, it is paid once")))
        }
        Err(error) => Err(error.map_refusal(|refusal| {
            ResolveRefusal::NotNow(match refusal {
                RefundRefusal::Provider { code } => format!("the provider refused the refund: {code}"),
                RefundRefusal::OtherAmount => format!("{amount} is not what was charged and not refunded before"),
            })
        })),
    }
}

async fn of_checkout(app: &App, operation: OperationId) -> Result<Option<OrderState>, Refused> {
    match inspect(app, operation.0).await {
        Ok(detail) => Ok(detail.state),
        // Of a charge under a reference that looks like ours and is none.
        Err(CallError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_recorded(refusal: orders::ResolveRefusal) -> ResolveRefusal {
    match refusal {
        orders::ResolveRefusal::NoItem => ResolveRefusal::NoItem,
        orders::ResolveRefusal::IdReused => ResolveRefusal::IdReused,
        orders::ResolveRefusal::WrongState(Some(state)) => ResolveRefusal::NotNow(match state {
            OrderState::Accepted => "the checkout is being worked on and waits for nobody yet".to_owned(),
            OrderState::NeedsAttention => "the checkout is open: only retry, charged and not-charged fit".to_owned(),
            OrderState::Completed => "the order is completed: only a refund fits".to_owned(),
            OrderState::Refunded => "the order is refunded already".to_owned(),
            OrderState::Declined | OrderState::Refused => "the checkout ended without a charge".to_owned(),
        }),
        orders::ResolveRefusal::WrongState(None) => {
            ResolveRefusal::NotNow("this does not fit the item, or a person has dealt with it before".to_owned())
        }
    }
}

const fn not_now(reason: String) -> Refused {
    CallError::Refused(ResolveRefusal::NotNow(reason))
}
