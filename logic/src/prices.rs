//! The price cache (data set "page and price caches", shared by nothing): what carts look like costs no call to the
//! catalogue most of the time. At most one second old; a checkout reads past it, and the customer's expected total is
//! compared there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{
    CallError, Money, NoKey, Sku,
    carts::CartContents,
    catalogue::{PRODUCTS_MAX, Product, Products},
    orders::OrderLine,
    sessions::Never,
};
use rpc::Client;
use tokio::time::Instant;

/// How old a price may be.
const LIFE: Duration = Duration::from_secs(1);
/// Most cached products; at the bound the cache starts anew, which costs one more call each.
const ENTRIES_MAX: usize = 10_000;

/// Products by sku, for a second.
#[derive(Clone, Debug)]
pub(crate) struct Prices {
    catalogue: Client,
    /// The nodes whose prices are those of this moment: others may have a copy of another site's only.
    stock: Client,
    cache: Arc<Mutex<BTreeMap<Sku, (Product, Instant)>>>,
}

impl Prices {
    pub(crate) fn new(catalogue: Client, stock: Client) -> Self {
        Self { catalogue, stock, cache: Arc::default() }
    }

    /// One product, at most a second old.
    pub(crate) async fn product(&self, sku: &Sku) -> Result<Option<Product>, CallError<Never>> {
        Ok(self.products(std::slice::from_ref(sku)).await?.remove(sku))
    }

    /// What is in a cart, with titles and prices at most a second old, and the sum.
    pub(crate) async fn lines(&self, contents: &CartContents) -> Result<(Vec<OrderLine>, Money), CallError<Never>> {
        let skus: Vec<_> = contents.lines.iter().map(|line| line.sku.clone()).collect();
        price(contents, &self.products(&skus).await?)
    }

    /// The same with the prices of this moment: what a checkout freezes.
    pub(crate) async fn lines_now(&self, contents: &CartContents) -> Result<(Vec<OrderLine>, Money), CallError<Never>> {
        let skus: Vec<_> = contents.lines.iter().map(|line| line.sku.clone()).collect();
        price(contents, &self.fetch(&self.stock, &skus).await?)
    }

    async fn products(&self, skus: &[Sku]) -> Result<BTreeMap<Sku, Product>, CallError<Never>> {
        let (mut found, missing) = self.cached(skus);
        if !missing.is_empty() {
            found.append(&mut self.fetch(&self.catalogue, &missing).await?);
        }
        Ok(found)
    }

    fn cached(&self, skus: &[Sku]) -> (BTreeMap<Sku, Product>, Vec<Sku>) {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for sku in skus {
            match cache.get(sku) {
                Some((product, read_at)) if now.duration_since(*read_at) < LIFE => {
                    found.insert(sku.clone(), product.clone());
                }
                _ => missing.push(sku.clone()),
            }
        }
        (found, missing)
    }

    async fn fetch(&self, from: &Client, skus: &[Sku]) -> Result<BTreeMap<Sku, Product>, CallError<Never>> {
        let mut found = BTreeMap::new();
        for part in skus.chunks(PRODUCTS_MAX) {
            for product in from.call(&Products { skus: part.to_vec() }, NoKey).await? {
                found.insert(product.sku.clone(), product);
            }
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() + found.len() > ENTRIES_MAX {
            cache.clear();
        }
        let now = Instant::now();
        cache.extend(found.iter().map(|(sku, product)| (sku.clone(), (product.clone(), now))));
        Ok(found)
    }
}

fn price(
    contents: &CartContents,
    products: &BTreeMap<Sku, Product>,
) -> Result<(Vec<OrderLine>, Money), CallError<Never>> {
    let mut total = Money::gbp(0);
    let mut lines = Vec::with_capacity(contents.lines.len());
    for line in &contents.lines {
        let Some(product) = products.get(&line.sku) else { continue };
        let too_large = |error| CallError::NotExecuted(format!("the cart cannot be priced: {error}"));
        let line_total = product.price.times(line.quantity).map_err(too_large)?;
        total = total.plus(line_total).map_err(too_large)?;
        lines.push(OrderLine {
            sku: line.sku.clone(),
            title: product.title.clone(),
            quantity: line.quantity,
            unit_price: product.price,
            line_total,
        });
    }
    Ok((lines, total))
}
