//! A frontend over a logic node that answers from a can and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use contract::{
    CallError, CartId, ExactlyOnce, Money, Once, Operation, OperationId, Outcome, PrincipalId, Repeatable, SessionId,
    Sku, Strategy,
    catalogue::{ListRefusal, Product, ProductPage},
    orders::{Address, Answer, NotFound, Order, OrderLine, OrderPage, OrderState},
    session::{Account, Session},
    sessions::{LoginRefusal, NoSession, RegisterRefusal},
    shop::{self, CartView, ChangeRefusal, CheckoutRefusal, CheckoutReply, ShowOrderRefusal},
};
use frontend::{App, WebhookSecret};
use overload::Regulated;
use rpc::{Client, ClientOptions, InProcess, Ops};
use runtime::{Node, Seams, Secret};
use serde_json::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

/// A session that is live.
pub(crate) const LIVE: &str = "11111111111111111111111111111111111111111111111111111111111111aa";
/// A session that was logged out.
pub(crate) const OVER: &str = "00000000000000000000000000000000000000000000000000000000000000bb";
pub(crate) const KEY: &str = "0123456789abcdef-key";
pub(crate) const EXPIRES_AT_MS: i64 = 4_000_000_000_000;
const ADDRESS: &str = "logic:1";

/// What logic was asked: operation, request, key.
type Asked = (&'static str, Value, Option<String>);

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<Asked>>>);

impl Fake {
    fn note<O: Operation>(&self, request: &O, key: Option<&str>) {
        let request = serde_json::to_value(request).unwrap();
        self.0.lock().unwrap().push((O::NAME, request, key.map(str::to_owned)));
    }
}

pub(crate) struct Edge {
    pub(crate) router: Router,
    pub(crate) service: Regulated<Router>,
    pub(crate) node: Node,
    pub(crate) transport: InProcess,
    fake: Fake,
    app: App,
}

impl Edge {
    pub(crate) fn new() -> Self {
        Self::with_cookie(false)
    }

    pub(crate) fn with_cookie(secure: bool) -> Self {
        let node = |family| {
            Node::assemble(family, &format!("{family}-1"), Seams::system(), Secret::new("0123456789abcdef").unwrap())
        };
        let (edge, logic) = (node("frontend").unwrap(), node("logic").unwrap());
        let (transport, fake) = (InProcess::default(), Fake::default());
        transport.add(ADDRESS, ops(fake.clone()).build(&logic));
        logic.readiness.set_ready();
        let discovery = format!("static://{ADDRESS}").parse().unwrap();
        let client = Client::new(&edge, Arc::new(transport.clone()), discovery, ClientOptions::default());
        let app = App::new(&edge, client, secure);
        Self { router: frontend::router(&app), service: frontend::service(&app), node: edge, transport, fake, app }
    }

    /// The same, and events signed with this are taken.
    pub(crate) fn with_webhooks(secret: &str) -> Self {
        let edge = Self::new();
        let app = edge.app.clone().with_webhooks(WebhookSecret::new(secret.as_bytes()).unwrap());
        Self { router: frontend::router(&app), service: frontend::service(&app), ..edge }
    }

    /// From now on nobody answers at logic's address.
    pub(crate) fn cut_off(&self) {
        self.transport.remove(ADDRESS);
    }

    pub(crate) fn asked(&self, operation: &str) -> Vec<(Value, Option<String>)> {
        let all = self.fake.0.lock().unwrap();
        all.iter().filter(|asked| asked.0 == operation).map(|asked| (asked.1.clone(), asked.2.clone())).collect()
    }

    pub(crate) fn asked_anything(&self) -> bool {
        !self.fake.0.lock().unwrap().is_empty()
    }

