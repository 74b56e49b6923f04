//! Customers at their worst: the journey of `quick`, but each checkout with a trick (semantics 7.4).
//!
//! Everything they send is written down by the recorder inside their caller; nothing here judges, the checker does.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    client::{Answer, Call, Caller, with_segment},
    journey::{Abandoned, Customer},
    measure::Step,
    seams,
    wire::{Cart, Order},
};

/// Recent checkouts of everybody, for strangers to try.
const KNOWN_MAX: usize = 64;
/// How long a customer follows an order that is not over.
const FOLLOW_FOR: Duration = Duration::from_secs(40);
const TOTAL_CHANGES_MAX: u32 = 4;

/// What is done besides buying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trick {
    Plain,
    /// The same request twice at once, at two storefronts.
    SendTwice,
    /// Hangs up after some milliseconds, then sends the same again or never asks again.
    HangUp,
    /// Two keys, one cart, at once.
    TwoKeys,
    /// The same key with another body, meanwhile and afterwards.
    Poison,
    /// The same request again after it is over.
    Replay,
    /// Somebody else's key and order.
    Stranger,
    /// Sets and removes lines before buying, sometimes to more than there is.
    EditCart,
    /// Adds a line while buying.
    AddMeanwhile,
    /// One add twice at once, at two storefronts.
    AddTwice,
}

impl Trick {
    pub(crate) const ALL: [(Self, &'static str); 10] = [
        (Self::Plain, "plain"),
        (Self::SendTwice, "sent twice at once"),
        (Self::HangUp, "hung up"),
        (Self::TwoKeys, "two keys, one cart"),
        (Self::Poison, "key with another body"),
        (Self::Replay, "sent again afterwards"),
        (Self::Stranger, "another's key and order"),
        (Self::EditCart, "cart edited"),
        (Self::AddMeanwhile, "added while buying"),
        (Self::AddTwice, "add sent twice at once"),
    ];
}

/// What the customers of a run share.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) tricks: Mutex<BTreeMap<String, u64>>,
    known: Mutex<VecDeque<(String, Option<String>)>>,
}

impl Crowd {
    fn played(&self, trick: Trick) {
        let name = Trick::ALL.iter().find(|(known, _)| *known == trick).map_or("", |(_, name)| name);
        *self.tricks.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += 1;
    }

    fn remember(&self, key: &str, order: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((key.to_owned(), order));
        if known.len() > KNOWN_MAX {
            known.pop_front();
        }
    }

    fn somebody(&self, choice: usize) -> Option<(String, Option<String>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(choice % known.len().max(1)).cloned()
    }
}

/// One customer.
#[derive(Debug)]
pub(crate) struct Adversary {
    pub(crate) shopper: Customer,
    /// A second connection, to the other storefront first.
    pub(crate) second: Caller,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) stop: watch::Receiver<bool>,
    /// Payment tokens of the phase: the control phase has no provider faults.
    pub(crate) calm: watch::Receiver<bool>,
    pub(crate) number: usize,
}

