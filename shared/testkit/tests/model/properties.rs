//! What must hold in every state, and what must happen in some, so that the first is worth something.

use stateright::Property;

use crate::{
    model::Checkout,
    state::{Charge, Person, Phase, Reservation, Reserved, STOCKED, State, Worker},
};

type Rule = Property<Checkout>;

pub(crate) const ONE_ORDER: &str = "at most one order";
pub(crate) const ONE_CHARGE: &str = "at most one charge";
pub(crate) const ORDER_IS_PAID: &str = "an order is charged, once, its own total";
pub(crate) const NO_ORDER_NO_CHARGE: &str = "declined, refused or closed: nothing charged";
pub(crate) const RECORD_IS_TRUE: &str = "what is recorded of a charge is true";
pub(crate) const STOCK_CONSERVED: &str = "no piece is made or lost";
pub(crate) const SOLD_IS_ORDERED: &str = "pieces are sold to an order only";
pub(crate) const STOCK_FOLLOWS: &str = "when its event is done, stock is sold once or back";
pub(crate) const ANSWER_STANDS: &str = "an answer to the client is the stored end";
pub(crate) const ENDS: &str = "without further faults it ends";

pub(crate) fn all() -> Vec<Rule> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Rule> {
    vec![
        Rule::always(ONE_ORDER, |_, state| state.row.orders <= 1),
        Rule::always(ONE_CHARGE, |_, state| state.charges() <= 1),
        Rule::always(ORDER_IS_PAID, |_, state| {
            let ledgers = state.of(state.row.op);
            state.row.phase != Phase::Completed || ledgers.charges == 1 && !ledgers.repriced && state.row.orders == 1
        }),
        Rule::always(NO_ORDER_NO_CHARGE, |_, state| !came_to_nothing(state) || state.charges() == 0),
        Rule::always(RECORD_IS_TRUE, |_, state| {
            state.ledgers.iter().all(|ledgers| match ledgers.charge {
                Charge::None | Charge::Intended => true,
                Charge::Charged => ledgers.charges > 0,
                Charge::Declined | Charge::Closed => ledgers.charges == 0,
            })
        }),
        Rule::always(STOCK_CONSERVED, |_, state| {
            let count = |what| state.ledgers.iter().map(|ledgers| u8::from(ledgers.reservation == what)).sum::<u8>();
            let elsewhere = STOCKED * u8::from(state.other == 1);
            state.available + state.reserved + state.sold + elsewhere == STOCKED
                && state.reserved == count(Reservation::Reserved)
                && state.sold == count(Reservation::Settled)
        }),
        Rule::always(SOLD_IS_ORDERED, |_, state| state.sold == 0 || state.row.phase == Phase::Completed),
        Rule::always(STOCK_FOLLOWS, |_, state| {
            let reservation = state.of(state.row.op).reservation;
            state.row.event
                || match state.row.phase {
                    Phase::Unclaimed | Phase::Open => true,
                    Phase::Completed => reservation == Reservation::Settled && state.sold == 1,
                    _ => !matches!(reservation, Reservation::Reserved | Reservation::Settled),
                }
        }),
        Rule::always(ANSWER_STANDS, |_, state| {
            state.acknowledged.is_none_or(|acknowledged| acknowledged == state.row.phase)
        }),
        Rule::always(ENDS, Checkout::ends_without_faults),
    ]
}

pub(crate) fn is_sometimes(name: &str) -> bool {
    sometimes().iter().any(|property| property.name == name)
}

fn came_to_nothing(state: &State) -> bool {
    state.row.phase.has_ended() && state.row.phase != Phase::Completed
}

fn sometimes() -> Vec<Rule> {
    vec![
        Rule::sometimes("completed and told", |_, state| state.acknowledged == Some(Phase::Completed)),
        Rule::sometimes("completed, and the client never hears", |_, state| {
            state.row.phase == Phase::Completed && state.acknowledged.is_none() && state.requests_left == 0
        }),
        Rule::sometimes("declined", |_, state| state.acknowledged == Some(Phase::Declined)),
        Rule::sometimes("out of stock", |_, state| state.acknowledged == Some(Phase::OutOfStock)),
        Rule::sometimes("closed, nothing sent", |_, state| {
            state.row.phase == Phase::Closed && state.of(state.row.op).maybe_sent == 0
        }),
        Rule::sometimes("closed with evidence", |_, state| {
            state.row.phase == Phase::Closed && state.of(state.row.op).maybe_sent > 0
        }),
        Rule::sometimes("another completes than the one who claimed", |_, state| {
            let mut workers = (0..).zip(state.workers);
            workers.any(|(at, worker)| matches!(worker, Worker::Completing(op) if op != at))
        }),
        Rule::sometimes("charged, and we do not know", |_, state| {
            state.ledgers.iter().any(|ledgers| ledgers.charges == 1 && ledgers.charge == Charge::Intended)
        }),
        Rule::sometimes("a reserve came after the release", |_, state| {
            state.of(state.row.op).reserved == Reserved::Ended
        }),
        Rule::sometimes(
            "a person has evidence, and an attempt may have been sent",
            |_, state| matches!(state.person, Person::SawNone(op) if state.of(op).maybe_sent > 0),
        ),
        Rule::sometimes("two drive at once", |_, state| {
            state.workers.iter().filter(|worker| worker.drives()).count() > 1
        }),
    ]
}
