//! The families below logic, played from a script: each operation has its answers in order (the last one stays), and
//! everything that was asked is on record.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use clap::Parser as _;
use contract::{
    Fingerprint, Money, OpId, Operation, OperationId, Outcome, PrincipalId, SessionId,
    carts::{self, CartContents, CartLine},
    catalogue::{self, Product},
    orders::{self, Found, OpenCheckout, OrderState},
    payments::{Expected, Outlook, PaymentToken},
    session::Session,
    sessions,
    shop::Checkout,
};
use overload::Class;
use rpc::{Client, ClientOptions, InProcess, Transport, TransportError, WireRequest, WireResponse};
use runtime::{Node, Seams, Secret};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) const KEY: &str = "0123456789abcdef";

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    options: logic::Options,
}

/// One thing that was asked of a family: which operation, its body, its key.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) operation: String,
    pub(crate) body: Value,
    pub(crate) key: Option<String>,
    pub(crate) class: Class,
}

#[derive(Debug, Default)]
struct State {
    answers: BTreeMap<&'static str, VecDeque<WireResponse>>,
    asked: Vec<Asked>,
    held: BTreeMap<&'static str, Arc<Notify>>,
}

/// A shop of one logic node over a script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    logic: InProcess,
}

impl Script {
    /// A script in which everything goes well up to the charge, and the client that calls logic.
    pub(crate) fn new() -> (Self, Client) {
        let (script, client, _) = Self::with_app();
        (script, client)
    }

    /// The same with the logic node itself.
    pub(crate) fn with_app() -> (Self, Client, logic::App) {
        let script = Self { state: Arc::default(), changed: Arc::default(), logic: InProcess::default() };
        let mut arguments = vec!["logic", "--secret-file", "unused", "--reconcile-every-s", "1"];
        for family in ["--sessions", "--carts", "--catalogue", "--orders", "--payments"] {
            arguments.extend([family, "static://families:1"]);
        }
        let options = Cli::parse_from(arguments).options;
        let (logic, transport) = (node("logic"), Arc::new(script.clone()) as Arc<dyn Transport>);
        let app = logic::App::new(&logic, &|_| transport.clone(), &options);
        script.logic.add("logic:1", logic::ops(app.clone()).build(&logic));
        logic.readiness.set_ready();
        let discovery = "static://logic:1".parse().unwrap();
        let client = Client::new(&node("caller"), transport, discovery, ClientOptions::default());
        script.everything_goes_well();
        (script, client, app)
    }

    fn everything_goes_well(&self) {
        let principal = PrincipalId(Uuid::from_u128(7));
        self.reply::<sessions::Lookup>(Session { principal, account: None, expires_at_ms: i64::MAX, revoked: false });
        self.reply::<orders::Find>(Found::Nothing);
        let line = CartLine { sku: sku(), quantity: 1, ops: vec![OpId::new(cart(), "the-add-of-emma-17")] };
        self.reply::<carts::View>(CartContents { epoch: 1, lines: vec![line] });
        self.reply::<catalogue::Products>(vec![product()]);
        self.reply::<Outlook>(Expected { wait_ms: 0, call_ms: 50 });
        self.reply::<orders::Open>(orders::Opened::Claimed(open_checkout()));
        self.reply::<catalogue::Reserve>(());
        self.reply::<orders::Heartbeat>(true);
        self.reply::<orders::Complete>(completed());
        self.reply::<carts::Clear>(CartContents { epoch: 2, lines: Vec::new() });
    }

    /// The next answer is this reply.
    pub(crate) fn reply<O: Operation>(&self, reply: O::Reply) {
        self.answer::<O>(200, None, serde_json::to_vec(&reply).unwrap());
    }

    /// The next answer is this refusal.
    pub(crate) fn refuse<O: Operation>(&self, refusal: O::Refusal) {
        self.answer::<O>(409, Some("refused"), serde_json::to_vec(&refusal).unwrap());
    }

    /// The next call is provably not executed.
    pub(crate) fn shed<O: Operation>(&self) {
        self.answer::<O>(503, Some("not-executed"), b"shed".to_vec());
    }

    /// The next call may or may not have been executed.
    pub(crate) fn lose<O: Operation>(&self) {
        self.answer::<O>(500, Some("unknown"), b"lost".to_vec());
    }

