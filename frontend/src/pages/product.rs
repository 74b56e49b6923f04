//! One product: its page and its cover.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use contract::{
    CallError, NoKey, Sku,
    catalogue::Product,
    shop::{Products, ShowProduct},
};
use serde::Deserialize;

use super::{assets, page, trouble};
use crate::{
    app::App,
    views::{ProductPage, cover_svg, cover_version},
};

/// Others of the same shelf that are asked for: one more than is shown, since the product itself may be among them.
const MORE: u32 = 7;
/// For a cover that is asked for by its version.
const COVER_FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For a cover that is asked for by its product alone, as scripts do.
const COVER_AN_HOUR: &str = "public, max-age=3600";

/// `GET /products/{sku}`
pub(super) async fn product(State(app): State<App>, Path(sku): Path<String>) -> Response {
    let Ok(sku) = sku.parse::<Sku>() else { return trouble::not_found() };
    match app.logic.call(&ShowProduct { sku: sku.clone() }, NoKey).await {
        Ok(product) => {
            app.count_view(sku);
            let more = same_shelf(&app, &product).await;
            page(StatusCode::OK, &ProductPage::new(assets::folder(), &product, &more))
        }
        Err(CallError::Refused(_)) => trouble::not_found(),
        Err(error) => trouble::not_now(&error, format!("/products/{sku}")),
    }
}

/// An extra: without it the page is poorer, not broken.
async fn same_shelf(app: &App, product: &Product) -> Vec<Product> {
    let shelf = Products { query: String::new(), category: Some(product.category.clone()), after: None, limit: MORE };
    app.logic.call(&shelf, NoKey).await.map(|page| page.items).unwrap_or_default()
}

/// Which drawing of a cover is meant.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    v: Option<String>,
}

/// `GET /covers/{sku}.svg`
pub(super) async fn cover(
    State(app): State<App>,
    Path(file): Path<String>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Response {
    let Some(Ok(sku)) = file.strip_suffix(".svg").map(str::parse::<Sku>) else { return trouble::not_found() };
    match app.logic.call(&ShowProduct { sku: sku.clone() }, NoKey).await {
        Ok(product) => {
            let current = cover_version(&product);
            let caching = if version.v.as_ref() == Some(&current) { COVER_FOR_EVER } else { COVER_AN_HOUR };
            assets::cached(&headers, &format!("\"{current}\""), caching, "image/svg+xml", || {
                cover_svg(&product.title, &product.creator, &product.category, sku.as_str()).into_bytes()
            })
        }
        Err(CallError::Refused(_)) => trouble::not_found(),
        Err(error) => trouble::not_now(&error, format!("/covers/{file}")),
    }
}
