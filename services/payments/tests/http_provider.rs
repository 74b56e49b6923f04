//! The HTTP adapter against a server that answers what the test wants: what is sent, and what each answer proves.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use contract::{
    Money, OperationId,
    payments::{Charge, PaymentToken},
};
use payments::provider::{Found, HttpProvider, Provider as _, ProviderAnswer};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

const ID: &str = "00000000-0000-0000-0000-000000000001";

struct Server {
    provider: HttpProvider,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    answer: Mutex<(u16, String)>,
    seen: Mutex<Vec<(String, String, String)>>,
}

impl Server {
    async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { provider: HttpProvider::new(&base, runtime::Faults::default()).unwrap(), shared, _serving: serving }
    }

    async fn charge(&self, status: u16, body: &str) -> ProviderAnswer {
        *self.shared.answer.lock().unwrap() = (status, body.to_owned());
        self.provider.charge(&charge()).await
    }

    async fn find(&self, status: u16, body: &str) -> Found {
        *self.shared.answer.lock().unwrap() = (status, body.to_owned());
        self.provider.find(&charge()).await
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").map_or("", |key| key.to_str().unwrap()).to_owned();
    let what = format!("{} {}", request.method(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
    shared.seen.lock().unwrap().push((what, key, String::from_utf8(body.to_vec()).unwrap()));
    let (status, body) = shared.answer.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "2")], body).into_response()
}

fn charge() -> Charge {
    Charge {
        operation: OperationId(Uuid::from_u128(1)),
        amount: Money::gbp(1299),
        token: PaymentToken("tok_ok".to_owned()),
        not_after_ms: 1_790_000_000_000,
    }
}

fn charged(key: &str, reference: &str, amount: i64) -> String {
    format!(
        r#"{{"id":"ch_1","status":"charged","key":"{key}","reference":"{reference}","amount":{{"amount_minor":{amount},"currency":"GBP"}},"time":"x"}}"#
    )
}

#[tokio::test]
async fn the_request_names_the_operation_as_key_and_reference() {
    let server = Server::start().await;
    let answer = server.charge(200, &charged(ID, ID, 1299)).await;
    assert_eq!(answer, ProviderAnswer::Charged { provider_id: "ch_1".to_owned() });
    assert_eq!(server.find(200, &charged(ID, ID, 1299)).await, Found::Charged { provider_id: "ch_1".to_owned() });
    let seen = server.shared.seen.lock().unwrap().clone();
    let body = format!(
        r#"{{"amount":{{"amount_minor":1299,"currency":"GBP"}},"token":"tok_ok","reference":"{ID}","not_after_ms":1790000000000}}"#
    );
    assert_eq!(seen[0], ("POST /charges".to_owned(), ID.to_owned(), body));
    assert_eq!(seen[1].0, format!("GET /charges/by-reference/{ID}"));
}

#[tokio::test]
async fn a_charge_of_another_amount_or_name_proves_nothing() {
    let server = Server::start().await;
    for other in [charged("x", ID, 1299), charged(ID, "x", 1299), charged(ID, ID, 1300), "{}".to_owned()] {
        let answer = server.charge(200, &other).await;
        let is_proof = !matches!(answer, ProviderAnswer::Undecided { .. } | ProviderAnswer::Unknown { .. });
        assert!(!is_proof, "{other}: {answer:?}");
        let found = server.find(200, &other).await;
        assert!(matches!(found, Found::Unknown { .. }), "{other}: {found:?}");
    }
}

#[tokio::test]
async fn each_answer_proves_what_the_table_says() {
    let server = Server::start().await;
    let declined = |code: &str| ProviderAnswer::Declined { code: code.to_owned() };
    let body = r#"{"status":"declined","code":"card_declined","message":"no"}"#;
    assert_eq!(server.charge(402, body).await, declined("card_declined"));
    assert_eq!(server.charge(410, r#"{"code":"too_late"}"#).await, declined("too_late"));
    let rejected = ProviderAnswer::Rejected { code: "bad_request".to_owned() };
    assert_eq!(server.charge(400, r#"{"code":"bad_request"}"#).await, rejected);
    for (status, code) in [(429, "rate_limited"), (503, "overloaded")] {
        let answer = server.charge(status, &format!(r#"{{"code":"{code}"}}"#)).await;
        assert!(matches!(answer, ProviderAnswer::NotExecuted { retry_after_ms: Some(2_000), .. }), "{answer:?}");
    }
    for (status, code) in [(409, "in_progress"), (409, "reference_used"), (422, "key_reused"), (500, "internal_error")]
    {
        let answer = server.charge(status, &format!(r#"{{"code":"{code}"}}"#)).await;
        assert!(matches!(answer, ProviderAnswer::Undecided { .. }), "{status} {code}: {answer:?}");
    }
    for (status, body) in [
        (402, r#"{"code":"something_new"}"#.to_owned()),
        (302, String::new()),
        (502, "<html>".to_owned()),
        (200, format!("\"{}\"", "x".repeat(20_000))),
    ] {
        let answer = server.charge(status, &body).await;
        assert!(matches!(answer, ProviderAnswer::Unknown { .. }), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn a_look_up_finds_or_does_not_and_never_says_not_charged() {
    let server = Server::start().await;
    assert_eq!(server.find(404, r#"{"code":"not_found"}"#).await, Found::NotFound);
    for (status, body) in [(404, "<html>"), (402, r#"{"code":"card_declined"}"#), (429, r#"{"code":"rate_limited"}"#)] {
        let found = server.find(status, body).await;
        assert!(matches!(found, Found::Unknown { .. }), "{status}: {found:?}");
    }
}

#[tokio::test]
async fn only_a_connection_that_was_never_made_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = HttpProvider::new(
        &format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap(),
        runtime::Faults::default(),
    )
    .unwrap();
    let mut cutting = JoinSet::new();
    cutting.spawn(async move { drop(listener.accept().await) });
    let cut = provider.charge(&charge()).await;
    assert!(matches!(cut, ProviderAnswer::Unknown { .. }), "{cut:?}");
    cutting.join_all().await;
    let refused = provider.charge(&charge()).await;
    assert!(matches!(refused, ProviderAnswer::NotExecuted { retry_after_ms: None, .. }), "{refused:?}");
    assert!(matches!(provider.find(&charge()).await, Found::Unknown { .. }));
}
