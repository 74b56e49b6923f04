//! `GET` and `PUT /demand` on the operations listener. Everybody who reaches the listener may look; a change needs the
//! cluster's secret, because who can make a node slow can stop the shop.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::{Demand, DemandRules};
use crate::Secret;

/// Many times the rules as text.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The routes of the operations listener that are about modelled demand.
pub(crate) fn routes(demand: Demand, secret: Secret) -> Router {
    Router::new()
        .route("/demand", get(show).put(replace))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state((demand, secret))
}

async fn show(State((demand, _)): State<(Demand, Secret)>) -> Json<DemandRules> {
    Json(demand.rules())
}

async fn replace(State((demand, secret)): State<(Demand, Secret)>, headers: HeaderMap, body: String) -> Response {
    if !secret.is_shown(&headers) {
        return (StatusCode::UNAUTHORIZED, "the cluster's secret is missing or wrong").into_response();
    }
    match body.parse().and_then(|rules: DemandRules| demand.set(rules)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn only_who_knows_the_secret_changes_anything() {
        let demand = Demand::default();
        let secret = Secret::new("0123456789abcdef").unwrap();
        let put = async |authorization: &str, body: &str| {
            let request = Request::put("/demand").header("authorization", authorization);
            let request = request.body(Body::from(body.to_owned())).unwrap();
            routes(demand.clone(), secret.clone()).oneshot(request).await.unwrap().status().as_u16()
        };
        let slow = r#"{"factor":10}"#;
        assert_eq!(put("", slow).await, 401);
        assert_eq!(put("Bearer 0123456789abcdeg", slow).await, 401);
        assert_eq!(put("Bearer 0123456789abcdef", "{").await, 422);
        assert_eq!(demand.rules(), DemandRules::default());
        assert_eq!(put("Bearer 0123456789abcdef", slow).await, 204);
        assert_eq!(demand.rules().factor, 10);
    }
}
