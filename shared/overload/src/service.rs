//! Admission in front of a finished HTTP service. It wraps the service as a whole, because a layer of an axum router runs
//! behind its routing, and decides in `call`: a refusal is made of parts that lie ready, costs no task and no box, and
//! leaves the body where it is.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode, Uri},
    response::Response,
};
use futures_util::future::Either;
use tokio::time::Instant;
use tower::Service;

use crate::{
    Admission, Class, Refused,
    admission::Decision,
    quota::{Quota, Rate},
};

/// An answer whose parts lie ready.
#[derive(Clone, Debug)]
pub struct StaticAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl StaticAnswer {
    fn answer(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// What admission needs to know of a request, read off its head.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How much it matters.
    pub class: Class,
    /// How long it may take in all.
    pub within: Duration,
    /// What names the session, if it has one; it is held to the session's quota.
    pub session: Option<&'a [u8]>,
}

/// How a service is regulated.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Reads a request; `None` exempts it from all regulation.
    pub ask: for<'a> fn(&Method, &Uri, &'a HeaderMap) -> Option<Asked<'a>>,
    /// The answer when there is no place.
    pub busy: StaticAnswer,
    /// The answer when the session asks too much.
    pub too_fast: StaticAnswer,
}

/// A service behind admission; clones share it.
#[derive(Clone, Debug)]
pub struct Regulated<S> {
    inner: S,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    admission: Admission,
    rules: Rules,
    quota: Quota,
}

impl<S> Regulated<S> {
    /// Lets into `inner` what `admission` admits.
    pub fn new(inner: S, admission: Admission, rules: Rules) -> Self {
        Self { inner, gate: Arc::new(Gate { admission, rules, quota: Quota::new() }) }
    }
}

impl Gate {
    fn decide(&self, asked: &Asked<'_>) -> Decision {
        let (settings, now) = (self.admission.limits().now(), Instant::now());
        let rate = Rate { per_s: settings.admission.session_per_s, burst: settings.admission.session_burst };
        let within_quota = |session| !settings.protection || self.quota.allows(session, rate, now);
        match asked.session.is_none_or(within_quota) {
            true => self.admission.decide(asked.class, now + asked.within, Duration::ZERO),
            false => self.admission.refuse(asked.class, Refused::Quota),
        }
    }

    fn answer(&self, refused: Refused) -> Response {
        match refused {
            Refused::Quota => self.rules.too_fast.answer(),
            Refused::Full | Refused::Displaced | Refused::Aged | Refused::Late => self.rules.busy.answer(),
        }
    }
}

type Answered = Result<Response, Infallible>;

impl<S, B> Service<Request<B>> for Regulated<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Answered>, Pin<Box<dyn Future<Output = Answered> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(asked) = (self.gate.rules.ask)(request.method(), request.uri(), request.headers()) else {
            return Either::Right(Box::pin(self.inner.call(request)));
        };
        match self.gate.decide(&asked) {
            Decision::Refused(why) => Either::Left(ready(Ok(self.gate.answer(why)))),
            Decision::Admitted(permit) => {
                let response = self.inner.call(request);
                Either::Right(Box::pin(async move {
                    let response = response.await;
                    permit.finish();
                    response
                }))
            }
            Decision::Waits(waiting) => {
                // The one that was polled ready does the work, a fresh clone takes its place.
                let fresh = self.inner.clone();
                let (mut inner, gate) = (std::mem::replace(&mut self.inner, fresh), self.gate.clone());
                Either::Right(Box::pin(async move {
                    match waiting.verdict().await {
                        Ok(permit) => {
                            let response = inner.call(request).await;
                            permit.finish();
                            response
                        }
                        Err(why) => Ok(gate.answer(why)),
                    }
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