    fn answer<O: Operation>(&self, status: u16, outcome: Option<&str>, body: Vec<u8>) {
        let outcome = outcome.map(str::to_owned);
        let response = WireResponse { status, outcome, retry: false, body: body.into(), ..WireResponse::default() };
        self.state.lock().unwrap().answers.entry(O::NAME).or_default().push_back(response);
    }

    /// Forgets the answers there are.
    pub(crate) fn instead<O: Operation>(&self) -> &Self {
        self.state.lock().unwrap().answers.remove(O::NAME);
        self
    }

    /// Holds the next answers to this operation back until the returned sign is given.
    pub(crate) fn hold<O: Operation>(&self) -> Arc<Notify> {
        self.state.lock().unwrap().held.entry(O::NAME).or_default().clone()
    }

    pub(crate) fn asked<O: Operation>(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.iter().filter(|asked| asked.operation == O::NAME).cloned().collect()
    }

    /// The only one that was asked; panics if there is none or another.
    pub(crate) fn asked_once<O: Operation>(&self) -> Asked {
        let mut all = self.asked::<O>();
        assert_eq!(all.len(), 1, "{}: {all:?}", O::NAME);
        all.remove(0)
    }

    /// Waits until this was asked so often.
    pub(crate) async fn until_asked<O: Operation>(&self, times: usize) {
        loop {
            let changed = self.changed.notified();
            if self.asked::<O>().len() >= times {
                return;
            }
            changed.await;
        }
    }

    /// The operations asked of this family, in order.
    pub(crate) fn steps(&self, families: &[&str]) -> Vec<String> {
        let of = |asked: &&Asked| families.iter().any(|family| asked.operation.starts_with(&format!("{family}.")));
        self.state.lock().unwrap().asked.iter().filter(of).map(|asked| asked.operation.clone()).collect()
    }

    fn next(&self, request: &WireRequest) -> Option<WireResponse> {
        let mut state = self.state.lock().unwrap();
        let body = serde_json::from_slice(&request.body).unwrap();
        let (operation, key) = (request.operation.to_owned(), request.key.clone());
        state.asked.push(Asked { operation, body, key, class: request.class });
        let answers = state.answers.get_mut(request.operation)?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError> {
        if address == "logic:1" {
            return self.logic.send(address, request).await;
        }
        let answer = self.next(&request);
        self.changed.notify_waiters();
        let held = self.state.lock().unwrap().held.get(request.operation).cloned();
        if let Some(held) = held {
            held.notified().await;
        }
        answer.ok_or_else(|| TransportError::NotSent(format!("{} is not in the script", request.operation)))
    }

    async fn probe(&self, _: &str) -> bool {
        true
    }
}

fn node(family: &'static str) -> Node {
    Node::assemble(family, "1", Seams::system(), Secret::new(KEY).unwrap()).unwrap()
}

fn sku() -> contract::Sku {
    "emma".parse().unwrap()
}

fn cart() -> contract::CartId {
    contract::CartId(Uuid::from_u128(7))
}

fn product() -> Product {
    let text = |text: &str| text.to_owned();
    Product {
        sku: sku(),
        title: text("Emma"),
        creator: text("Jane Austen"),
        category: text("Fiction"),
        description: text("A novel."),
        price: Money::gbp(1299),
        available: 3,
    }
}

/// The checkout that the script is about.
pub(crate) fn operation() -> OperationId {
    OperationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

pub(crate) fn open_checkout() -> OpenCheckout {
    let orders::Open { principal, snapshot, payment, .. } = orders::Open::example();
    OpenCheckout { operation: operation(), principal, snapshot, payment, not_after_ms: 60_000, attempts: 0 }
}

pub(crate) fn completed() -> orders::Answer {
    let snapshot = open_checkout().snapshot;
    orders::Answer::Completed(orders::Order {
        id: operation(),
        state: OrderState::Completed,
        lines: snapshot.lines,
        total: snapshot.total,
        address: None,
        created_at_ms: 0,
    })
}

/// A customer's checkout.
pub(crate) async fn check_out(client: &Client) -> Outcome<Checkout> {
    let request = Checkout {
        session: SessionId::of_token("customer"),
        fingerprint: Fingerprint::of(b"one"),
        payment: PaymentToken("tok_ok".to_owned()),
        expected_total: Money::gbp(1299),
        address: None,
    };
    client.call(&request, KEY.parse().unwrap()).await
}
