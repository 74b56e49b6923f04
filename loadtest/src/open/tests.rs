//! The generator against small shops of its own: a good one, one that stalls, one that sheds, one that never answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use super::{arrivals::Stage, mix::Resend, *};
use crate::{
    audit::Outcome,
    client::{Call, Client},
    measure::Step,
};

/// How the shop behaves.
#[derive(Debug, Clone, Copy, Default)]
struct Mood {
    /// Nothing is answered in this stretch of its life.
    stall: Option<(Duration, Duration)>,
    /// Checkouts are refused as overload.
    sheds: bool,
    /// The first request of each checkout key is never answered.
    deaf_once: bool,
}

struct Shop {
    mood: Mood,
    born: Instant,
    checkouts: AtomicU64,
}

impl Shop {
    async fn answer(&self, answer: impl IntoResponse) -> Response {
        if let Some((from, to)) = self.mood.stall
            && (from..to).contains(&self.born.elapsed())
        {
            tokio::time::sleep_until(self.born + to).await;
        }
        answer.into_response()
    }
}

type Shared = State<Arc<Shop>>;

fn cart() -> Value {
    let money = json!({"amount_minor": 500, "currency": "GBP"});
    let line = json!({"sku": "emma", "quantity": 1, "unit_price": money, "line_total": money});
    json!({"id": "order-1", "state": "completed", "lines": [line], "total": money})
}

async fn checkout(State(shop): Shared) -> Response {
    let number = shop.checkouts.fetch_add(1, Ordering::Relaxed);
    if shop.mood.deaf_once && number.is_multiple_of(2) {
        std::future::pending::<()>().await;
    }
    if shop.mood.sheds {
        return (StatusCode::SERVICE_UNAVAILABLE, [("x-overload", "retry")]).into_response();
    }
    shop.answer((StatusCode::CREATED, Json(cart()))).await
}

async fn start(mood: Mood) -> (Url, JoinSet<()>) {
    let shop = Arc::new(Shop { mood, born: Instant::now(), checkouts: AtomicU64::new(0) });
    let page = async |State(shop): Shared| shop.answer("<html>").await;
    let carts = async |State(shop): Shared| shop.answer(Json(cart())).await;
    let products = async || Json(json!({"items": [{"sku": "emma", "category": "Novels & such", "available": 9}]}));
    let routes = Router::new()
        .route("/", get(page))
        .route("/products/{sku}", get(page))
        .route("/api/products", get(products))
        .route("/api/session", post(async || (StatusCode::CREATED, Json(json!({"token": "t"})))))
        .route("/api/cart/lines", post(carts))
        .route("/api/cart", get(carts))
        .route("/api/checkout", post(checkout))
        .with_state(shop);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, server)
}

/// A plan whose validity does not hang on how busy the machine of the tests is.
fn plan(url: &Url, mix: &str, rate: f64, ms: u64) -> Plan {
    let stages = vec![Stage::steady(rate, Duration::from_millis(ms))];
    let plan = Plan::new(vec![url.clone()], Mix::built_in(mix).unwrap(), stages, 7);
    let bounds = Bounds { machine: 1.0, lag_p99: Duration::from_secs(60), ..Bounds::default() };
    Plan { slice: Duration::from_millis(100), bounds, ..plan }
}

async fn run(plan: Plan) -> Run {
    generate(plan, Watcher::pair().0).await.unwrap()
}

#[tokio::test]
async fn every_arrival_has_one_fate_and_the_slices_agree_with_the_actions() {
    let (url, _server) = start(Mood::default()).await;
    let run = run(plan(&url, "shop", 300.0, 1_000)).await;
    let total = run.total();
    let counts = total.counts;
    assert!((200..400).contains(&counts.offered), "{counts:?}");
    assert_eq!((counts.good, counts.ended()), (counts.offered, counts.offered), "{:?}", total.kinds);
    let mut slices = Counts::default();
    run.slices.iter().for_each(|slice| slices.add(&slice.total()));
    assert_eq!(slices, counts);
    assert_eq!(run.between(Duration::ZERO, Duration::from_secs(2)), counts);
    // A checkout is three requests and one arrival.
    let (checkout, prepare) = (&run.actions[&Action::Checkout], &run.actions[&Action::Prepare]);
    assert_eq!(prepare.counts.good, 2 * checkout.counts.good);
    assert_eq!(run.requests(), counts.sent + prepare.counts.sent);
    assert_eq!(run.checkouts.len() as u64, checkout.counts.offered);
    assert!(run.checkouts.iter().all(|one| matches!(one.outcome, Outcome::Acknowledged { .. })));
    assert_eq!((total.latency.count(), run.invalid.len()), (counts.offered, 0), "{:?}", run.invalid);
    assert!(run.generator.is_some_and(|worked| worked > Duration::ZERO));
}

