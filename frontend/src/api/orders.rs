//! `/api/orders`: the caller's own, and what an order looks like outside.

use axum::{Json, extract::State};
use contract::{
    NoKey, OperationId,
    orders::{self, OrderState},
    sessions::NoSession,
    shop::{self, ShowOrderRefusal},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shapes::{Line, Money};
use crate::{
    app::App,
    identity::Caller,
    params::{ApiQuery, OrderPath, bad_cursor, given, limit, unknown_order},
    problem::Problem,
};

/// Where a parcel goes; each field 1 to 200 characters.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    pub(super) name: String,
    pub(super) line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) line2: Option<String>,
    pub(super) city: String,
    pub(super) postcode: String,
    pub(super) country: String,
}

impl From<orders::Address> for Address {
    fn from(orders::Address { name, line1, line2, city, postcode, country }: orders::Address) -> Self {
        Self { name, line1, line2, city, postcode, country }
    }
}

impl From<Address> for orders::Address {
    fn from(Address { name, line1, line2, city, postcode, country }: Address) -> Self {
        Self { name, line1, line2, city, postcode, country }
    }
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Order {
    /// UUIDv7; also the payment provider's reference.
    id: String,
    /// `accepted` and `needs_attention` are open; `completed`, `declined`, `refused` and `refunded` are not.
    #[schema(value_type = String, example = "completed")]
    state: OrderState,
    lines: Vec<Line>,
    /// The sum of the lines.
    total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    /// RFC 3339.
    created_at: String,
}

impl From<orders::Order> for Order {
    fn from(order: orders::Order) -> Self {
        Self {
            id: order.id.to_string(),
            state: order.state,
            lines: order.lines.into_iter().map(Line::from).collect(),
            total: order.total.into(),
            address: order.address.map(Address::from),
            created_at: runtime::rfc3339(order.created_at_ms),
        }
    }
}

/// One page of orders, newest first, without declined and refused ones.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderPage {
    items: Vec<Order>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

/// Which orders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 100; 20 if missing.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
}

/// Lists the caller's orders.
#[utoipa::path(
    get,
    path = "/api/orders",
    tag = "orders",
    params(ListQuery),
    responses((status = 200, body = OrderPage), (status = 401, description = "No live session")),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(session): Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<OrderPage>, Problem> {
    let after = given(query.after).map(|text| text.parse::<OperationId>().map_err(|_| bad_cursor())).transpose()?;
    let request = shop::Orders { session, after, limit: limit(query.limit)? };
    let page = app.logic.call(&request, NoKey).await.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            NoSession::Unauthenticated => Problem::unauthenticated(),
        })
    })?;
    let items = page.items.into_iter().map(Order::from).collect();
    Ok(Json(OrderPage { items, next: page.next.map(|id| id.to_string()) }))
}

/// Shows one of the caller's orders, also a declined or refused one.
#[utoipa::path(
    get,
    path = "/api/orders/{id}",
    tag = "orders",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Order),
        (status = 401, description = "No live session"),
        (status = 404, description = "No such order of yours")
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    Caller(session): Caller,
    OrderPath(order): OrderPath,
) -> Result<Json<Order>, Problem> {
    let shown = app.logic.call(&shop::ShowOrder { session, order }, NoKey).await.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            ShowOrderRefusal::Unauthenticated => Problem::unauthenticated(),
            ShowOrderRefusal::NotFound => unknown_order(),
        })
    })?;
    Ok(Json(shown.into()))
}