    /// As over the listener: through admission.
    pub(crate) async fn send(&self, call: Call) -> Reply {
        let response = self.service.clone().oneshot(call.0).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 16 * 1024 * 1024).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

#[derive(Debug)]
pub(crate) struct Call(Request<Body>);

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self(Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.0.headers_mut().append(name, value.as_ref().try_into().unwrap());
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn cookie(self, token: &str) -> Self {
        self.header("cookie", format!("session={token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.0.body_mut() = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status and the problem's slug; panics if the answer is not a complete problem document.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.status);
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(document["title"].is_string() && document["detail"].is_string(), "{document}");
        let slug = document["type"].as_str().unwrap().strip_prefix("/docs/problems#").unwrap();
        (self.status.as_u16(), slug.to_owned())
    }
}

pub(crate) fn order_id() -> OperationId {
    OperationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

fn line() -> OrderLine {
    let sku = "emma".parse().unwrap();
    OrderLine { sku, title: "Emma".into(), quantity: 2, unit_price: Money::gbp(999), line_total: Money::gbp(1998) }
}

fn order() -> Order {
    let text = |text: &str| text.to_owned();
    let address = Address {
        name: text("Ada"),
        line1: text("1 Main Street"),
        line2: None,
        city: text("York"),
        postcode: text("YO1"),
        country: text("UK"),
    };
    Order {
        id: order_id(),
        state: OrderState::Completed,
        lines: vec![line()],
        total: Money::gbp(1998),
        address: Some(address),
        created_at_ms: 1_750_000_000_123,
    }
}

fn product(sku: Sku) -> Product {
    let text = |text: &str| text.to_owned();
    Product {
        sku,
        title: text("Emma"),
        creator: text("Jane Austen"),
        category: text("Fiction"),
        description: text("A novel."),
        price: Money::gbp(999),
        available: 7,
    }
}

fn is_live(session: SessionId) -> bool {
    session != SessionId::of_token(OVER)
}

fn session(account: Option<Account>) -> Session {
    Session { principal: PrincipalId(Uuid::from_u128(1)), account, expires_at_ms: EXPIRES_AT_MS, revoked: false }
}

fn change(live: SessionId, sku: Option<&Sku>) -> Result<CartView, CallError<ChangeRefusal>> {
    if !is_live(live) {
        return Err(CallError::Refused(ChangeRefusal::Unauthenticated));
    }
    match sku.map(Sku::as_str) {
        Some("not-there") => Err(CallError::Refused(ChangeRefusal::UnknownSku)),
        Some("full-cart") => Err(CallError::Refused(ChangeRefusal::CartFull)),
        Some("reused-key") => Err(CallError::Refused(ChangeRefusal::KeyReused)),
        Some("panics") => panic!("as asked"),
        _ => Ok(CartView { id: CartId(Uuid::from_u128(3)), lines: vec![line()], total: Money::gbp(1998) }),
    }
}

fn ops(fake: Fake) -> Ops<Fake> {
    own(public(Ops::new(fake)))
}

/// Serves what anybody may ask.
fn public(ops: Ops<Fake>) -> Ops<Fake> {
    ops.serve(async |fake: Fake, op: shop::Products, _: Repeatable| -> Outcome<shop::Products> {
        fake.note(&op, None);
        if op.after.as_deref() == Some("nonsense") {
            return Err(CallError::Refused(ListRefusal::BadCursor));
        }
        Ok(ProductPage { items: vec![product("emma".parse().unwrap())], next: Some("20".to_owned()) })
    })
    .serve(async |fake: Fake, op: shop::ShowProduct, _: Repeatable| -> Outcome<shop::ShowProduct> {
        fake.note(&op, None);
        match op.sku.as_str() {
            "emma" => Ok(product(op.sku)),
            _ => Err(CallError::Refused(NotFound::NotFound)),
        }
    })
    .serve(async |fake: Fake, op: shop::Viewed, _| -> Outcome<shop::Viewed> {
        fake.note(&op, None);
        Ok(())
    })
}

/// Serves the operations on the customer's own things.
fn own(ops: Ops<Fake>) -> Ops<Fake> {
    ops.serve(async |fake: Fake, op: shop::Register, _: Repeatable| -> Outcome<shop::Register> {
        fake.note(&op, None);
        match op.email.as_str() {
            "taken@example.org" => Err(CallError::Refused(RegisterRefusal::EmailTaken)),
            _ => Ok(Account { id: op.account, email: op.email }),
        }
    })
    .serve(async |fake: Fake, op: shop::Login, _: Repeatable| -> Outcome<shop::Login> {
        fake.note(&op, None);
        match op.password.0.as_str() {
            "wrong password" => Err(CallError::Refused(LoginRefusal::WrongCredentials)),
            "one too many" => Err(CallError::Refused(LoginRefusal::Throttled { retry_after_s: 8 })),
            _ => Ok(session(Some(Account { id: PrincipalId(Uuid::from_u128(2)), email: op.email }))),
        }
    })
    .serve(async |fake: Fake, op: shop::OpenSession, _: Repeatable| -> Outcome<shop::OpenSession> {
        fake.note(&op, None);
        Ok(session(None))
    })
    .serve(async |_: Fake, op: shop::WhoAmI, _: Repeatable| -> Outcome<shop::WhoAmI> {
        if is_live(op.session) { Ok(session(None)) } else { Err(CallError::Refused(NoSession::Unauthenticated)) }
    })
    .serve(async |fake: Fake, op: shop::Logout, _: Repeatable| -> Outcome<shop::Logout> {
        fake.note(&op, None);
        Ok(())
    })
    .serve(async |_: Fake, op: shop::ShowCart, _: Repeatable| -> Outcome<shop::ShowCart> {
        change(op.session, None).map_err(|error| error.map_refusal(|_| NoSession::Unauthenticated))
    })
    .serve(async |fake: Fake, op: shop::AddToCart, _: Repeatable| -> Outcome<shop::AddToCart> {
        fake.note(&op, None);
        change(op.session, Some(&op.sku))
    })
    .serve(async |fake: Fake, op: shop::SetLine, _: Repeatable| -> Outcome<shop::SetLine> {
        fake.note(&op, None);
        change(op.session, Some(&op.sku))
    })
    .serve(async |fake: Fake, op: shop::RemoveLine, _: Repeatable| -> Outcome<shop::RemoveLine> {
        fake.note(&op, None);
        change(op.session, Some(&op.sku))
    })
    .serve(checkout)
    .serve(async |fake: Fake, op: shop::ProviderEvent, _: Repeatable| -> Outcome<shop::ProviderEvent> {
        fake.note(&op, None);
        Ok(())
    })
    .serve(async |fake: Fake, op: shop::Orders, _: Repeatable| -> Outcome<shop::Orders> {
        fake.note(&op, None);
        Ok(OrderPage { items: vec![order()], next: Some(order_id()) })
    })
    .serve(async |_: Fake, op: shop::ShowOrder, _: Repeatable| -> Outcome<shop::ShowOrder> {
        if op.order == order_id() { Ok(order()) } else { Err(CallError::Refused(ShowOrderRefusal::NotFound)) }
    })
}

/// The payment token says which answer is wanted.
async fn checkout(fake: Fake, op: shop::Checkout, once: <ExactlyOnce as Strategy>::Permit) -> Outcome<shop::Checkout> {
    let once: Once = once;
    fake.note(&op, Some(once.id().as_str()));
    if !is_live(op.session) {
        return Err(CallError::Refused(CheckoutRefusal::Unauthenticated));
    }
    let order_ref = order_id();
    let ended = |answer| Ok(CheckoutReply::Ended { answer, replayed: false });
    let refused = |refusal| Err(CallError::Refused(refusal));
    match op.payment.0.as_str() {
        "tok_ok" => ended(Answer::Completed(order())),
        "tok_again" => Ok(CheckoutReply::Ended { answer: Answer::Completed(order()), replayed: true }),
        "tok_declined" => ended(Answer::Declined { order: order_ref, code: "insufficient_funds".to_owned() }),
        "tok_sold_out" => ended(Answer::OutOfStock { order: order_ref, sku: "emma".parse().unwrap(), available: 1 }),
        "tok_closed" => ended(Answer::Closed { order: order_ref, proven: false }),
        "tok_too_late" => ended(Answer::Closed { order: order_ref, proven: true }),
        "tok_slow" => Ok(CheckoutReply::Pending { order: order_ref, state: OrderState::NeedsAttention }),
        "tok_unpayable" => refused(CheckoutRefusal::PaymentsBusy { retry_after_ms: 2_001 }),
        "tok_empty" => refused(CheckoutRefusal::CartEmpty),
        "tok_changed" => refused(CheckoutRefusal::TotalChanged { total: Money::gbp(2500) }),
        "tok_reused" => refused(CheckoutRefusal::KeyReused),
        "tok_claimed" => refused(CheckoutRefusal::CartClaimed { order: order_ref }),
        "tok_expired" => refused(CheckoutRefusal::ResultExpired { order: order_ref, state: OrderState::Completed }),
        "tok_cut_off" => refused(CheckoutRefusal::HomeUnreachable { site: "seattle".to_owned() }),
        "tok_in_progress" => refused(CheckoutRefusal::InProgress { order: order_ref }),
        "tok_shed" => Err(CallError::NotExecuted("logic:1 sheds".to_owned())),
        "tok_lost" => Err(CallError::Unknown("logic:1 lost it".to_owned())),
        other => panic!("no answer is canned for {other}"),
    }
}
