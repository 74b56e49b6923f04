//! How each request is regulated: its class and its deadline, by method and path alone, since nothing else is known before
//! it is let in; and the two answers to what is not.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use overload::{Asked, Class, Rules, StaticAnswer};

use crate::{
    identity,
    problem::{Kind, Problem, RETRY_AFTER_S},
    security,
};

/// Tells a client's library from a proxy's 503: this was not executed and may be sent again.
const OVERLOAD: HeaderName = HeaderName::from_static("x-overload");

/// How one request is regulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Regulation {
    pub(crate) class: Class,
    /// How long it may take in all, resends of inner calls included.
    pub(crate) within: Duration,
}

/// The one table of classes. The first part of the path decides, as routes may have any number of parts behind it.
pub(crate) fn of(method: &Method, path: &str) -> Regulation {
    let (top, rest) = path.strip_prefix('/').unwrap_or(path).split_once('/').unwrap_or((path, ""));
    let part = match top {
        "api" => rest.split('/').next().unwrap_or_default(),
        _ => top.trim_start_matches('/'),
    };
    let (class, seconds) = match (method.as_str(), top, part) {
        // Sells. Above the 5 s after which the driver of a checkout answers 202 by itself.
        ("POST", "api", "checkout") => (Class::Critical, 8),
        // Ends what was begun: the result of a payment, log out, the state of an order.
        ("POST", "webhooks", _) | ("DELETE", "api", "session") | ("GET", "api", "orders") => (Class::Emergency, 3),
        // Password hashes queue for two places per sessions node.
        ("POST", "api", "session" | "accounts") => (Class::Normal, 6),
        (_, _, "session" | "accounts" | "cart" | "checkout" | "login" | "orders") => (Class::Normal, 3),
        _ => (Class::Sheddable, 3),
    };
    Regulation { class, within: Duration::from_secs(seconds) }
}

fn ask<'a>(method: &Method, uri: &Uri, headers: &'a HeaderMap) -> Option<Asked<'a>> {
    // Load balancers must hear from a full node too.
    if uri.path() == "/health/ready" {
        return None;
    }
    let Regulation { class, within } = of(method, uri.path());
    Some(Asked { class, within, session: identity::presented_token(headers) })
}

/// How the public listener is regulated.
pub(crate) fn rules() -> Rules {
    // Nothing was read, so nothing is known of the key: the same one may come again, a new one would be a new purchase.
    let busy = Problem::new(Kind::Busy, "this node has all the requests it can work on").keyed(None, false);
    let too_fast = Problem::new(Kind::TooFast, "this session sends more requests than one may").keyed(None, false);
    Rules { ask, busy: ready(busy.header(OVERLOAD, HeaderValue::from_static("retry"))), too_fast: ready(too_fast) }
}

fn ready(problem: Problem) -> StaticAnswer {
    let (status, mut headers, body) = problem.retry_after_s(RETRY_AFTER_S).document();
    security::complete(&mut headers, true);
    StaticAnswer { status, headers, body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sells_and_what_ends_matters_more_than_looking_around() {
        let class = |method: &str, path: &str| of(&method.parse().unwrap(), path).class;
        let table = [
            ("POST", "/api/checkout", Class::Critical),
            ("POST", "/webhooks/provider", Class::Emergency),
            ("DELETE", "/api/session", Class::Emergency),
            ("GET", "/api/orders", Class::Emergency),
            ("GET", "/api/orders/0190", Class::Emergency),
            ("POST", "/api/session", Class::Normal),
            ("GET", "/api/session", Class::Normal),
            ("POST", "/api/accounts", Class::Normal),
            ("GET", "/api/cart", Class::Normal),
            ("PUT", "/api/cart/lines/emma", Class::Normal),
            ("GET", "/cart", Class::Normal),
            ("GET", "/checkout", Class::Normal),
            ("GET", "/orders/0190", Class::Normal),
            ("GET", "/login", Class::Normal),
            ("GET", "/", Class::Sheddable),
            ("GET", "/api/products", Class::Sheddable),
            ("GET", "/products/cart", Class::Sheddable),
            ("GET", "/static/cart.js", Class::Sheddable),
            ("GET", "/webhooks/provider", Class::Sheddable),
            ("POST", "/elsewhere/checkout", Class::Sheddable),
        ];
        for (method, path, expected) in table {
            assert_eq!(class(method, path), expected, "{method} {path}");
        }
        assert_eq!(of(&Method::POST, "/api/checkout").within, Duration::from_secs(8));
        assert_eq!(of(&Method::POST, "/api/session").within, Duration::from_secs(6));
        // A node that drains waits for the longest of them (DR-4).
        assert!(of(&Method::POST, "/api/checkout").within < Duration::from_secs(runtime::DRAIN_S));
    }
}
