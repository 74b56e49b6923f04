//! Admission: at most so many requests at a time in everything below; the rest is refused at once, before its body is
//! read, a session looked up or a line logged (O1, O7). A refused request was not executed and may be sent again.
//!
//! The permit is held until the response's head exists, not until a streamed body ends: our answers are small and whole.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{extract::Request, response::Response};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

/// The layer: the semaphore lives here, so that all routes and connections share it.
#[derive(Clone, Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    refusal: fn() -> Response,
}

impl Admission {
    /// Admits at most `limit` requests at a time; `refusal` makes the answer to the others.
    #[must_use]
    pub fn new(limit: usize, refusal: fn() -> Response) -> Self {
        Self { permits: Arc::new(Semaphore::new(limit)), refusal }
    }
}

impl<S> Layer<S> for Admission {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, admission: self.clone() }
    }
}

/// The service that [`Admission`] makes.
#[derive(Clone, Debug)]
pub struct Admit<S> {
    inner: S,
    admission: Admission,
}

impl<S> Service<Request> for Admit<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Ok(permit) = self.admission.permits.clone().try_acquire_owned() else {
            let refusal = self.admission.refusal;
            return Box::pin(async move { Ok(refusal()) });
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            drop(permit);
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::StatusCode, response::IntoResponse as _, routing::get};
    use tokio::sync::Barrier;
    use tower::ServiceExt as _;

    use super::*;

    /// Two routes and a fresh clone for each request, as a server makes them: the limit must hold over all.
    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_over_routes_and_clones() {
        let (entered, leave) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
        let handler = {
            let (entered, leave) = (entered.clone(), leave.clone());
            move || async move {
                entered.wait().await;
                leave.wait().await;
                StatusCode::OK
            }
        };
        let router = Router::new()
            .route("/a", get(handler.clone()))
            .route("/b", get(handler))
            .layer(Admission::new(2, || StatusCode::SERVICE_UNAVAILABLE.into_response()));
        let ask = |path: &str| router.clone().oneshot(http::Request::get(path).body(Body::empty()).unwrap());
        let inside = async {
            entered.wait().await;
            for path in ["/a", "/b"] {
                // One that were let in would wait for ever at the barrier; time is paused, so the limit costs none.
                let third = tokio::time::timeout(std::time::Duration::from_secs(1), ask(path)).await;
                let status = third.expect("refused at once").unwrap().status();
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path} with two inside");
            }
            leave.wait().await;
        };
        let (one, two, ()) = tokio::join!(ask("/a"), ask("/b"), inside);
        assert_eq!((one.unwrap().status(), two.unwrap().status()), (StatusCode::OK, StatusCode::OK));
    }
}
