//! What an orders store must do. A back end is right when `conformance::suite` passes on it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use contract::{
    DataSet, Once, ShareEverything, Upholds,
    orders::{
        Ack, Answer, Attention, AttentionItem, Complete, Due, Event, Events, Find, Found, Get, Heartbeat, KeyReused,
        List, NotFound, Open, OpenCheckout, OpenRefusal, Opened, Order, OrderPage, OrderState, Postpone, Refuse, Take,
        Taken,
    },
};
use store::StoreError;

pub mod conformance;
mod sqlite;

pub use sqlite::SqliteOrders;

/// How long a driver holds a checkout without a heartbeat, in milliseconds of the database's clock.
pub const LEASE_MS: i64 = 3_000;
/// How long a deliverer holds an event before another may take it.
pub const EVENT_LEASE_MS: i64 = 5_000;
/// After so many tries without proof a checkout is shown to a person (CO-20); it is still tried while it may end by itself.
pub const ATTEMPTS_MAX: u32 = 20;
/// How long after its opening a checkout may first be executed by the provider: far below the 24 h for which providers
/// remember keys, so that a repeat always meets a remembered key (CO-8).
pub const NOT_AFTER_MS: i64 = 60 * 60 * 1_000;

/// The rows of checkouts, orders and outbox.
///
/// Every change of a row is a compare-and-set on the state it expects, in the transaction of its effect (CO-3): any two
/// callers may send any of these at once, late or again. Times are the database's.
#[async_trait]
pub trait OrderStore: fmt::Debug + Send + Sync {
    /// What a key stands for.
    async fn find(&self, request: Find) -> Result<Result<Found, KeyReused>, StoreError>;
    /// Claims key and cart operations and freezes the snapshot; of any number of claims for one key exactly one wins.
    async fn open(&self, once: &Once, request: Open) -> Result<Result<Opened, OpenRefusal>, StoreError>;
    /// Leases an open checkout whose lease has lapsed and whose next try has come.
    async fn take(&self, request: Take) -> Result<Result<Taken, NotFound>, StoreError>;
    /// Renews a lease; false when it is held no more.
    async fn heartbeat(&self, request: Heartbeat) -> Result<bool, StoreError>;
    /// Gives a lease back; after [`ATTEMPTS_MAX`] tries the checkout is shown to a person.
    async fn postpone(&self, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError>;
    /// Records a paid order with its answer and outbox, from any open state; else answers what is stored.
    async fn complete(&self, once: &Once, request: Complete) -> Result<Result<Answer, NotFound>, StoreError>;
    /// Ends a checkout that came to nothing, with its answer and outbox; else answers what is stored.
    async fn refuse(&self, once: &Once, request: Refuse) -> Result<Result<Answer, NotFound>, StoreError>;
    /// Leases checkouts that nobody drives and whose next try has come.
    async fn due(&self, request: Due) -> Result<Vec<OpenCheckout>, StoreError>;
    /// Leases events, oldest first.
    async fn events(&self, request: Events) -> Result<Vec<Event>, StoreError>;
    /// Forgets exactly these events.
    async fn ack(&self, request: Ack) -> Result<(), StoreError>;
    /// The needs-attention queue, oldest first.
    async fn attention(&self, request: Attention) -> Result<Vec<AttentionItem>, StoreError>;
    /// One order of a principal.
    async fn get(&self, request: Get) -> Result<Result<Order, NotFound>, StoreError>;
    /// A principal's orders, newest first, without declined and refused ones.
    async fn list(&self, request: List) -> Result<OrderPage, StoreError>;
}

/// The data set: money, so shared by everything and by nothing less.
#[derive(Clone, Debug)]
pub struct Orders(Arc<dyn OrderStore>);

impl DataSet for Orders {
    const NAME: &'static str = "orders";
    type Sharing = ShareEverything;
}

impl Orders {
    /// Opens the data set on a back end. One that cannot uphold its sharing does not compile here (MEM-8).
    pub fn open(store: impl OrderStore + Upholds<<Self as DataSet>::Sharing> + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn OrderStore> {
        self.0.clone()
    }
}

impl Upholds<ShareEverything> for SqliteOrders {}
