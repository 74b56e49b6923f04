//! `/api/products`: public, without a session.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{AppendHeaders, IntoResponse},
};
use contract::{
    NoKey,
    catalogue::{self, ListRefusal},
    orders::NotFound,
    shop,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shapes::Money;
use crate::{
    app::App,
    params::{ApiQuery, SkuPath, bad_cursor, given, limit},
    problem::{Kind, Problem},
};

/// Longest search text in characters.
const QUERY_CHARS_MAX: usize = 100;
/// Longest category or cursor in bytes; ours are far shorter.
const TEXT_BYTES_MAX: usize = 200;
/// Everybody's, but prices and stock change.
const CACHING: AppendHeaders<[(header::HeaderName, HeaderValue); 1]> =
    AppendHeaders([(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))]);

/// A product on sale.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Product {
    #[schema(example = "emma")]
    sku: String,
    title: String,
    /// Author or maker.
    creator: String,
    category: String,
    description: String,
    price: Money,
    /// Pieces in stock; may lag by a second, a checkout decides on the truth.
    available: u32,
}

/// One page of products.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProductPage {
    items: Vec<Product>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

/// Which products.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Words that title or creator must contain, 100 characters at most.
    q: Option<String>,
    /// The exact category.
    category: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 100; 20 if missing.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
}

/// Lists and searches products.
#[utoipa::path(
    get,
    path = "/api/products",
    tag = "products",
    params(ListQuery),
    responses((status = 200, body = ProductPage))
)]
pub(crate) async fn list(
    State(app): State<App>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (words, category, after) = (query.q.unwrap_or_default(), given(query.category), given(query.after));
    if words.chars().count() > QUERY_CHARS_MAX {
        return Err(Problem::new(Kind::BadQuery, format!("q has at most {QUERY_CHARS_MAX} characters")));
    }
    if [&category, &after].into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(Problem::new(Kind::BadQuery, format!("category and after have at most {TEXT_BYTES_MAX} bytes")));
    }
    let request = shop::Products { query: words, category, after, limit: limit(query.limit)? };
    let page = app.logic.call(&request, NoKey).await;
    let page = page.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            ListRefusal::BadCursor => bad_cursor(),
        })
    })?;
    let items = page.items.into_iter().map(Product::from).collect();
    Ok((CACHING, Json(ProductPage { items, next: page.next })))
}

/// Shows one product.
#[utoipa::path(
    get,
    path = "/api/products/{sku}",
    tag = "products",
    params(("sku" = String, Path)),
    responses((status = 200, body = Product), (status = 404, description = "No such product"))
)]
pub(crate) async fn show(State(app): State<App>, SkuPath(sku): SkuPath) -> Result<impl IntoResponse, Problem> {
    let product = app.logic.call(&shop::ShowProduct { sku: sku.clone() }, NoKey).await;
    let product = product.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            NotFound::NotFound => Problem::unknown_sku(sku.as_str()),
        })
    })?;
    app.count_view(sku);
    Ok((CACHING, Json(Product::from(product))))
}

impl From<catalogue::Product> for Product {
    fn from(product: catalogue::Product) -> Self {
        Self {
            sku: product.sku.into(),
            title: product.title,
            creator: product.creator,
            category: product.category,
            description: product.description,
            price: product.price.into(),
            available: product.available,
        }
    }
}
