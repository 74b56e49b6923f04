//! `GET` and `PUT` on the operations listener of what may be changed while a node runs. Everybody who reaches the listener
//! may look; a change needs the cluster's secret, because who can cut a node off or take its limits away can stop the shop.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use overload::Limits;
use serde::Serialize;

use crate::{Demand, FaultRulesError, Faults, Node};

/// Room for every fault rule that may be.
const FAULTS_BYTES_MAX: usize = 256 * 1024;
/// Many times the other settings as text.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What load regulation goes by, faults between nodes, and modelled demand.
pub(crate) fn routes(node: &Node) -> Router {
    let limits_now = |limits: &Limits| (**limits.now()).clone();
    let faults_refused = |error: &_| match error {
        FaultRulesError::Overtaken(_) => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let faults = live(node, node.faults.clone(), Faults::rules, Faults::set, faults_refused);
    Router::new()
        .route("/limits", live(node, node.limits.clone(), limits_now, Limits::set, unusable))
        .route("/demand", live(node, node.demand.clone(), Demand::rules, Demand::set, unusable))
        .route("/faults", faults.layer(DefaultBodyLimit::max(FAULTS_BYTES_MAX)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

const fn unusable<E>(_: &E) -> StatusCode {
    StatusCode::UNPROCESSABLE_ENTITY
}

/// Settings of type `T`: how their `holder` is asked for them as they are `now`, how they are `set` there, and the status
/// of what it `refused`.
fn live<H, T, E>(
    node: &Node,
    holder: H,
    now: fn(&H) -> T,
    set: fn(&H, T) -> Result<(), E>,
    refused: fn(&E) -> StatusCode,
) -> MethodRouter
where
    H: Clone + Send + Sync + 'static,
    T: Serialize + FromStr<Err = E> + 'static,
    E: Display + 'static,
{
    let (shown, secret) = (holder.clone(), node.secret.clone());
    let show = async move || Json(now(&shown));
    let replace = async move |headers: HeaderMap, body: String| -> Response {
        if !secret.is_shown(&headers) {
            return (StatusCode::UNAUTHORIZED, "the cluster's secret is missing or wrong").into_response();
        }
        match body.parse().and_then(|settings| set(&holder, settings)) {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => (refused(&error), error.to_string()).into_response(),
        }
    };
    get(show).put(replace)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, header::AUTHORIZATION},
    };
    use overload::Settings;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{DemandRules, FaultRules, Seams, Secret};

    const SECRET: &str = "0123456789abcdef";

    fn node() -> Node {
        Node::assemble("orders", "1", Seams::system(), Secret::new(SECRET).unwrap()).unwrap()
    }

    async fn put(node: &Node, path: &str, token: &str, body: &str) -> u16 {
        let request = Request::put(path).header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        routes(node).oneshot(request).await.unwrap().status().as_u16()
    }

    const CHANGES: [(&str, &str); 3] = [
        ("/limits", r#"{"protection":false}"#),
        ("/faults", r#"{"version":2,"rules":{"a:1":{"cut":true}}}"#),
        ("/demand", r#"{"factor":10}"#),
    ];

    #[tokio::test]
    async fn only_who_knows_the_secret_changes_anything() {
        let node = node();
        for (path, change) in CHANGES {
            assert_eq!(put(&node, path, "", change).await, 401, "{path}");
            assert_eq!(put(&node, path, "0123456789abcdeg", change).await, 401, "{path}");
            assert_eq!(put(&node, path, SECRET, "{").await, 422, "{path}");
        }
        assert_eq!(**node.limits.now(), Settings::default());
        assert_eq!(node.faults.rules(), FaultRules::default());
        assert_eq!(node.demand.rules(), DemandRules::default());
        for (path, change) in CHANGES {
            assert_eq!(put(&node, path, SECRET, change).await, 204, "{path}");
        }
        assert!(!node.limits.now().protection);
        assert!(node.faults.rules().rules["a:1"].cut);
        assert_eq!(node.demand.rules().factor, 10);
    }

    #[tokio::test]
    async fn a_list_of_faults_that_was_overtaken_on_its_way_is_refused() {
        let node = node();
        assert_eq!(put(&node, "/faults", SECRET, r#"{"version":2,"rules":{"a:1":{"cut":true}}}"#).await, 204);
        assert_eq!(put(&node, "/faults", SECRET, r#"{"version":1,"rules":{}}"#).await, 409);
        assert!(node.faults.rules().rules["a:1"].cut);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let node = node();
        let none = r#"{"version":1,"rules":{}}"#;
        for (path, text, most) in
            [("/limits", "{}", BODY_BYTES_MAX), ("/demand", "{}", BODY_BYTES_MAX), ("/faults", none, FAULTS_BYTES_MAX)]
        {
            let padded = |bytes: usize| text.to_owned() + &" ".repeat(bytes - text.len());
            assert_eq!(put(&node, path, SECRET, &padded(most)).await, 204, "{path}");
            assert_eq!(put(&node, path, SECRET, &padded(most + 1)).await, 413, "{path}");
        }
    }
}
