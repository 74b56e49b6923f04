//! `shop.categories`: the shelves.

use contract::{NoKey, Outcome, Repeatable, catalogue, shop::Categories};

use crate::App;

pub(crate) async fn categories(app: App, _: Categories, _: Repeatable) -> Outcome<Categories> {
    app.catalogue.call(&catalogue::Categories {}, NoKey).await
}
