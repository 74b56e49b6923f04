//! `catalogue.categories`: the shelves and how many products stand on each.

use contract::{Outcome, Repeatable, catalogue::Categories};

use crate::App;

pub(crate) async fn categories(app: App, _: Categories, _: Repeatable) -> Outcome<Categories> {
    Ok(app.shelf.products().await?.categories())
}
