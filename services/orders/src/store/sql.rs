//! Orders in a relational database.
//!
//! On SQLite every change holds the write lock from its start. On PostgreSQL changes run side by side at READ COMMITTED: a
//! row is locked before it is judged, or changed by one statement whose condition the database checks again after the
//! lock; claims meet in unique rows, in order of their names, so that two of them cannot wait for each other in a circle;
//! and who leases work leaves out what another is about to lease.

use async_trait::async_trait;
use contract::{
    Once,
    orders::{
        Ack, Answer, Attention, AttentionDetail, AttentionItem, Complete, Due, Event, Events, Find, Flag, Found, Get,
        Heartbeat, Inspect, KeyReused, List, NoItem, NotFound, Nudge, Open, OpenCheckout, OpenRefusal, Opened, Order,
        OrderPage, OrderState, Postpone, Refuse, Resolve, ResolveRefusal, Take, Taken,
    },
};
use store::{Database, Migrations, StoreError, StoreUri};

use super::{Figures, OrderStore, Periods, Reaped};

mod attention;
mod claims;
mod ends;
mod leases;
mod outbox;
mod reads;
mod resolve;
mod upkeep;

static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

/// Orders in SQLite or PostgreSQL. Clones share connections.
#[derive(Clone, Debug)]
pub struct SqlOrders {
    db: Database,
    periods: Periods,
}

impl SqlOrders {
    /// Opens the database, making and migrating the tables if need be.
    ///
    /// # Errors
    /// [`StoreError`] naming the database.
    pub async fn open(uri: &StoreUri) -> Result<Self, StoreError> {
        let db = Database::open(uri, "orders", &MIGRATIONS).await?;
        Ok(Self { db, periods: Periods::default() })
    }

    /// With other periods than the default ones.
    #[must_use]
    pub fn with_periods(self, periods: Periods) -> Self {
        Self { periods, ..self }
    }
}

#[async_trait]
impl OrderStore for SqlOrders {
    async fn find(&self, request: Find) -> Result<Result<Found, KeyReused>, StoreError> {
        claims::find(self, request).await
    }

    async fn open(&self, once: &Once, request: Open) -> Result<Result<Opened, OpenRefusal>, StoreError> {
        self.db.retrying(|| claims::open(self, once, &request)).await
    }

    async fn take(&self, request: Take) -> Result<Result<Taken, NotFound>, StoreError> {
        self.db.retrying(|| leases::take(self, &request)).await
    }

    async fn heartbeat(&self, request: Heartbeat) -> Result<bool, StoreError> {
        self.db.retrying(|| leases::heartbeat(self, &request)).await
    }

    async fn postpone(&self, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
        self.db.retrying(|| leases::postpone(&self.db, &request)).await
    }

    async fn nudge(&self, request: Nudge) -> Result<(), StoreError> {
        self.db.retrying(|| leases::nudge(&self.db, &request)).await
    }

    async fn complete(&self, _: &Once, request: Complete) -> Result<Result<Answer, NotFound>, StoreError> {
        self.db.retrying(|| ends::complete(self, &request)).await
    }

    async fn refuse(&self, _: &Once, request: Refuse) -> Result<Result<Answer, NotFound>, StoreError> {
        self.db.retrying(|| ends::refuse(self, &request)).await
    }

    async fn due(&self, request: Due) -> Result<Vec<OpenCheckout>, StoreError> {
        self.db.retrying(|| leases::due(self, &request)).await
    }

    async fn events(&self, request: Events) -> Result<Vec<Event>, StoreError> {
        self.db.retrying(|| outbox::events(self, &request)).await
    }

    async fn ack(&self, request: Ack) -> Result<(), StoreError> {
        self.db.retrying(|| outbox::ack(&self.db, &request)).await
    }

    async fn attention(&self, request: Attention) -> Result<Vec<AttentionItem>, StoreError> {
        attention::attention(&self.db, request).await
    }

    async fn inspect(&self, request: Inspect) -> Result<Result<AttentionDetail, NoItem>, StoreError> {
        attention::inspect(&self.db, request).await
    }

    async fn resolve(
        &self,
        once: &Once,
        request: Resolve,
    ) -> Result<Result<Option<OrderState>, ResolveRefusal>, StoreError> {
        self.db.retrying(|| resolve::resolve(&self.db, once, &request)).await
    }

    async fn flag(&self, request: Flag) -> Result<(), StoreError> {
        self.db.retrying(|| attention::flag(&self.db, &request)).await
    }

    async fn get(&self, request: Get) -> Result<Result<Order, NotFound>, StoreError> {
        reads::get(&self.db, request).await
    }

    async fn list(&self, request: List) -> Result<OrderPage, StoreError> {
        reads::list(&self.db, request).await
    }

    async fn reap(&self, limit: u32) -> Result<Reaped, StoreError> {
        self.db.retrying(|| upkeep::reap(self, limit)).await
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        upkeep::figures(&self.db).await
    }
}