impl Adversary {
    /// Shops until told to stop; a checkout is always finished.
    pub(crate) async fn run(mut self) {
        let mut stop = self.stop.clone();
        let mut journey = self.number;
        while !*stop.borrow() {
            let filled = tokio::select! {
                filled = self.shopper.fill_cart() => filled,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let trick = Trick::ALL[journey % Trick::ALL.len()].0;
            let done = match filled {
                Ok((session, cart)) => {
                    journey += 1;
                    self.buy(&session, cart, trick).await
                }
                Err(Abandoned) => Err(Abandoned),
            };
            match done {
                Ok(()) => self.shopper.caller.stats.with(|tally| tally.journeys += 1),
                Err(Abandoned) => sleep(Duration::from_millis(self.dice(100..=200))).await,
            }
        }
    }

    fn dice(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.shopper.caller.dice.random_range(range)
    }

    async fn buy(&mut self, session: &str, mut cart: Cart, trick: Trick) -> Result<(), Abandoned> {
        match trick {
            Trick::EditCart => self.edit(session, &cart).await,
            Trick::AddTwice => self.add_twice(session, &cart).await,
            _ => {}
        }
        if [Trick::EditCart, Trick::AddTwice].contains(&trick) {
            cart = self.shopper.view_cart(session).await?;
        }
        let token = if *self.calm.borrow() { "tok_ok".to_owned() } else { self.shopper.pick_token() };
        for _ in 0..TOTAL_CHANGES_MAX {
            if cart.lines.is_empty() {
                return Err(Abandoned);
            }
            let stranger = if trick == Trick::Stranger { self.stranger().await } else { None };
            let key = stranger.as_ref().map_or_else(seams::fresh_key, |(key, _)| key.clone());
            let body = json!({"payment": {"token": token}, "expected_total": cart.total});
            let call = Call::post(Step::Checkout, "/api/checkout", session, key.clone(), body);
            if let Some((_, Some(order))) = stranger {
                let peep = Call::get(Step::Order, &format!("/api/orders/{order}"), Some(session));
                let _ = self.second.send(&peep).await;
            }
            let started = Instant::now();
            let answer = self.send_with(trick, session, &call, &cart).await;
            self.shopper.caller.stats.with(|tally| tally.record(Step::Checkout, started.elapsed()));
            self.crowd.played(trick);
            let Some(answer) = answer else { return Err(Abandoned) };
            let order = self.follow(session, &call, &answer).await;
            if trick != Trick::Stranger {
                self.crowd.remember(&key, order);
            }
            self.afterwards(trick, session, &call).await;
            if answer.status == 409 && answer.kind().contains("total-changed") {
                cart = self.shopper.view_cart(session).await?;
                continue;
            }
            break;
        }
        // A last look, for the checker: what was bought is gone, what was not is there.
        self.shopper.view_cart(session).await.map(drop)
    }

    /// Somebody else's key and order.
    async fn stranger(&mut self) -> Option<(String, Option<String>)> {
        let choice = self.dice(0..=1_000);
        self.crowd.somebody(usize::try_from(choice).unwrap_or(0))
    }

    async fn send_with(&mut self, trick: Trick, session: &str, call: &Call, cart: &Cart) -> Option<Answer> {
        let pause = Duration::from_millis(self.dice(0..=60));
        let leaves = !*self.calm.borrow() && self.dice(0..=2) == 0;
        let (first, second) = (&mut self.shopper.caller, &mut self.second);
        match trick {
            Trick::SendTwice => {
                let (one, two) = tokio::join!(first.send(call), second.send(call));
                one.or(two).ok()
            }
            Trick::HangUp => {
                first.hang_up(call, pause.max(Duration::from_millis(2))).await;
                // Some never ask again: what became of it, only the checker will know.
                if leaves { None } else { second.send(call).await.ok() }
            }
            Trick::TwoKeys => {
                let other = Call { key: Some(seams::fresh_key()), ..call.clone() };
                let (one, two) = tokio::join!(first.send(call), second.send(&other));
                if let Ok(two) = two {
                    self.follow(session, &other, &two).await;
                }
                one.ok()
            }
            Trick::Poison => {
                let poison = poisoned(call);
                let late = async {
                    // After the first byte of the original, or it would be the original.
                    sleep(pause.max(Duration::from_millis(5))).await;
                    second.send(&poison).await
                };
                tokio::join!(first.send(call), late).0.ok()
            }
            Trick::AddMeanwhile => {
                let add = add(session, cart);
                let late = async {
                    sleep(pause).await;
                    second.send(&add).await
                };
                tokio::join!(first.send(call), late).0.ok()
            }
            _ => first.send(call).await.ok(),
        }
    }

    async fn afterwards(&mut self, trick: Trick, session: &str, call: &Call) {
        match trick {
            Trick::Poison => drop(self.second.send(&poisoned(call)).await),
            Trick::Replay | Trick::SendTwice => {
                for _ in 0..2 {
                    let _ = self.shopper.caller.send(call).await;
                    let _ = self.second.send(call).await;
                }
                let list = Call::get(Step::Order, "/api/orders?limit=20", Some(session));
                let _ = self.second.send(&list).await;
            }
            _ => {}
        }
    }

    /// Looks at an order until it is over, then asks for the answer by its key. Returns the order's id.
    async fn follow(&mut self, session: &str, call: &Call, answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = body["operation_ref"].as_str().or(body["id"].as_str())?.to_owned();
        if answer.status != 202 {
            return Some(id);
        }
        let look = Call::get(Step::Order, &format!("/api/orders/{id}"), Some(session));
        let until = Instant::now() + FOLLOW_FOR;
        while Instant::now() < until {
            sleep(Duration::from_millis(250 + self.dice(0..=250))).await;
            let Ok(answer) = self.shopper.caller.send(&look).await else { break };
            let open = answer
                .json::<Order>()
                .is_ok_and(|order| ["accepted", "needs_attention"].contains(&order.state.as_str()));
            if !open {
                break;
            }
        }
        let _ = self.second.send(call).await;
        Some(id)
    }

    /// Sets one line, sometimes to more than there is, and may take another out.
    async fn edit(&mut self, session: &str, cart: &Cart) {
        let quantity = if self.dice(0..=3) == 0 { 999 } else { self.dice(1..=3) };
        let Some(line) = cart.lines.first() else { return };
        let path = with_segment("/api/cart/lines", &line.sku);
        let _ =
            self.shopper.caller.send(&change(Method::PUT, path, session, Some(json!({"quantity": quantity})))).await;
        if let Some(line) = cart.lines.get(1) {
            let path = with_segment("/api/cart/lines", &line.sku);
            let _ = self.second.send(&change(Method::DELETE, path, session, None)).await;
        }
    }

    async fn add_twice(&mut self, session: &str, cart: &Cart) {
        let add = add(session, cart);
        let _ = tokio::join!(self.shopper.caller.send(&add), self.second.send(&add));
    }
}

/// One more of the last line.
fn add(session: &str, cart: &Cart) -> Call {
    let sku = cart.lines.last().map_or("", |line| line.sku.as_str());
    Call::post(Step::Add, "/api/cart/lines", session, seams::fresh_key(), json!({"sku": sku, "quantity": 1}))
}

fn change(method: Method, path: String, session: &str, body: Option<Value>) -> Call {
    Call { step: Step::Add, method, path, token: Some(session.to_owned()), key: Some(seams::fresh_key()), body }
}

/// The same key for another payment: refused even if it came first, because no cart costs that.
fn poisoned(call: &Call) -> Call {
    let mut poison = call.clone();
    if let Some(body) = &mut poison.body {
        let agreed_minor = body["expected_total"]["amount_minor"].as_i64().unwrap_or(0);
        body["expected_total"]["amount_minor"] = (agreed_minor + 1).into();
    }
    poison
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_has_the_same_key_and_another_body() {
        let body = json!({"payment": {"token": "tok_ok"}, "expected_total": {"amount_minor": 5, "currency": "GBP"}});
        let call = Call::post(Step::Checkout, "/api/checkout", "s", "k".to_owned(), body);
        let poison = poisoned(&call);
        assert_eq!(poison.key, call.key);
        assert_eq!(poison.body.unwrap()["expected_total"]["amount_minor"], 6);
    }
}
