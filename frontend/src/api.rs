//! The public API, one file per resource. One registration serves the route and writes it into the OpenAPI document, so the
//! document cannot name a route that is not there, nor miss one that is.

mod accounts;
mod cart;
mod checkout;
mod docs;
mod orders;
mod products;
mod session;
mod shapes;

use axum::Router;
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// All of `/api` and `/docs`.
pub(crate) fn routes() -> Router<App> {
    let (router, document) = OpenApiRouter::with_openapi(docs::Document::openapi())
        .routes(routes!(products::list))
        .routes(routes!(products::show))
        .routes(routes!(accounts::register))
        .routes(routes!(session::open, session::show, session::end))
        .routes(routes!(cart::show))
        .routes(routes!(cart::add))
        .routes(routes!(cart::set, cart::remove))
        .routes(routes!(checkout::checkout))
        .routes(routes!(orders::list))
        .routes(routes!(orders::show))
        .split_for_parts();
    router.merge(docs::routes(document))
}