#[tokio::test]
async fn a_stall_is_felt_by_all_who_came_during_it_but_not_by_a_naive_measure() {
    let second = Duration::from_secs(1);
    let mood = Mood { stall: Some((second / 2, second * 3 / 2)), ..Mood::default() };
    let (url, _server) = start(mood).await;
    // A closed loop of one customer beside it, as naive tools measure: one answer is slow, all others are quick.
    let client = Client::new(vec![url.clone()], Duration::from_secs(5), Duration::from_secs(5)).unwrap();
    let (naive_url, born) = (url.clone(), Instant::now());
    let naive = async {
        let mut naive = Latencies::default();
        while born.elapsed() < 2 * second {
            let began = Instant::now();
            client.once(&naive_url, &Call::get(Step::Cart, "/api/cart", None), second * 5).await.unwrap();
            naive.record(began.elapsed());
        }
        naive
    };
    let (naive, run) = tokio::join!(naive, run(plan(&url, "browse", 100.0, 2_000)));
    let ours_ms = run.total().latency.percentile_ms(90.0);
    assert!(
        naive.count() > 200 && naive.percentile_ms(99.0) < 200.0,
        "{} of {}",
        naive.percentile_ms(99.0),
        naive.count()
    );
    assert!(ours_ms > 500.0, "p90 {ours_ms} ms");
    // And in the slices of those who came at the beginning of the stall, not of those who were answered then.
    let worst = run.slices.iter().position(|slice| slice.max_ms.is_some_and(|ms| ms > 850.0));
    assert!(worst.is_some_and(|slice| (3..9).contains(&slice)), "{worst:?}");
}

#[tokio::test]
async fn a_late_answer_is_no_goodput() {
    let mood = Mood { stall: Some((Duration::ZERO, Duration::from_millis(1_500))), ..Mood::default() };
    let (url, _server) = start(mood).await;
    let plan = Plan { deadline: Duration::from_millis(200), ..plan(&url, "browse", 50.0, 400) };
    let counts = run(plan).await.total().counts;
    assert_eq!((counts.good, counts.late), (0, counts.offered), "{counts:?}");
    assert!(counts.offered > 5);
}

#[tokio::test]
async fn what_is_shed_is_no_error_and_its_customers_were_told() {
    let (url, _server) = start(Mood { sheds: true, ..Mood::default() }).await;
    let run = run(plan(&url, "checkout", 50.0, 400)).await;
    let total = run.total();
    assert_eq!((total.counts.shed, total.counts.failed()), (total.counts.offered, 0), "{:?}", total.kinds);
    assert_eq!((total.rejection.count(), total.latency.count()), (total.counts.offered, 0));
    assert!(run.checkouts.iter().all(|one| matches!(one.outcome, Outcome::Refused { .. })), "{:?}", run.checkouts);
}

#[tokio::test]
async fn impatient_customers_send_again_with_their_key_and_are_counted() {
    let (url, _server) = start(Mood { deaf_once: true, ..Mood::default() }).await;
    let mut plan = plan(&url, "checkout", 1.0, 3_000);
    plan.arrivals = Pattern::Constant;
    plan.mix.resend = Some(Resend { after: Duration::from_millis(100), times: 3, actions: vec![Action::Checkout] });
    let run = run(plan).await;
    let checkout = &run.actions[&Action::Checkout];
    assert_eq!((checkout.counts.good, checkout.resent, checkout.counts.sent), (3, 3, 6), "{:?}", checkout.kinds);
    assert!(checkout.latency.percentile_ms(50.0) >= 100.0, "the waiting before the resend counts");
}

#[tokio::test]
async fn nobody_home_is_no_run_and_silence_is_a_timeout() {
    let nobody = Url::parse("http://127.0.0.1:1").unwrap();
    let error = generate(plan(&nobody, "shop", 10.0, 100), Watcher::pair().0).await.unwrap_err();
    assert!(error.is::<crate::InvalidRun>() && error.to_string().contains("does not answer"), "{error:#}");
    let mood = Mood { stall: Some((Duration::ZERO, Duration::from_secs(30))), ..Mood::default() };
    let (url, _server) = start(mood).await;
    let counts =
        run(Plan { timeout: Duration::from_millis(150), ..plan(&url, "browse", 40.0, 300) }).await.total().counts;
    assert_eq!((counts.timeout, counts.good), (counts.offered, 0));
}

#[tokio::test]
async fn a_starved_generator_says_so() {
    let (url, _server) = start(Mood { stall: Some((Duration::ZERO, Duration::from_secs(1))), ..Mood::default() }).await;
    let bounds = Bounds { machine: 1.0, ..Bounds::default() };
    let full = run(Plan { in_flight_max: 5, bounds, ..plan(&url, "browse", 200.0, 300) }).await;
    assert!(full.invalid.iter().any(|why| why.contains("never sent")), "{:?}", full.invalid);
    let counts = full.total().counts;
    assert_eq!((counts.missed, full.most_in_flight), (counts.offered - 5, 5));
    // More than one thread can send: it is behind its plan, and its latencies are its own.
    let (url, _server) = start(Mood::default()).await;
    let late = run(Plan { bounds, ..plan(&url, "browse", 100_000.0, 100) }).await;
    assert!(late.invalid.iter().any(|why| why.contains("schedule lag")), "{:?}", late.invalid);
    // Its customers waited for it too, which the real sending does not know.
    let total = late.total();
    let (intended_ms, naive_ms) = (total.latency.percentile_ms(50.0), total.naive.percentile_ms(50.0));
    assert!(intended_ms > naive_ms, "{intended_ms} ms, {naive_ms} ms");
}

#[tokio::test]
async fn a_run_can_be_watched_and_ended_early() {
    let (url, _server) = start(Mood::default()).await;
    let (watcher, mut watching) = Watcher::pair();
    let run = generate(plan(&url, "browse", 200.0, 3_600_000), watcher);
    let stop = async {
        watching.live.wait_for(|live| live.total.good > 50).await.unwrap();
        watching.stop.send_replace(true);
    };
    let (run, ()) = tokio::join!(run, stop);
    let run = run.unwrap();
    assert!(run.interrupted && run.offered_for() < Duration::from_secs(60));
    let counts = run.total().counts;
    assert!(counts.good > 50 && counts.ended() == counts.offered);
}
