//! What one customer does, again and again: look around, fill a cart, pay, and not let go of the payment until it is
//! clear what became of it.
//!
//! Every checkout is written into the history as `Unknown` *before* it is sent, and only a definite answer changes
//! that: whatever happens to the customer, no checkout can be missing from the audit.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use reqwest::Method;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    audit::Outcome,
    client::{Answer, Call, Caller, with_query, with_segment},
    measure::Step,
    seams,
    wire::{Cart, Money, Order, Problem, Product, ProductPage, Session},
};

/// Checkouts of one run; the history of a run is kept in memory (about 400 bytes each).
pub(crate) const CHECKOUTS_MAX: usize = 500_000;
/// Prices may change while a customer hesitates; after this many surprises the customer leaves.
const TOTAL_CHANGES_MAX: u32 = 5;
/// Pages and categories a customer remembers for browsing.
const REMEMBERED_MAX: usize = 32;

/// One checkout as its customer saw it.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    pub(crate) session: String,
    pub(crate) key: String,
    pub(crate) expected_total: Money,
    pub(crate) outcome: Outcome,
}

/// All checkouts of the run.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<Checkout>>);

impl History {
    fn with<R>(&self, work: impl FnOnce(&mut Vec<Checkout>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn begin(&self, session: &str, key: &str, expected_total: &Money) -> usize {
        let (session, key, expected_total) = (session.to_owned(), key.to_owned(), expected_total.clone());
        self.with(|all| {
            all.push(Checkout { session, key, expected_total, outcome: Outcome::Unknown { order: None } });
            all.len() - 1
        })
    }

    pub(crate) fn set(&self, index: usize, outcome: Outcome) {
        self.with(|all| all[index].outcome = outcome);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.with(|all| all.len() >= CHECKOUTS_MAX)
    }

    pub(crate) fn snapshot(&self) -> Vec<Checkout> {
        self.with(|all| all.clone())
    }
}

/// Why a journey ended early; already counted where it happened.
#[derive(Debug)]
pub(crate) struct Abandoned;

/// A customer at work.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) caller: Caller,
    pub(crate) history: Arc<History>,
    /// Payment tokens with weights; the sum is above zero.
    pub(crate) tokens: Arc<[(String, u32)]>,
    pub(crate) stop: watch::Receiver<bool>,
    /// How long a 202 is polled before its outcome is called unknown.
    pub(crate) give_up_after: Duration,
    pages: Vec<String>,
}

impl Customer {
    pub(crate) fn new(
        caller: Caller,
        history: Arc<History>,
        tokens: Arc<[(String, u32)]>,
        stop: watch::Receiver<bool>,
        give_up_after: Duration,
    ) -> Self {
        Self { caller, history, tokens, stop, give_up_after, pages: Vec::new() }
    }

