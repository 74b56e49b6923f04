//! How often products were looked at. Sharing: nothing; statistics of a node that dies are lost, and nobody waits.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use contract::Sku;
use opentelemetry::metrics::Counter;
use runtime::Metrics;

#[derive(Debug)]
pub(crate) struct Views {
    /// One total: a label per product would make a time series per product.
    total: Counter<u64>,
    by_sku: Mutex<BTreeMap<Sku, u64>>,
}

impl Views {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let total = metrics
            .meter()
            .u64_counter("trestle_product_views")
            .with_description("looks at product pages that this node counted")
            .build();
        Self { total, by_sku: Mutex::default() }
    }

    /// Counts a look and returns how many this product has had. Call it only for products that exist: they bound the
    /// memory.
    pub(crate) fn count(&self, sku: &Sku) -> u64 {
        self.total.add(1, &[]);
        let mut by_sku = self.by_sku.lock().unwrap_or_else(PoisonError::into_inner);
        let views = by_sku.entry(sku.clone()).or_default();
        *views += 1;
        *views
    }
}
