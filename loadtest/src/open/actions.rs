//! What one arrival does: a request, or the three of a checkout.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Method, Uri, header::HeaderValue};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    filled::Filled,
    generator::World,
    mix::Action,
    record::{Ending, Fate},
    sender::{Ask, Reply},
    sessions::{self, Session},
};
use crate::{
    audit::Outcome,
    client::{with_query, with_segment},
    journey::{order_outcome, refusal},
    seams,
    wire::{Cart, Order, Problem, Product},
};

/// Products that customers choose from: the best stocked of the first page of a hundred, so that long runs do not sell out.
const PRODUCTS_MAX: usize = 50;

/// Where customers go; made once, so that an arrival only picks.
#[derive(Debug)]
pub(crate) struct Places {
    settings: Vec<Uri>,
    searches: Vec<Uri>,
    /// A product's page and the body of an add.
    products: Vec<(Uri, Bytes)>,
}

impl Places {
    /// The best stocked of these products, or only the first of them.
    pub(crate) fn new(mut products: Vec<Product>, one_product: bool) -> anyhow::Result<Self> {
        products.retain(|product| product.available > 0);
        products.sort_by_key(|product| std::cmp::Reverse(product.available));
        products.truncate(if one_product { 1 } else { PRODUCTS_MAX });
        let mut categories: Vec<&str> = products.iter().map(|product| product.category.as_str()).collect();
        categories.sort_unstable();
        categories.dedup();
        let uri = |path: String| Uri::try_from(path);
        let word = |product: &Product| product.sku.split('-').next().unwrap_or_default().to_owned();
        let product = |product: &Product| {
            let body = json!({"sku": product.sku, "quantity": 1}).to_string();
            Ok((uri(with_segment("/products", &product.sku))?, Bytes::from(body)))
        };
        Ok(Self {
            settings: categories
                .iter()
                .map(|name| uri(with_query("/", &[("category", name)])))
                .collect::<Result<_, _>>()?,
            searches: products
                .iter()
                .map(|one| uri(with_query("/", &[("q", &word(one))])))
                .collect::<Result<_, _>>()?,
            products: products.iter().map(product).collect::<anyhow::Result<_>>()?,
        })
    }

    /// The n-th product's page and the body of an add, beginning anew after the last.
    pub(crate) fn product(&self, number: usize) -> &(Uri, Bytes) {
        &self.products[number % self.products.len()]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.products.is_empty()
    }
}

/// One arrival, all of whose choices are made: the same seed brings the same arrivals whatever the shop does.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) action: Action,
    /// Since the beginning of the run.
    pub(crate) came: Duration,
    target: usize,
    choice: usize,
    token: String,
}

impl Arrival {
    pub(crate) fn new(world: &World, came: Duration, dice: &mut StdRng) -> Self {
        let action = world.plan.mix.pick(dice);
        let tokens = &world.plan.mix.tokens;
        let mut at = dice.random_range(0..tokens.values().sum::<u32>().max(1));
        let picked = tokens.iter().find(|(_, weight)| {
            let here = at < **weight;
            at = at.saturating_sub(**weight);
            here
        });
        let token = picked.map_or("tok_ok", |(token, _)| token).to_owned();
        Self { action, came, target: dice.random_range(0..usize::MAX), choice: dice.random_range(0..usize::MAX), token }
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.choice % from.len()]
    }
}

/// One request, and what became of it.
#[derive(Debug)]
struct Asked {
    ending: Ending,
    /// When it ended: the intended moment of the next.
    at: Instant,
    reply: Option<Reply>,
    /// Whether the request, or an earlier sending of it, may have had an effect although no answer says so.
    maybe_executed: bool,
}

impl Asked {
    fn is_answered(&self) -> bool {
        matches!(self.ending.fate, Fate::Good | Fate::Late)
    }
}

