//! `GET` and `PUT /faults` on the operations listener. Everybody who reaches the listener may look; a change needs the
//! cluster's secret, because who can cut a node off can stop the shop.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{FaultRules, FaultRulesError, Faults};
use crate::Secret;

/// Room for every rule that may be.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The routes of the operations listener that are about faults.
pub(crate) fn routes(faults: Faults, secret: Secret) -> Router {
    Router::new()
        .route("/faults", get(show).put(replace))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state((faults, secret))
}

async fn show(State((faults, _)): State<(Faults, Secret)>) -> Json<FaultRules> {
    Json(faults.rules())
}

async fn replace(State((faults, secret)): State<(Faults, Secret)>, headers: HeaderMap, body: String) -> Response {
    if !secret.is_shown(&headers) {
        return (StatusCode::UNAUTHORIZED, "the cluster's secret is missing or wrong").into_response();
    }
    match body.parse().and_then(|rules: FaultRules| faults.set(rules)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ FaultRulesError::Overtaken(_)) => (StatusCode::CONFLICT, error.to_string()).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, header::AUTHORIZATION},
    };
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn only_who_knows_the_secret_changes_anything() {
        let faults = Faults::default();
        let secret = Secret::new("0123456789abcdef").unwrap();
        let put = async |authorization: &str, body: &str| {
            let request = Request::put("/faults").header(AUTHORIZATION, authorization);
            let request = request.body(Body::from(body.to_owned())).unwrap();
            routes(faults.clone(), secret.clone()).oneshot(request).await.unwrap().status().as_u16()
        };
        let body = r#"{"version":2,"rules":{"a:1":{"cut":true}}}"#;
        assert_eq!(put("", body).await, 401);
        assert_eq!(put("Bearer 0123456789abcdeg", body).await, 401);
        assert_eq!(faults.rules(), FaultRules::default());
        assert_eq!(put("Bearer 0123456789abcdef", body).await, 204);
        assert!(faults.rules().rules["a:1"].cut);
        assert_eq!(put("Bearer 0123456789abcdef", r#"{"version":1,"rules":{}}"#).await, 409);
        assert_eq!(put("Bearer 0123456789abcdef", "{").await, 422);
        assert!(faults.rules().rules["a:1"].cut);
    }
}
