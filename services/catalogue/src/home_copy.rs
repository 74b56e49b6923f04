//! A read-only copy of the home site's shelf, for the catalogue nodes of another site: it is read page by page when the
//! node starts and every few seconds from then on, and the last one is served for as long as the home site cannot be
//! reached. Browsing and carts go on by it; stock is decided at home alone, so everything that would change it is refused
//! as not executed, which is always true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use contract::{
    Family, NoKey, Once, OperationId, ShareEverything, Sku, Upholds,
    catalogue::{EndRefusal, List, ReserveRefusal},
};
use rpc::{Client, ClientOptions, Discovery, HttpTransport};
use runtime::{Node, Readiness};
use store::StoreError;
use tokio::time::Instant;

use crate::{
    NewProduct,
    store::{Level, Placed, ProductStore, StockStore},
};

/// Products in one page.
const PAGE: u32 = 100;
/// Most pages of one reading: a shelf of 100,000 products.
const PAGES_MAX: usize = 1_000;
/// Age from which the log says that the copy is old.
const OLD: Duration = Duration::from_secs(10);

/// The copy; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct HomeCopy {
    home: Client,
    last: Arc<Mutex<Option<Last>>>,
}

#[derive(Debug)]
struct Last {
    products: Vec<Placed>,
    /// Before the reading, so that age is never judged too small.
    read_at: Instant,
}

impl HomeCopy {
    /// Nothing copied yet.
    pub(crate) fn of(node: &Node, home: Discovery) -> anyhow::Result<Self> {
        let transport = Arc::new(HttpTransport::new(node, Family::Catalogue));
        let copy = Self { home: Client::new(node, transport, home, ClientOptions::default()), last: Arc::default() };
        let observed = copy.clone();
        let _gauge = node
            .metrics
            .meter()
            .f64_observable_gauge("trestle_catalogue_copy_age")
            .with_unit("s")
            .with_description("age of the copy of the home site's products")
            .with_callback(move |observer| {
                if let Some(age) = observed.age() {
                    observer.observe(age.as_secs_f64(), &[]);
                }
            })
            .build();
        Ok(copy)
    }

    /// Reads the home site's shelf again and again; the node is ready after the first time.
    pub(crate) async fn keep_fresh(self, every: Duration, readiness: Readiness) {
        let mut old = false;
        loop {
            let read_at = Instant::now();
            match self.read().await {
                Ok(products) => {
                    if std::mem::take(&mut old) || readiness.is_starting() {
                        tracing::info!(products = products.len(), "the copy of the home site's products is fresh");
                    }
                    *self.lock() = Some(Last { products, read_at });
                    readiness.set_ready();
                }
                Err(reason) if !old && self.age().is_none_or(|age| age >= OLD) => {
                    old = true;
                    let age_s = self.age().map(|age| age.as_secs());
                    tracing::warn!(reason, age_s, "the home site's products cannot be read; the last copy is served");
                }
                Err(_) => {}
            }
            tokio::time::sleep(every).await;
        }
    }

    async fn read(&self) -> Result<Vec<Placed>, String> {
        let (mut products, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let list = List { query: String::new(), category: None, after, limit: PAGE };
            let page = self.home.call(&list, NoKey).await.map_err(|error| error.to_string())?;
            products.extend(page.items);
            after = page.next;
            if after.is_none() {
                let placed = (1..).zip(products).map(|(position, product)| Placed { position, product });
                return Ok(placed.collect());
            }
        }
        Err(format!("more than {PAGES_MAX} pages of products"))
    }

    fn age(&self) -> Option<Duration> {
        self.lock().as_ref().map(|last| last.read_at.elapsed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It decides nothing, so it cannot decide twice: every change is refused.
impl Upholds<ShareEverything> for HomeCopy {}

fn at_home<T>() -> Result<T, StoreError> {
    Err(StoreError::NotExecuted("stock is kept at the home site; this node has a copy to read".to_owned()))
}

#[async_trait]
impl ProductStore for HomeCopy {
    async fn put_missing(&self, _products: &[NewProduct]) -> Result<usize, StoreError> {
        at_home()
    }

    async fn all(&self) -> Result<Vec<Placed>, StoreError> {
        let last = self.lock().as_ref().map(|last| last.products.clone());
        last.ok_or_else(|| StoreError::NotExecuted("the home site's products were never reached".to_owned()))
    }
}

#[async_trait]
impl StockStore for HomeCopy {
    async fn reserve(
        &self,
        _once: &Once,
        _operation: OperationId,
        _lines: &BTreeMap<Sku, u32>,
    ) -> Result<Result<(), ReserveRefusal>, StoreError> {
        at_home()
    }

    async fn release(&self, _operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        at_home()
    }

    async fn settle(&self, _: &BTreeSet<OperationId>) -> Result<Vec<(OperationId, EndRefusal)>, StoreError> {
        at_home()
    }

    async fn levels(&self) -> Result<Vec<Level>, StoreError> {
        at_home()
    }
}
