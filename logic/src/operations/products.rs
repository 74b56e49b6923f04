//! `shop.products`: browse and search.

use contract::{NoKey, Outcome, Repeatable, catalogue::List, shop::Products};

use crate::App;

pub(crate) async fn products(app: App, request: Products, _: Repeatable) -> Outcome<Products> {
    let Products { query, category, after, limit } = request;
    app.catalogue.call(&List { query, category, after, limit }, NoKey).await
}
