//! `GET` and `PUT /limits` on the operations listener: what load regulation goes by. Everybody who reaches the listener may
//! look; a change needs the cluster's secret, because who can take all limits away can stop the shop.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use overload::{Limits, Settings};

use crate::Secret;

/// Many times the settings as text.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn routes(limits: Limits, secret: Secret) -> Router {
    Router::new()
        .route("/limits", get(show).put(replace))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state((limits, secret))
}

async fn show(State((limits, _)): State<(Limits, Secret)>) -> Json<Settings> {
    Json((**limits.now()).clone())
}

async fn replace(State((limits, secret)): State<(Limits, Secret)>, headers: HeaderMap, body: String) -> Response {
    if !secret.is_shown(&headers) {
        return (StatusCode::UNAUTHORIZED, "the cluster's secret is missing or wrong").into_response();
    }
    match body.parse().and_then(|settings: Settings| limits.set(settings)) {
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
        let limits = Limits::default();
        let secret = Secret::new("0123456789abcdef").unwrap();
        let put = async |authorization: &str, body: &str| {
            let request = Request::put("/limits").header("authorization", authorization);
            let request = request.body(Body::from(body.to_owned())).unwrap();
            routes(limits.clone(), secret.clone()).oneshot(request).await.unwrap().status().as_u16()
        };
        let off = r#"{"protection":false}"#;
        assert_eq!(put("", off).await, 401);
        assert_eq!(put("Bearer 0123456789abcdeg", off).await, 401);
        assert_eq!(put("Bearer 0123456789abcdef", "{").await, 422);
        assert_eq!(**limits.now(), Settings::default());
        assert_eq!(put("Bearer 0123456789abcdef", off).await, 204);
        assert!(!limits.now().protection);
    }
}