/// Serves one arrival to its end and writes it down.
pub(crate) async fn arrive(world: Arc<World>, arrival: Arrival) {
    let intended = world.start + arrival.came;
    let lag = intended.elapsed();
    world.book(|book| book.lag.record(lag));
    let places = &world.places;
    let action = arrival.action;
    let ending = match action {
        Action::Home => world.get(&arrival, Uri::from_static("/"), None, intended).await,
        Action::Setting => world.get(&arrival, arrival.pick(&places.settings).clone(), None, intended).await,
        Action::Search => world.get(&arrival, arrival.pick(&places.searches).clone(), None, intended).await,
        Action::Product => world.get(&arrival, arrival.pick(&places.products).0.clone(), None, intended).await,
        Action::Cart => {
            let session = world.sessions.shared(false);
            let bearer = session.map(|session| session.bearer.clone());
            world.get(&arrival, Uri::from_static("/api/cart"), bearer, intended).await
        }
        Action::Add => {
            let session = world.sessions.shared(true);
            let bearer = session.map(|session| session.bearer.clone());
            world.ask(&arrival, action, &add(&arrival, &world, bearer), intended).await.ending
        }
        Action::Pay => match world.filled.take() {
            Some(Filled { session, cart }) => pay(&world, &arrival, session, &cart, intended).await,
            None => checkout(&world, &arrival, intended).await,
        },
        Action::Checkout | Action::Prepare => checkout(&world, &arrival, intended).await,
    };
    world.book(|book| book.ended(action, arrival.came, &ending));
}

fn add(arrival: &Arrival, world: &World, bearer: Option<HeaderValue>) -> Ask {
    let uri = Uri::from_static("/api/cart/lines");
    let body = Some(arrival.pick(&world.places.products).1.clone());
    Ask { method: Method::POST, uri, bearer, key: key_header(&seams::fresh_key()), body, keep: false }
}

pub(crate) fn key_header(key: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(key).ok()
}

/// Add, read the cart, pay; each begins when the one before has ended. If one of the first two is refused or fails, the
/// checkout never happens and shares its fate.
async fn checkout(world: &World, arrival: &Arrival, intended: Instant) -> Ending {
    let mut intended = intended;
    let session = match world.sessions.own() {
        Some(session) => session,
        None => {
            let asked = world.prepare(arrival, &sessions::opening(), intended).await;
            intended = asked.at;
            let opened = asked.reply.as_ref().and_then(|reply| sessions::opened(&reply.answer.body));
            match opened {
                Some(session) => Arc::new(session),
                None => return asked.failed("session"),
            }
        }
    };
    let asked = world.prepare(arrival, &add(arrival, world, Some(session.bearer.clone())), intended).await;
    if !asked.is_answered() {
        let sound = !asked.maybe_executed;
        world.sessions.give_back(session, sound);
        return asked.failed("add");
    }
    let uri = Uri::from_static("/api/cart");
    let bearer = Some(session.bearer.clone());
    let ask = Ask { method: Method::GET, uri, bearer, key: None, body: None, keep: true };
    let asked = world.prepare(arrival, &ask, asked.at).await;
    let cart = asked.reply.as_ref().filter(|reply| reply.answer.status == 200).map(|reply| reply.answer.json::<Cart>());
    let Some(Ok(cart)) = cart else {
        world.sessions.give_back(session, true);
        return asked.failed("cart");
    };
    pay(world, arrival, session, &cart, asked.at).await
}

/// The payment. Written into the history as unknown before it is sent; only a definite answer changes that.
async fn pay(world: &World, arrival: &Arrival, session: Arc<Session>, cart: &Cart, intended: Instant) -> Ending {
    let key = seams::fresh_key();
    let index = world.history.begin(&session.token, &key, &cart.total);
    let body = json!({"payment": {"token": arrival.token}, "expected_total": cart.total}).to_string();
    let ask = Ask {
        method: Method::POST,
        uri: Uri::from_static("/api/checkout"),
        bearer: Some(session.bearer.clone()),
        key: key_header(&key),
        body: Some(Bytes::from(body)),
        keep: true,
    };
    let mut asked = world.ask(arrival, arrival.action, &ask, intended).await;
    let outcome = told(&asked);
    world.history.set(index, outcome.clone());
    if let Outcome::Unknown { order: Some(_) } = outcome {
        // Accepted and not finished: the customer cannot leave yet.
        asked.ending.fate = Fate::Late;
        asked.ending.kind = Some("202 not finished".to_owned());
    }
    let sound = !matches!(outcome, Outcome::Unknown { .. });
    world.sessions.give_back(session, sound);
    asked.ending
}

