//! The service around a finished one: what is refused never gets in, and its body is never looked at.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::sync::Semaphore;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::Tier;
use crate::{Lag, Limits, Pressure};

/// No body: asking it for anything is impossible.
struct Untouched;

fn ask<'a>(_: &Method, uri: &Uri, headers: &'a HeaderMap) -> Option<Asked<'a>> {
    let session = headers.get("cookie").map(|cookie| cookie.as_bytes());
    (uri.path() != "/health").then_some(Asked { class: Class::Normal, within: Duration::from_secs(3), session })
}

fn regulated(
    settings: &str,
    gate: Arc<Semaphore>,
) -> Regulated<
    impl Service<Request<Untouched>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
> {
    let (limits, meter) = (Limits::default(), SdkMeterProvider::default().meter("test"));
    limits.set(settings.parse().unwrap()).unwrap();
    let admission = Admission::new(Tier::Edge, limits, Pressure::default(), Lag::new(&meter), &meter);
    let inner = service_fn(move |request: Request<Untouched>| {
        let gate = gate.clone();
        async move {
            // Health passes whatever the shop does.
            if request.uri().path() != "/health" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(Response::new(Body::empty()))
        }
    });
    let answer = |status, body: &'static str| StaticAnswer {
        status,
        headers: HeaderMap::from_iter([(axum::http::header::RETRY_AFTER, 1.into())]),
        body: body.into(),
    };
    let rules = Rules {
        ask,
        busy: answer(StatusCode::SERVICE_UNAVAILABLE, "busy"),
        too_fast: answer(StatusCode::TOO_MANY_REQUESTS, "too fast"),
    };
    Regulated::new(inner, admission, rules)
}

fn get(path: &str, session: Option<&str>) -> Request<Untouched> {
    let mut request = Request::get(path);
    if let Some(session) = session {
        request = request.header("cookie", session);
    }
    request.body(Untouched).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_too_many_is_refused_at_once_and_one_that_waits_is_served_or_refused_in_time() {
    let gate = Arc::new(Semaphore::new(0));
    let settings = r#"{"admission":{"adaptive":false,"work_max":2,"queue_percent":50}}"#;
    let service = regulated(settings, gate.clone());
    let send = |path: &'static str| service.clone().oneshot(get(path, None));
    let mut inside: Vec<_> = (0..2).map(|_| Box::pin(send("/a"))).collect();
    for one in &mut inside {
        assert!(futures_util::poll!(one).is_pending());
    }
    let mut waiting = Box::pin(send("/b"));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let refused = futures_util::poll!(Box::pin(send("/c")));
    let Poll::Ready(Ok(refused)) = refused else { panic!("refused without waiting: {refused:?}") };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
    assert_eq!(axum::body::to_bytes(refused.into_body(), 100).await.unwrap(), "busy");
    assert_eq!(send("/health").await.unwrap().status(), StatusCode::OK, "exempt");
    gate.add_permits(3);
    for one in inside {
        assert_eq!(one.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK, "its turn came");
    // Now nobody comes out again: who waits is refused when its time is over.
    let mut inside: Vec<_> = (0..2).map(|_| Box::pin(send("/a"))).collect();
    for one in &mut inside {
        assert!(futures_util::poll!(one).is_pending());
    }
    let start = Instant::now();
    assert_eq!(send("/b").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(start.elapsed().as_millis() / 10, 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_session_has_a_quota_and_others_pay_nothing_for_it() {
    let settings = r#"{"admission":{"session_per_s":10,"session_burst":3}}"#;
    let service = regulated(settings, Arc::new(Semaphore::new(1_000)));
    let send = |session: Option<&'static str>| {
        let answer = service.clone().oneshot(get("/a", session));
        async move { answer.await.unwrap().status().as_u16() }
    };
    for expected in [200, 200, 200, 429] {
        assert_eq!(send(Some("session=one")).await, expected);
    }
    assert_eq!(send(Some("session=two")).await, 200);
    for _ in 0..10 {
        assert_eq!(send(None).await, 200, "without a session there is no quota");
    }
    tokio::time::advance(Duration::from_millis(101)).await;
    assert_eq!(send(Some("session=one")).await, 200);
}
