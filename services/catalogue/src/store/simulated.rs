//! The catalogue in plain memory, for simulations of the whole shop in one process: no thread, no socket, no clock, so a
//! run repeats for its seed. Held to the SQL store by the same suite.
//!
//! What is in here has been committed: a simulated node that dies loses none of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use contract::{
    Fingerprint, Money, Once, OperationId, RequestId, Sku,
    catalogue::{EndRefusal, Product, ReserveRefusal},
};
use store::{
    StoreError,
    simulated::{Hook, no_faults},
};

use super::{Level, Placed, ProductStore, StockStore};
use crate::NewProduct;

/// A catalogue in memory. Clones share it.
#[derive(Clone)]
pub struct SimulatedCatalogue {
    tables: Arc<Mutex<Tables>>,
    hook: Hook,
}

#[derive(Default)]
struct Tables {
    /// In the shop's order.
    products: Vec<Row>,
    reservations: BTreeMap<OperationId, Reservation>,
    ledger: BTreeMap<RequestId, (Fingerprint, Result<(), ReserveRefusal>)>,
}

struct Row {
    product: NewProduct,
    available: i64,
    reserved: i64,
    sold: i64,
}

struct Reservation {
    state: State,
    lines: BTreeMap<Sku, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reserved,
    Released,
    Settled,
}

impl fmt::Debug for SimulatedCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedCatalogue").finish_non_exhaustive()
    }
}

impl Default for SimulatedCatalogue {
    fn default() -> Self {
        Self::new(no_faults())
    }
}

impl SimulatedCatalogue {
    /// An empty catalogue. `hook` is asked with the name of each method: `put_missing`, `all`, `reserve`, `release`,
    /// `settle`, `levels`.
    #[must_use]
    pub fn new(hook: Hook) -> Self {
        Self { tables: Arc::default(), hook }
    }

    /// The same data for another node, whose calls fail as `hook` says.
    #[must_use]
    pub fn with_hook(&self, hook: Hook) -> Self {
        Self { hook, ..self.clone() }
    }

    fn run<T>(
        &self,
        method: &'static str,
        transaction: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = (self.hook)(method);
        fault.around(|| transaction(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tables {
    fn row(&mut self, sku: &Sku) -> Option<&mut Row> {
        self.products.iter_mut().find(|row| row.product.sku == *sku)
    }

    fn reserve(
        &mut self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
    ) -> Result<(), ReserveRefusal> {
        match self.ledger.get(once.id()) {
            Some((fingerprint, _)) if fingerprint != once.fingerprint() => return Err(ReserveRefusal::IdReused),
            Some((_, answer)) => return answer.clone(),
            None => {}
        }
        let answer = match self.reservations.get(&operation).map(|reservation| reservation.state) {
            None => self.take(operation, lines),
            Some(State::Reserved) => Err(ReserveRefusal::IdReused),
            Some(State::Released | State::Settled) => Err(ReserveRefusal::Ended),
        };
        self.ledger.insert(once.id().clone(), (once.fingerprint().clone(), answer.clone()));
        answer
    }

    fn take(&mut self, operation: OperationId, lines: &BTreeMap<Sku, u32>) -> Result<(), ReserveRefusal> {
        for (sku, quantity) in lines {
            let available = self.row(sku).map_or(0, |row| row.available);
            if available < i64::from(*quantity) {
                let available = u32::try_from(available).unwrap_or(0);
                return Err(ReserveRefusal::OutOfStock { sku: sku.clone(), available });
            }
        }
        for (sku, quantity) in lines {
            if let Some(row) = self.row(sku) {
                row.available -= i64::from(*quantity);
                row.reserved += i64::from(*quantity);
            }
        }
        self.reservations.insert(operation, Reservation { state: State::Reserved, lines: lines.clone() });
        Ok(())
    }

    fn end(&mut self, operation: OperationId, to: State) -> Result<(), EndRefusal> {
        let lines = match self.reservations.get_mut(&operation) {
            Some(reservation) if reservation.state == State::Reserved => {
                reservation.state = to;
                reservation.lines.clone()
            }
            Some(reservation) if reservation.state == to => return Ok(()),
            Some(_) => return Err(EndRefusal::EndedOtherwise),
            None if to == State::Settled => return Err(EndRefusal::NotReserved),
            // T-10, in test builds only.
            None if runtime::bug("release-leaves-no-mark") => return Ok(()),
            None => {
                self.reservations.insert(operation, Reservation { state: to, lines: BTreeMap::new() });
                return Ok(());
            }
        };
        for (sku, quantity) in &lines {
            if let Some(row) = self.row(sku) {
                row.reserved -= i64::from(*quantity);
                let pieces = if to == State::Settled { &mut row.sold } else { &mut row.available };
                *pieces += i64::from(*quantity);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ProductStore for SimulatedCatalogue {
    async fn put_missing(&self, products: &[NewProduct]) -> Result<usize, StoreError> {
        self.run("put_missing", |tables| {
            let before = tables.products.len();
            for product in products {
                if tables.row(&product.sku).is_none() {
                    let row = Row { product: product.clone(), available: product.stock, reserved: 0, sold: 0 };
                    tables.products.push(row);
                }
            }
            Ok(tables.products.len() - before)
        })
    }

    async fn all(&self) -> Result<Vec<Placed>, StoreError> {
        let placed = |(position, row): (i64, &Row)| {
            let NewProduct { sku, title, creator, category, description, price_minor, .. } = row.product.clone();
            let (price, available) = (Money::gbp(price_minor), u32::try_from(row.available).unwrap_or(0));
            Placed { position, product: Product { sku, title, creator, category, description, price, available } }
        };
        self.run("all", |tables| Ok((1..).zip(&tables.products).map(placed).collect()))
    }
}

#[async_trait]
impl StockStore for SimulatedCatalogue {
    async fn reserve(
        &self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
    ) -> Result<Result<(), ReserveRefusal>, StoreError> {
        self.run("reserve", |tables| Ok(tables.reserve(once, operation, lines)))
    }

    async fn release(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        self.run("release", |tables| Ok(tables.end(operation, State::Released)))
    }

    async fn settle(&self, operations: &BTreeSet<OperationId>) -> Result<Vec<(OperationId, EndRefusal)>, StoreError> {
        self.run("settle", |tables| {
            let end = |operation: &OperationId| Some((*operation, tables.end(*operation, State::Settled).err()?));
            Ok(operations.iter().filter_map(end).collect())
        })
    }

    async fn levels(&self) -> Result<Vec<Level>, StoreError> {
        self.run("levels", |tables| {
            let level = |row: &Row| Level {
                sku: row.product.sku.clone(),
                stocked: row.product.stock,
                available: row.available,
                reserved: row.reserved,
                sold: row.sold,
            };
            let mut levels: Vec<_> = tables.products.iter().map(level).collect();
            levels.sort_by(|one, two| one.sku.cmp(&two.sku));
            Ok(levels)
        })
    }
}
