//! Orders in plain memory, for the simulation of the whole shop in one process (T-1): the same rows and rules as in a
//! database, its clock and its failures decided by the simulation. It passes the suite of the real ones (T-2).
//!
//! Each call is one transaction and does not wait, so that runs with the same seed are the same.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use contract::{
    Once, PrincipalId, ShareEverything, Upholds,
    orders::{
        Ack, Answer, Attention, AttentionDetail, AttentionItem, Complete, Due, Event, Events, Find, Flag, Found, Get,
        Heartbeat, Inspect, KeyReused, List, NoItem, NotFound, Nudge, Open, OpenCheckout, OpenRefusal, Opened, Order,
        OrderPage, OrderState, Postpone, Refuse, Resolve, ResolveRefusal, Take, Taken,
    },
};
use runtime::Seams;
use store::{StoreError, simulated::Hook};

use super::{Figures, OrderStore, Periods, Reaped, rules};
use rules::Ending;
use state::State;

mod desk;
mod state;

/// Orders in memory. Clones share it, as nodes share a database.
#[derive(Clone)]
pub struct SimulatedOrders {
    state: Arc<Mutex<State>>,
    seams: Seams,
    hook: Hook,
    periods: Periods,
}

impl fmt::Debug for SimulatedOrders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedOrders").finish_non_exhaustive()
    }
}

impl Upholds<ShareEverything> for SimulatedOrders {}

impl SimulatedOrders {
    /// An empty one; its clock is that of `seams`, and `hook` decides which calls fail, by the names of the trait's methods.
    #[must_use]
    pub fn new(seams: Seams, hook: Hook) -> Self {
        Self { state: Arc::default(), seams, hook, periods: Periods::default() }
    }

    /// The same data for another node, whose calls fail as `hook` says.
    #[must_use]
    pub fn with_hook(&self, hook: Hook) -> Self {
        Self { hook, ..self.clone() }
    }

    /// The same data with other periods.
    #[must_use]
    pub fn with_periods(self, periods: Periods) -> Self {
        Self { periods, ..self }
    }

    /// Every checkout there ever was, with its state now: for the checks at the end of a run.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn all(&self) -> Result<Vec<(PrincipalId, Order)>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.operations.values().map(|stored| Ok((stored.row.principal()?, stored.row.order()?))).collect()
    }

    fn call<T>(
        &self,
        name: &'static str,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = (self.hook)(name);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now_ms = self.seams.now_ms();
        fault.around(|| change(&mut state))
    }
}

#[async_trait]
impl OrderStore for SimulatedOrders {
    async fn find(&self, request: Find) -> Result<Result<Found, KeyReused>, StoreError> {
        self.call("find", |state| match state.by_key(request.principal, request.key.as_str()) {
            None => Ok(Ok(Found::Nothing)),
            Some(row) if row.fingerprint != request.fingerprint.as_bytes() => Ok(Err(KeyReused::KeyReused)),
            Some(row) => row.found(&self.periods).map(Ok),
        })
    }

    async fn open(&self, once: &Once, request: Open) -> Result<Result<Opened, OpenRefusal>, StoreError> {
        self.call("open", |state| state.open(&self.periods, once, &request))
    }

    async fn take(&self, request: Take) -> Result<Result<Taken, NotFound>, StoreError> {
        self.call("take", |state| state.take(&self.periods, &request))
    }

    async fn heartbeat(&self, request: Heartbeat) -> Result<bool, StoreError> {
        self.call("heartbeat", |state| {
            let until = state.now_ms + self.periods.lease_ms;
            let held = state.driven_by(request.operation, request.driver);
            Ok(held.map(|stored| stored.row.lease_until_ms = until).is_some())
        })
    }

    async fn postpone(&self, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
        self.call("postpone", |state| state.postpone(&request))
    }

    async fn nudge(&self, request: Nudge) -> Result<(), StoreError> {
        self.call("nudge", |state| {
            let now_ms = state.now_ms;
            let open = state.operations.get_mut(&request.operation.to_string()).filter(|stored| stored.row.is_open());
            if let Some(stored) = open {
                stored.next_try_at_ms = stored.next_try_at_ms.min(now_ms);
            }
            Ok(())
        })
    }

    async fn complete(&self, _: &Once, request: Complete) -> Result<Result<Answer, NotFound>, StoreError> {
        let ending = Ending::Complete { provider_id: request.provider_id };
        self.call("complete", |state| state.end(&self.periods, request.operation, ending))
    }

    async fn refuse(&self, _: &Once, request: Refuse) -> Result<Result<Answer, NotFound>, StoreError> {
        let ending = Ending::Refuse(request.reason);
        self.call("refuse", |state| state.end(&self.periods, request.operation, ending))
    }

    async fn due(&self, request: Due) -> Result<Vec<OpenCheckout>, StoreError> {
        self.call("due", |state| Ok(state.due(&self.periods, &request)))
    }

    async fn events(&self, request: Events) -> Result<Vec<Event>, StoreError> {
        self.call("events", |state| Ok(state.events(&self.periods, &request)))
    }

    async fn ack(&self, request: Ack) -> Result<(), StoreError> {
        self.call("ack", |state| {
            let ids = request.ids.iter().take(100).map(ToString::to_string);
            if runtime::bug("outbox-up-to-max") {
                let last = ids.max();
                state.outbox.retain(|id, _| Some(id) > last.as_ref());
            } else {
                ids.for_each(|id| drop(state.outbox.remove(&id)));
            }
            Ok(())
        })
    }

    async fn attention(&self, request: Attention) -> Result<Vec<AttentionItem>, StoreError> {
        self.call("attention", |state| state.attention(request.limit))
    }

    async fn inspect(&self, request: Inspect) -> Result<Result<AttentionDetail, NoItem>, StoreError> {
        self.call("inspect", |state| state.inspect(&request))
    }

    async fn resolve(
        &self,
        once: &Once,
        request: Resolve,
    ) -> Result<Result<Option<OrderState>, ResolveRefusal>, StoreError> {
        self.call("resolve", |state| state.resolve(once, request))
    }

    async fn flag(&self, request: Flag) -> Result<(), StoreError> {
        self.call("flag", |state| {
            state.flag(request);
            Ok(())
        })
    }

    async fn get(&self, request: Get) -> Result<Result<Order, NotFound>, StoreError> {
        self.call("get", |state| {
            let row = state.row(request.order).filter(|row| row.principal == request.principal.to_string());
            row.map_or(Ok(Err(NotFound::NotFound)), |row| row.order().map(Ok))
        })
    }

    async fn list(&self, request: List) -> Result<OrderPage, StoreError> {
        self.call("list", |state| {
            let (owner, limit) = (request.principal.to_string(), request.limit.clamp(1, 100));
            let after = request.after.map_or_else(|| "~".to_owned(), |after| after.to_string());
            let rows = state.operations.range(..after).rev().map(|(_, stored)| &stored.row);
            let shown = rows.filter(|row| row.principal == owner && !matches!(&*row.state, "declined" | "refused"));
            let rows: Vec<_> = shown.take(limit as usize + 1).cloned().collect();
            rules::page(&rows, limit)
        })
    }

    async fn reap(&self, limit: u32) -> Result<Reaped, StoreError> {
        self.call("reap", |state| Ok(state.reap(&self.periods, limit)))
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.call("figures", |state| Ok(state.figures()))
    }
}
