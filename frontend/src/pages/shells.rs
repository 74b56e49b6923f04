//! Pages that the browser fills in: what they show belongs to one session, and only `/api` deals with those.

use axum::{extract::Path, http::StatusCode, response::Response};

use super::{assets, page, trouble};
use crate::views::{Basket, Checkout, OrderPage, Orders, Shell, SignIn};

fn shell(title: &str) -> Shell {
    Shell::new(assets::folder(), title)
}

/// `GET /cart`
pub(super) async fn cart() -> Response {
    page(StatusCode::OK, &Basket { shell: shell("Your cart") })
}

/// `GET /checkout`
pub(super) async fn checkout() -> Response {
    page(StatusCode::OK, &Checkout::new(shell("Checkout")))
}

/// `GET /orders`
pub(super) async fn orders() -> Response {
    page(StatusCode::OK, &Orders { shell: shell("Your orders") })
}

/// `GET /orders/{id}`
pub(super) async fn order(Path(id): Path<String>) -> Response {
    match id.parse::<contract::OperationId>() {
        Ok(id) => page(StatusCode::OK, &OrderPage { shell: shell("Your order"), id: id.to_string() }),
        Err(_) => trouble::not_found(),
    }
}

/// `GET /login`
pub(super) async fn login() -> Response {
    page(StatusCode::OK, &SignIn { shell: shell("Sign in") })
}