    /// Repeats the journey until told to stop. A cart may be left standing; a checkout is always finished.
    pub(crate) async fn run(mut self) {
        let mut stop = self.stop.clone();
        while !*stop.borrow() {
            let filled = tokio::select! {
                filled = self.fill_cart() => filled,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let done = match filled {
                Ok((session, cart)) => self.check_out(&session, cart).await,
                Err(Abandoned) => Err(Abandoned),
            };
            match done {
                Ok(()) => self.caller.stats.with(|tally| tally.journeys += 1),
                // A shop that refuses at once must not make its customers spin.
                Err(Abandoned) => sleep(Duration::from_millis(self.caller.dice.random_range(100..=200))).await,
            }
        }
    }

    /// Opens a session and fills its cart; returns the session's token and what the cart shows.
    pub(crate) async fn fill_cart(&mut self) -> Result<(String, Cart), Abandoned> {
        let (method, path) = (Method::POST, "/api/session".to_owned());
        let open = Call { step: Step::Session, method, path, token: None, key: None, body: None };
        let session: Session = self.json(&open).await?;
        let products = self.browse().await?;
        let viewed = &products[self.caller.dice.random_range(0..products.len())].sku;
        let view = Call::get(Step::Product, &with_segment("/api/products", viewed), None);
        let _: Product = self.json(&view).await?;
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        let lines = self.caller.dice.random_range(1..=3);
        for _ in 0..lines {
            let product = &products[self.caller.dice.random_range(0..products.len())];
            let quantity = self.caller.dice.random_range(1..=2_i64.min(product.available));
            *wanted.entry(product.sku.clone()).or_default() += quantity;
            let body = json!({"sku": product.sku, "quantity": quantity});
            let call = Call::post(Step::Add, "/api/cart/lines", &session.token, seams::fresh_key(), body);
            let _: Cart = self.json(&call).await?;
        }
        let cart = self.view_cart(&session.token).await?;
        let shown: BTreeMap<String, i64> = cart.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        if shown != wanted {
            // Every add was acknowledged, so the cart lost one or counted one twice.
            self.caller.stats.with(|tally| tally.error(Step::Cart, "cart is not what was added"));
        }
        if cart.lines.is_empty() {
            return Err(Abandoned);
        }
        Ok((session.token, cart))
    }

    /// Looks at a first page, a category or a later page; returns products that can be bought.
    async fn browse(&mut self) -> Result<Vec<Product>, Abandoned> {
        let first = with_query("/api/products", &[("limit", "20")]);
        let choice = self.caller.dice.random_range(0..=self.pages.len());
        let path = self.pages.get(choice).unwrap_or(&first).clone();
        let mut page: ProductPage = self.json(&Call::get(Step::Browse, &path, None)).await?;
        self.remember(&path, &page);
        page.items.retain(|product| product.available > 0);
        if page.items.is_empty() && path != first {
            // An empty corner; forget it and start at the entrance.
            self.pages.retain(|known| *known != path);
            page = self.json(&Call::get(Step::Browse, &first, None)).await?;
            page.items.retain(|product| product.available > 0);
        }
        if page.items.is_empty() {
            self.caller.stats.with(|tally| tally.error(Step::Browse, "nothing in stock"));
            return Err(Abandoned);
        }
        Ok(page.items)
    }

    fn remember(&mut self, path: &str, page: &ProductPage) {
        let mut found = Vec::new();
        if let Some(next) = &page.next {
            // The cursor continues the same list, so its page keeps the category of this one.
            let base = path.split("&after=").next().unwrap_or(path);
            let after = with_query("", &[("after", next)]);
            found.push(format!("{base}&{}", after.trim_start_matches('?')));
        }
        if let Some(product) = page.items.first() {
            found.push(with_query("/api/products", &[("limit", "20"), ("category", &product.category)]));
        }
        for path in found {
            if self.pages.len() < REMEMBERED_MAX && !self.pages.contains(&path) {
                self.pages.push(path);
            }
        }
    }

    pub(crate) async fn view_cart(&mut self, session: &str) -> Result<Cart, Abandoned> {
        self.json(&Call::get(Step::Cart, "/api/cart", Some(session))).await
    }

    async fn check_out(&mut self, session: &str, mut cart: Cart) -> Result<(), Abandoned> {
        let token = self.pick_token();
        for _ in 0..TOTAL_CHANGES_MAX {
            let key = seams::fresh_key();
            let index = self.history.begin(session, &key, &cart.total);
            let body = json!({"payment": {"token": token}, "expected_total": cart.total});
            let started = Instant::now();
            let call = Call::post(Step::Checkout, "/api/checkout", session, key, body);
            let outcome = self.resolve(session, &call, started).await;
            self.history.set(index, outcome.clone());
            self.caller.stats.with(|tally| {
                tally.record(Step::Checkout, started.elapsed());
                match &outcome {
                    Outcome::Acknowledged { .. } => tally.acknowledged += 1,
                    Outcome::Unknown { .. } => tally.unknown += 1,
                    Outcome::Declined { .. } => {
                        tally.declined += 1;
                        if token != "tok_declined" {
                            tally.error(Step::Checkout, "declined without reason");
                        }
                    }
                    Outcome::Refused { problem, .. } => match problem.as_str() {
                        "out-of-stock" => tally.out_of_stock += 1,
                        "total-changed" => tally.total_changed += 1,
                        problem => {
                            tally.refused += 1;
                            tally.error(Step::Checkout, problem);
                        }
                    },
                }
            });
            match outcome {
                Outcome::Refused { problem, .. } if problem == "total-changed" => {
                    cart = self.view_cart(session).await?;
                }
                Outcome::Acknowledged { .. } | Outcome::Declined { .. } => return Ok(()),
                Outcome::Refused { problem, .. } if problem == "out-of-stock" => return Ok(()),
                Outcome::Refused { .. } | Outcome::Unknown { .. } => return Err(Abandoned),
            }
        }
        Err(Abandoned)
    }

    /// Sends one checkout and follows it to its end.
    async fn resolve(&mut self, session: &str, call: &Call, started: Instant) -> Outcome {
        let Ok(answer) = self.caller.send(call).await else { return Outcome::Unknown { order: None } };
        match answer.status {
            200 | 201 => match answer.json::<Order>() {
                Ok(order) => order_outcome(&order).unwrap_or(Outcome::Unknown { order: Some(order.id) }),
                Err(error) => self.odd(&error),
            },
            202 => self.poll(session, &answer, started).await,
            _ => refusal(&answer),
        }
    }

    fn odd(&self, error: &anyhow::Error) -> Outcome {
        self.caller.stats.with(|tally| tally.error(Step::Checkout, &format!("{error:#}")));
        Outcome::Unknown { order: None }
    }

    /// Follows `Location` until the order has ended.
    async fn poll(&mut self, session: &str, accepted: &Answer, started: Instant) -> Outcome {
        let location = accepted.location.as_deref().unwrap_or("");
        let Some(id) = location.rsplit_once("/api/orders/").map(|(_, id)| id.to_owned()) else {
            self.caller.stats.with(|tally| tally.error(Step::Checkout, "202 without Location of an order"));
            return Outcome::Unknown { order: None };
        };
        let call = Call::get(Step::Order, &format!("/api/orders/{id}"), Some(session));
        let mut pause = accepted.retry_after;
        let unknown = Outcome::Unknown { order: Some(id) };
        while started.elapsed() < self.give_up_after {
            let jitter = Duration::from_millis(self.caller.dice.random_range(0..=100));
            sleep(pause.unwrap_or(Duration::from_millis(250)) + jitter).await;
            let poll_started = Instant::now();
            let Ok(answer) = self.caller.send(&call).await else { return unknown };
            self.caller.stats.with(|tally| tally.record(Step::Order, poll_started.elapsed()));
            pause = answer.retry_after;
            let order = match answer.json::<Order>() {
                Ok(order) if answer.status < 300 => order,
                _ => {
                    self.caller.stats.with(|tally| tally.error(Step::Order, &answer.kind()));
                    return unknown;
                }
            };
            if let Some(outcome) = order_outcome(&order) {
                return outcome;
            }
        }
        unknown
    }

    pub(crate) fn pick_token(&mut self) -> String {
        let sum: u32 = self.tokens.iter().map(|(_, weight)| weight).sum();
        let mut at = self.caller.dice.random_range(0..sum.max(1));
        for (token, weight) in self.tokens.iter() {
            if at < *weight {
                return token.clone();
            }
            at -= weight;
        }
        "tok_ok".to_owned()
    }

    /// Sends `call`, measures it as a whole, and expects a 2xx with the documented JSON.
    async fn json<T: serde::de::DeserializeOwned>(&mut self, call: &Call) -> Result<T, Abandoned> {
        let started = Instant::now();
        let result = self.caller.send(call).await;
        self.caller.stats.with(|tally| {
            tally.record(call.step, started.elapsed());
            let Ok(answer) = result else { return Err(Abandoned) };
            if !(200..300).contains(&answer.status) {
                tally.error(call.step, &answer.kind());
                return Err(Abandoned);
            }
            answer.json().map_err(|error| {
                tally.error(call.step, &format!("{error:#}"));
                Abandoned
            })
        })
    }
}

/// What a final order state means to its customer; `None` while it is open.
pub(crate) fn order_outcome(order: &Order) -> Option<Outcome> {
    match order.state.as_str() {
        "completed" => Some(Outcome::Acknowledged { order: order.id.clone(), total: order.total.clone() }),
        "declined" => Some(Outcome::Declined { operation: Some(order.id.clone()) }),
        // The only refusal that needs no payment is out of stock, but an order does not say which it was.
        "refused" => {
            Some(Outcome::Refused { problem: "refused after 202".to_owned(), operation: Some(order.id.clone()) })
        }
        _ => None,
    }
}

/// What a non-2xx answer to a checkout proves.
pub(crate) fn refusal(answer: &Answer) -> Outcome {
    let problem = Problem::parse(&answer.body);
    let operation = problem.operation_ref.clone();
    let by_the_shop = ["out-of-stock", "total-changed"].into_iter().find(|name| problem.name().contains(name));
    match (answer.status, by_the_shop) {
        (402, _) => Outcome::Declined { operation },
        (409, Some(name)) => Outcome::Refused { problem: name.to_owned(), operation },
        // These are given before the key is looked at, so they say nothing about an attempt that got further.
        _ if answer.maybe_executed_before => Outcome::Unknown { order: operation },
        _ => Outcome::Refused { problem: answer.kind(), operation },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, maybe_executed_before: bool) -> Answer {
        Answer {
            status,
            location: None,
            retry_after: None,
            replayed: false,
            body: body.as_bytes().to_vec(),
            maybe_executed_before,
        }
    }

    #[test]
    fn a_401_after_a_lost_reply_proves_nothing() {
        assert!(matches!(refusal(&answer(401, "{}", false)), Outcome::Refused { .. }));
        assert!(matches!(refusal(&answer(401, "{}", true)), Outcome::Unknown { .. }));
    }

    #[test]
    fn a_decline_is_definite_even_after_a_lost_reply() {
        assert!(matches!(refusal(&answer(402, "{}", true)), Outcome::Declined { .. }));
        let stock = r#"{"type":"/problems/out-of-stock"}"#;
        assert!(matches!(refusal(&answer(409, stock, true)), Outcome::Refused { .. }));
    }
}
