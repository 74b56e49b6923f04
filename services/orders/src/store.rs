//! What an orders store must do. A back end is right when `conformance::suite` passes on it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use contract::{
    DataSet, Once, ShareEverything, Upholds,
    orders::{
        Ack, Answer, Attention, AttentionDetail, AttentionItem, Complete, Due, Event, Events, Find, Flag, Found, Get,
        Heartbeat, Inspect, KeyReused, List, NoItem, NotFound, Nudge, Open, OpenCheckout, OpenRefusal, Opened, Order,
        OrderPage, OrderState, Postpone, Refuse, Resolve, ResolveRefusal, Take, Taken,
    },
};
use store::StoreError;

pub mod conformance;
mod row;
mod rules;
#[cfg(feature = "simulation")]
mod simulated;
mod sql;

#[cfg(feature = "simulation")]
pub use simulated::SimulatedOrders;
pub use sql::SqlOrders;

/// After so many tries without proof a checkout is shown to a person (CO-20); it is still tried while it may end by itself.
/// After so many tries an event is shown to a person, and not tried any more (CO-26).
pub const ATTEMPTS_MAX: u32 = 20;
/// So many of the last tries of each checkout are on record.
pub const ATTEMPTS_KEPT: u32 = 50;

/// How long things last, in milliseconds of the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// How long after its opening a checkout may first be executed by the provider: far below the 24 h for which providers
    /// remember keys, so that a repeat always meets a remembered key (CO-8).
    pub charge_window_ms: i64,
    /// How long after the end repeats get the stored answer (IK-12).
    pub result_ms: i64,
    /// How long after the end the key stands for this checkout; not shorter than `result_ms`.
    pub key_ms: i64,
    /// How long a driver holds a checkout without a heartbeat.
    pub lease_ms: i64,
    /// How long a deliverer holds an event that was never tried before another may take it.
    pub event_lease_ms: i64,
}

impl Default for Periods {
    fn default() -> Self {
        const HOUR_MS: i64 = 60 * 60 * 1_000;
        Self {
            charge_window_ms: HOUR_MS,
            result_ms: 24 * HOUR_MS,
            key_ms: 30 * 24 * HOUR_MS,
            lease_ms: 3_000,
            event_lease_ms: 5_000,
        }
    }
}

/// What the reaper took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Stored answers.
    pub answers: u64,
    /// Keys.
    pub keys: u64,
}

/// How many wait, and how long the first of them has, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub depth: u64,
    /// Age of the oldest; 0 if there is none.
    pub oldest_age_ms: i64,
}

/// What waits, for gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Checkouts in needs-attention.
    pub checkouts: Waiting,
    /// Events in needs-attention.
    pub events: Waiting,
    /// Differences in needs-attention.
    pub mismatches: Waiting,
    /// Events that are still being delivered.
    pub outbox: Waiting,
}

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
    /// Gives a lease back; after [`ATTEMPTS_MAX`] tries, or when the driver says so, the checkout is shown to a person.
    async fn postpone(&self, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError>;
    /// Makes an open checkout due now, also one that only waits for a person.
    async fn nudge(&self, request: Nudge) -> Result<(), StoreError>;
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
    /// All that is on record about one item, or any checkout.
    async fn inspect(&self, request: Inspect) -> Result<Result<AttentionDetail, NoItem>, StoreError>;
    /// Records a person's decision with its effect; a repeat of the id gets the same answer, refusals included.
    async fn resolve(
        &self,
        once: &Once,
        request: Resolve,
    ) -> Result<Result<Option<OrderState>, ResolveRefusal>, StoreError>;
    /// Puts a difference into the queue, unless it is or was there.
    async fn flag(&self, request: Flag) -> Result<(), StoreError>;
    /// One order of a principal.
    async fn get(&self, request: Get) -> Result<Result<Order, NotFound>, StoreError>;
    /// A principal's orders, newest first, without declined and refused ones.
    async fn list(&self, request: List) -> Result<OrderPage, StoreError>;
    /// Wipes answers and forgets keys whose time is over, at most `limit` of each, of checkouts that are over (IK-13).
    async fn reap(&self, limit: u32) -> Result<Reaped, StoreError>;
    /// What waits, at this moment.
    async fn figures(&self) -> Result<Figures, StoreError>;
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

impl Upholds<ShareEverything> for SqlOrders {}
