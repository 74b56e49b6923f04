//! A provider that keeps its promise (one charge per key) and misbehaves on command.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use contract::{OperationId, payments::Charge};
use payments::provider::{Found, Ledger, Provider, ProviderAnswer};
use tokio::sync::Notify;

/// What the next call meets.
#[derive(Debug)]
pub(crate) enum Step {
    ChargeThenHang,
    Unknown,
    Decline(&'static str),
    Reject(&'static str),
    NotExecuted(Option<i64>),
}

#[derive(Debug, Default)]
pub(crate) struct FakeProvider {
    steps: Mutex<VecDeque<Step>>,
    ledger: Mutex<BTreeMap<OperationId, String>>,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
    held: AtomicBool,
    released: Notify,
}

impl FakeProvider {
    /// The next calls meet these; later ones charge.
    pub(crate) fn next<const N: usize>(&self, steps: [Step; N]) {
        self.steps.lock().unwrap().extend(steps);
    }

    pub(crate) fn hold(&self) {
        self.held.store(true, SeqCst);
    }

    pub(crate) fn release(&self) {
        self.held.store(false, SeqCst);
        self.released.notify_waiters();
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(crate) fn charges(&self) -> usize {
        self.ledger.lock().unwrap().len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight.load(SeqCst)
    }

    pub(crate) fn charge_behind_our_back(&self, operation: OperationId) -> String {
        let mut ledger = self.ledger.lock().unwrap();
        let next = format!("ch_{}", ledger.len() + 1);
        ledger.entry(operation).or_insert(next).clone()
    }

    async fn until_released(&self) {
        loop {
            let released = self.released.notified();
            if !self.held.load(SeqCst) {
                return;
            }
            released.await;
        }
    }
}

struct InFlight<'a>(&'a FakeProvider);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

#[async_trait]
impl Provider for FakeProvider {
    async fn charge(&self, charge: &Charge) -> ProviderAnswer {
        self.calls.fetch_add(1, SeqCst);
        self.max_in_flight.fetch_max(self.in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
        let _in_flight = InFlight(self);
        self.until_released().await;
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            None => ProviderAnswer::Charged { provider_id: self.charge_behind_our_back(charge.operation) },
            Some(Step::ChargeThenHang) => {
                self.charge_behind_our_back(charge.operation);
                std::future::pending().await
            }
            Some(Step::Unknown) => ProviderAnswer::Unknown { reason: "the provider answered 500".to_owned() },
            Some(Step::Decline(code)) => ProviderAnswer::Declined { code: code.to_owned() },
            Some(Step::Reject(code)) => ProviderAnswer::Rejected { code: code.to_owned() },
            Some(Step::NotExecuted(retry_after_ms)) => {
                ProviderAnswer::NotExecuted { reason: "rate limited".to_owned(), retry_after_ms }
            }
        }
    }

    async fn find(&self, charge: &Charge) -> Found {
        match self.ledger.lock().unwrap().get(&charge.operation) {
            Some(id) => Found::Charged { provider_id: id.clone() },
            None => Found::NotFound,
        }
    }

    async fn ledger(&self) -> Result<Ledger, String> {
        Ok(Ledger::default())
    }
}