/// What the customer of this checkout knows.
fn told(asked: &Asked) -> Outcome {
    let unknown = Outcome::Unknown { order: None };
    let Some(Reply { answer, overload }) = &asked.reply else {
        let problem = asked.ending.kind.clone().unwrap_or_default();
        return if asked.maybe_executed { unknown } else { Outcome::Refused { problem, operation: None } };
    };
    match answer.status {
        200 | 201 => answer.json::<Order>().ok().as_ref().and_then(order_outcome).unwrap_or(unknown),
        202 => {
            let order = answer.location.as_deref().and_then(|path| path.rsplit_once("/api/orders/"));
            Outcome::Unknown { order: order.map(|(_, id)| id.to_owned()) }
        }
        // Nothing else is a definite no: see [`crate::client`].
        500.. if !*overload && Problem::parse(&answer.body).name() != "busy" => unknown,
        409 if answer.retry_after.is_some() => unknown,
        _ => refusal(answer),
    }
}

impl Asked {
    /// The end of a checkout that did not get as far as paying.
    fn failed(self, step: &str) -> Ending {
        let kind = self.ending.kind.unwrap_or_else(|| "is not the documented JSON".to_owned());
        // The step was answered, or this would be its own fate; what was answered cannot be used.
        let fate = if matches!(self.ending.fate, Fate::Good | Fate::Late) { Fate::Error } else { self.ending.fate };
        Ending { fate, kind: Some(format!("{step}: {kind}")), ..self.ending }
    }
}

impl World {
    async fn get(&self, arrival: &Arrival, uri: Uri, bearer: Option<HeaderValue>, intended: Instant) -> Ending {
        let ask = Ask { method: Method::GET, uri, bearer, key: None, body: None, keep: false };
        self.ask(arrival, arrival.action, &ask, intended).await.ending
    }

    /// A request on the way to a checkout, with a row of its own.
    async fn prepare(&self, arrival: &Arrival, ask: &Ask, intended: Instant) -> Asked {
        let asked = self.ask(arrival, Action::Prepare, ask, intended).await;
        self.book(|book| {
            book.offered(Action::Prepare, arrival.came);
            book.ended(Action::Prepare, arrival.came, &asked.ending);
        });
        asked
    }

    /// Sends a request, again if the customer is impatient, and judges what came back.
    async fn ask(&self, arrival: &Arrival, action: Action, ask: &Ask, intended: Instant) -> Asked {
        let sent = Instant::now();
        let resend = self.plan.mix.resend(action);
        let sendings = 1 + resend.map_or(0, |resend| resend.times);
        let mut maybe_executed = false;
        let mut result = None;
        for number in 0..sendings {
            self.book(|book| book.sent(action, arrival.came, number > 0));
            let patience = match resend {
                Some(resend) if number + 1 < sendings => resend.after,
                _ => self.plan.timeout,
            };
            // An abandoned request closes its connection, as a reload does.
            let target = arrival.target.wrapping_add(number as usize);
            result = timeout(patience, self.sender.send(target, ask)).await.ok();
            match &mut result {
                None => maybe_executed = true,
                Some(Ok(reply)) => reply.answer.maybe_executed_before = maybe_executed,
                Some(Err(trouble)) => maybe_executed |= *trouble == super::sender::Trouble::Lost,
            }
            if result.is_some() {
                break;
            }
        }
        let at = Instant::now();
        let took = at.saturating_duration_since(intended);
        let (fate, kind) = match &result {
            None => (Fate::Timeout, None),
            Some(Err(trouble)) => (Fate::Error, Some(trouble.name().to_owned())),
            Some(Ok(reply)) => judge(reply, arrival, took <= self.plan.deadline),
        };
        let ending = Ending { fate, took, took_naive: at.saturating_duration_since(sent), kind };
        Asked { ending, at, reply: result.and_then(Result::ok), maybe_executed }
    }
}

fn judge(reply: &Reply, arrival: &Arrival, in_time: bool) -> (Fate, Option<String>) {
    let Reply { answer, overload } = reply;
    let right = if in_time { Fate::Good } else { Fate::Late };
    match answer.status {
        200..=299 => (right, None),
        429 => (Fate::Shed, Some(answer.kind())),
        503 if *overload || answer.retry_after.is_some() => {
            // The shop asks to look again, because it does not know whether it acted: no refusal.
            let unknown = Problem::parse(&answer.body).name() == "outcome-unknown";
            (if unknown { Fate::Error } else { Fate::Shed }, Some(answer.kind()))
        }
        // Right answers that nobody likes: sold out, and a card that is made to be declined.
        409 if Problem::parse(&answer.body).name() == "out-of-stock" => (right, Some(answer.kind())),
        402 if arrival.token != "tok_ok" => (right, Some(answer.kind())),
        _ => (Fate::Error, Some(answer.kind())),
    }
}
