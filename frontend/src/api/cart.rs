//! `/api/cart`. Each change is named by its key, the client's or ours, so that a resend between the tiers counts once.

use axum::{Json, extract::State};
use contract::{
    CallError, NoKey, Sku,
    cart::QUANTITY_MAX,
    sessions::NoSession,
    shop::{self, CartView, ChangeRefusal},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shapes::{Line, Money};
use crate::{
    app::App,
    body::ApiJson,
    identity::Caller,
    key::OptionalKey,
    params::SkuPath,
    problem::{Kind, Problem},
};

/// A cart with prices of now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cart {
    /// UUID.
    id: String,
    lines: Vec<Line>,
    /// The sum of the lines.
    total: Money,
}

impl From<CartView> for Cart {
    fn from(cart: CartView) -> Self {
        let lines = cart.lines.into_iter().map(Line::from).collect();
        Self { id: cart.id.to_string(), lines, total: cart.total.into() }
    }
}

/// Pieces to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLine {
    #[schema(example = "emma")]
    sku: String,
    #[schema(minimum = 1, maximum = 999)]
    quantity: u32,
}

/// How many pieces there shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quantity {
    #[schema(minimum = 1, maximum = 999)]
    quantity: u32,
}

type Answer = Result<Json<Cart>, Problem>;

/// Shows the cart.
#[utoipa::path(
    get,
    path = "/api/cart",
    tag = "cart",
    responses((status = 200, body = Cart), (status = 401, description = "No live session")),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, Caller(session): Caller) -> Answer {
    let cart = app.logic.call(&shop::ShowCart { session }, NoKey).await;
    let cart = cart.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            NoSession::Unauthenticated => Problem::unauthenticated(),
        })
    })?;
    Ok(Json(cart.into()))
}

/// Adds pieces. With the same key a repeat counts once.
#[utoipa::path(
    post,
    path = "/api/cart/lines",
    tag = "cart",
    request_body = NewLine,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = Cart),
        (status = 401, description = "No live session"),
        (status = 404, description = "No such product")
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    Caller(session): Caller,
    key: OptionalKey,
    ApiJson { content: line, .. }: ApiJson<NewLine>,
) -> Answer {
    let sku: Sku = line.sku.parse().map_err(|_| Problem::unknown_sku(&line.sku))?;
    let quantity = checked(line.quantity)?;
    let change = shop::AddToCart { session, request: key.or_fresh(&app.seams), sku: sku.clone(), quantity };
    changed(app.logic.call(&change, NoKey).await, &sku)
}

/// Sets how many pieces there are. With a key, a late repeat changes nothing.
#[utoipa::path(
    put,
    path = "/api/cart/lines/{sku}",
    tag = "cart",
    request_body = Quantity,
    params(("sku" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = Cart),
        (status = 401, description = "No live session"),
        (status = 404, description = "No such product")
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn set(
    State(app): State<App>,
    Caller(session): Caller,
    SkuPath(sku): SkuPath,
    key: OptionalKey,
    ApiJson { content: Quantity { quantity }, .. }: ApiJson<Quantity>,
) -> Answer {
    let quantity = checked(quantity)?;
    let change = shop::SetLine { session, request: key.or_fresh(&app.seams), sku: sku.clone(), quantity };
    changed(app.logic.call(&change, NoKey).await, &sku)
}

/// Takes a product out. With a key, a late repeat changes nothing.
#[utoipa::path(
    delete,
    path = "/api/cart/lines/{sku}",
    tag = "cart",
    params(("sku" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Cart), (status = 401, description = "No live session")),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Caller(session): Caller,
    SkuPath(sku): SkuPath,
    key: OptionalKey,
) -> Answer {
    let change = shop::RemoveLine { session, request: key.or_fresh(&app.seams), sku: sku.clone() };
    changed(app.logic.call(&change, NoKey).await, &sku)
}

fn checked(quantity: u32) -> Result<u32, Problem> {
    if (1..=QUANTITY_MAX).contains(&quantity) {
        return Ok(quantity);
    }
    Err(Problem::new(Kind::BadQuantity, format!("quantity is 1 to {QUANTITY_MAX}; to remove a line, delete it")))
}

fn changed(outcome: Result<CartView, CallError<ChangeRefusal>>, sku: &Sku) -> Answer {
    let cart = outcome.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            ChangeRefusal::Unauthenticated => Problem::unauthenticated(),
            ChangeRefusal::UnknownSku => Problem::unknown_sku(sku.as_str()),
            ChangeRefusal::CartFull => Problem::new(Kind::CartFull, "this cart takes no more changes"),
            ChangeRefusal::KeyReused => {
                Problem::new(Kind::KeyReused, "this key came with another change of this cart before")
            }
        })
    })?;
    Ok(Json(cart.into()))
}
