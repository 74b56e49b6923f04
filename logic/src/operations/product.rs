//! `shop.product`: one product, read past the price cache, so that its page shows the stock of this moment.

use contract::{CallError, NoKey, Outcome, Repeatable, catalogue, orders::NotFound, shop::ShowProduct};

use crate::App;

pub(crate) async fn product(app: App, request: ShowProduct, _: Repeatable) -> Outcome<ShowProduct> {
    let read = catalogue::Products { skus: vec![request.sku] };
    let found = app.catalogue.call(&read, NoKey).await.map_err(CallError::widen)?;
    found.into_iter().next().ok_or(CallError::Refused(NotFound::NotFound))
}
