//! Path and query parameters. An empty query parameter is a missing one, so that `?q=&category=` works; unknown ones are
//! ignored, as links collect them.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use contract::{OperationId, Sku};
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// Most items of a page.
const LIMIT_MAX: u32 = 100;
/// Items of a page if nothing is said.
const LIMIT_DEFAULT: u32 = 20;

/// The `{sku}` of a path. Text that can be no sku is a product that does not exist.
#[derive(Debug)]
pub(crate) struct SkuPath(pub(crate) Sku);

impl<S: Send + Sync> FromRequestParts<S> for SkuPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = segment(parts, state).await?;
        text.parse().map(Self).map_err(|_| Problem::unknown_sku(&text))
    }
}

/// The `{id}` of a path to an order.
#[derive(Debug)]
pub(crate) struct OrderPath(pub(crate) OperationId);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = segment(parts, state).await?;
        text.parse().map(Self).map_err(|_| unknown_order())
    }
}

/// Unknown, or somebody else's: one answer, or ids could be probed.
pub(crate) fn unknown_order() -> Problem {
    Problem::new(Kind::UnknownOrder, "you have no order with this id")
}

async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.map(|Path(text)| text).map_err(|_| Problem::new(Kind::BadPath, "the path is not percent-encoded UTF-8"))
}

/// The query of a call, as text; the handler reads each parameter by itself.
#[derive(Debug)]
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| Problem::new(Kind::BadQuery, error.body_text()))
    }
}

/// Drops an empty parameter.
pub(crate) fn given(parameter: Option<String>) -> Option<String> {
    parameter.filter(|text| !text.is_empty())
}

/// How many items a page has.
pub(crate) fn limit(parameter: Option<String>) -> Result<u32, Problem> {
    let Some(text) = given(parameter) else { return Ok(LIMIT_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Problem::new(Kind::BadQuery, format!("limit is a number from 1 to {LIMIT_MAX}")))
}

pub(crate) fn bad_cursor() -> Problem {
    Problem::new(Kind::BadQuery, "after is not a cursor from an earlier page's next")
}
