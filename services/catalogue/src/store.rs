//! What a catalogue's back end must do. `conformance.rs` is the same as a test suite.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
    sync::Arc,
};

use async_trait::async_trait;
use contract::{
    DataSet, Once, OperationId, ShareEverything, Sku, Upholds,
    catalogue::{EndRefusal, Product, ReserveRefusal},
};
use store::StoreError;

use crate::NewProduct;

#[cfg(feature = "simulation")]
mod simulated;
mod sql;

#[cfg(feature = "simulation")]
pub use simulated::SimulatedCatalogue;
pub use sql::{MIGRATIONS, SqlCatalogue};

/// A product with its place in the shop's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Unique; smaller comes first.
    pub position: i64,
    /// The product.
    pub product: Product,
}

/// Pieces of one product by what they are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Which product.
    pub sku: Sku,
    /// Pieces ever put on the shelf; at every commit the sum of the other three (CO-12).
    pub stocked: i64,
    /// Can be reserved.
    pub available: i64,
    /// Held for checkouts that have not ended.
    pub reserved: i64,
    /// Gone for good.
    pub sold: i64,
}

/// Products and their descriptions.
#[async_trait]
pub trait ProductStore: fmt::Debug + Send + Sync {
    /// Adds the products that are missing, in the given order behind those already there, all in one transaction, and
    /// says how many. Products that are there keep everything, above all their stock, so it may run at every start and
    /// on several nodes at once.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn put_missing(&self, products: &[NewProduct]) -> Result<usize, StoreError>;

    /// All products, in the shop's order.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn all(&self) -> Result<Vec<Placed>, StoreError>;
}

/// Stock and its reservations. Each method is one transaction.
#[async_trait]
pub trait StockStore: fmt::Debug + Send + Sync {
    /// Takes all lines (at least one piece each) out of `available`, or none of them. Whatever it answers is remembered
    /// under the permit's id, in the same transaction: a repeat gets the same answer and changes nothing. A product
    /// that does not exist is out of stock.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn reserve(
        &self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
    ) -> Result<Result<(), ReserveRefusal>, StoreError>;

    /// Puts an operation's pieces back. Without a reservation it leaves a mark that refuses one that comes later.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn release(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError>;

    /// Turns the reserved pieces of these operations into sold ones, and says which of them it could not settle; those hold
    /// up no other.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn settle(&self, operations: &BTreeSet<OperationId>) -> Result<Vec<(OperationId, EndRefusal)>, StoreError>;

    /// Every product's pieces, by sku, from one moment: for audits.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn levels(&self) -> Result<Vec<Level>, StoreError>;
}

/// The data set *stock*. A node that sells from a stock of its own sells pieces twice, so a back end that is not
/// shared by every node cannot be opened as one: it does not compile (MEM-8).
#[derive(Clone, Debug)]
pub struct Stock(Arc<dyn StockStore>);

impl DataSet for Stock {
    const NAME: &'static str = "stock";
    type Sharing = ShareEverything;
}

impl Stock {
    /// The stock in this back end.
    pub fn open(store: impl StockStore + Upholds<<Self as DataSet>::Sharing> + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Stock {
    type Target = dyn StockStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// One database, opened by all catalogue nodes.
impl Upholds<ShareEverything> for SqlCatalogue {}

/// One state, held by all catalogue nodes of a simulation.
#[cfg(feature = "simulation")]
impl Upholds<ShareEverything> for SimulatedCatalogue {}
