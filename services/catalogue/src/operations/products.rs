//! `catalogue.products`: some products by sku, in the order asked for.

use contract::{
    CallError, Outcome, Repeatable,
    catalogue::{PRODUCTS_MAX, Products},
};

use crate::App;

pub(crate) async fn products(app: App, op: Products, _: Repeatable) -> Outcome<Products> {
    if op.skus.len() > PRODUCTS_MAX {
        return Err(CallError::NotExecuted(format!("at most {PRODUCTS_MAX} products in one read")));
    }
    let shelf = app.shelf.products().await?;
    Ok(op.skus.iter().filter_map(|sku| shelf.get(sku).cloned()).collect())
}
