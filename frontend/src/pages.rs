//! The storefront: pages for people, drawn on the server, beside the API that programs use. Pages only read; everything
//! that changes the shop goes through `/api`, called by the modules under `static/`. So a page needs no session, no
//! protection against cross-site requests and no rule of its own, and browsing works without script.

pub(crate) mod assets;
mod browse;
mod product;
mod shells;
#[cfg(test)]
mod tests;
pub(crate) mod trouble;

use askama::Template;
use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};

use crate::app::App;

/// Every page, cover and static file.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(browse::shelf))
        .route("/products/{sku}", get(product::product))
        .route("/covers/{file}", get(product::cover))
        .route("/cart", get(shells::cart))
        .route("/checkout", get(shells::checkout))
        .route("/orders", get(shells::orders))
        .route("/orders/{id}", get(shells::order))
        .route("/login", get(shells::login))
        .route("/static/{*path}", get(assets::asset))
}

/// A page as an answer. Never stored without asking again: prices and stock change, and a page names the version of the
/// static files it was made for.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
