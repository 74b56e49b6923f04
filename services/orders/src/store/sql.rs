//! Orders in one SQLite file that all orders nodes of a machine share.

use std::path::Path;

use async_trait::async_trait;
use contract::{
    Once,
    orders::{
        Ack, Answer, Attention, AttentionItem, Complete, Due, Event, Events, Find, Found, Get, Heartbeat, KeyReused,
        List, NotFound, Open, OpenCheckout, OpenRefusal, Opened, Order, OrderPage, OrderState, Postpone, Refuse, Take,
        Taken,
    },
};
use store::{Sqlite, StoreError};

use super::OrderStore;

mod claims;
mod ends;
mod leases;
mod outbox;
mod reads;
mod row;

/// The SQLite back end.
#[derive(Debug)]
pub struct SqliteOrders(Sqlite);

impl SqliteOrders {
    /// Opens the file, making and migrating it if need be.
    ///
    /// # Errors
    /// [`StoreError`] naming the file.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Sqlite::open(path, &sqlx::migrate!("./migrations")).await.map(Self)
    }
}

#[async_trait]
impl OrderStore for SqliteOrders {
    async fn find(&self, request: Find) -> Result<Result<Found, KeyReused>, StoreError> {
        claims::find(&self.0, request).await
    }

    async fn open(&self, once: &Once, request: Open) -> Result<Result<Opened, OpenRefusal>, StoreError> {
        claims::open(&self.0, once, request).await
    }

    async fn take(&self, request: Take) -> Result<Result<Taken, NotFound>, StoreError> {
        leases::take(&self.0, request).await
    }

    async fn heartbeat(&self, request: Heartbeat) -> Result<bool, StoreError> {
        leases::heartbeat(&self.0, request).await
    }

    async fn postpone(&self, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
        leases::postpone(&self.0, request).await
    }

    async fn complete(&self, _: &Once, request: Complete) -> Result<Result<Answer, NotFound>, StoreError> {
        ends::complete(&self.0, request).await
    }

    async fn refuse(&self, _: &Once, request: Refuse) -> Result<Result<Answer, NotFound>, StoreError> {
        ends::refuse(&self.0, request).await
    }

    async fn due(&self, request: Due) -> Result<Vec<OpenCheckout>, StoreError> {
        leases::due(&self.0, request).await
    }

    async fn events(&self, request: Events) -> Result<Vec<Event>, StoreError> {
        outbox::events(&self.0, request).await
    }

    async fn ack(&self, request: Ack) -> Result<(), StoreError> {
        outbox::ack(&self.0, request).await
    }

    async fn attention(&self, request: Attention) -> Result<Vec<AttentionItem>, StoreError> {
        reads::attention(&self.0, request).await
    }

    async fn get(&self, request: Get) -> Result<Result<Order, NotFound>, StoreError> {
        reads::get(&self.0, request).await
    }

    async fn list(&self, request: List) -> Result<OrderPage, StoreError> {
        reads::list(&self.0, request).await
    }
}
