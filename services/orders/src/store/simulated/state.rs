//! The tables of a simulated store and what the calls do to them. What can fail is worked out before anything is changed: a
//! call that fails has changed nothing, as if it had been rolled back.

use std::collections::BTreeMap;

use contract::{
    Once, OperationId, PrincipalId,
    orders::{
        Answer, AttemptRecord, Driver, Due, Event, Events, NotFound, Open, OpenCheckout, OpenRefusal, Opened,
        OrderState, Postpone, Take, Taken,
    },
};
use store::StoreError;

use super::desk::{Decided, Finding};
use crate::store::{
    ATTEMPTS_KEPT, ATTEMPTS_MAX, Periods, Reaped,
    row::{End, Row, VERSION},
    rules::{self, AFTER_WINDOW_MS, Ended, Ending, NEVER_MS, bounded, event_lease_times, not_taken},
};

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) row: Row,
    pub(super) request_key: Option<String>,
    pub(super) next_try_at_ms: i64,
    pub(super) attempts: Vec<AttemptRecord>,
}

#[derive(Debug)]
pub(super) struct StoredEvent {
    pub(super) operation: String,
    pub(super) kind: String,
    pub(super) created_at_ms: i64,
    pub(super) lease_until_ms: i64,
    pub(super) attempts: i64,
    pub(super) attention_since_ms: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The database's clock, set at each call.
    pub(super) now_ms: i64,
    pub(super) operations: BTreeMap<String, Stored>,
    keys: BTreeMap<(String, String), String>,
    claimed: BTreeMap<String, String>,
    pub(super) outbox: BTreeMap<String, StoredEvent>,
    pub(super) findings: BTreeMap<String, Finding>,
    pub(super) actions: BTreeMap<String, Decided>,
}

impl State {
    pub(super) fn row(&self, id: OperationId) -> Option<Row> {
        self.operations.get(&id.to_string()).map(|stored| Row { now_ms: self.now_ms, ..stored.row.clone() })
    }

    pub(super) fn by_key(&self, principal: PrincipalId, key: &str) -> Option<Row> {
        let id = self.keys.get(&(principal.to_string(), key.to_owned()))?;
        self.row(id.parse().ok()?)
    }

    /// The open checkout that this driver holds.
    pub(super) fn driven_by(&mut self, id: OperationId, driver: Driver) -> Option<&mut Stored> {
        let stored = self.operations.get_mut(&id.to_string())?;
        (stored.row.is_open() && stored.row.driver == Some(driver.0.to_string())).then_some(stored)
    }

    pub(super) fn open(
        &mut self,
        periods: &Periods,
        once: &Once,
        request: &Open,
    ) -> Result<Result<Opened, OpenRefusal>, StoreError> {
        if let Some(row) = self.by_key(request.principal, once.id().as_str()) {
            if row.fingerprint != request.fingerprint.as_bytes() {
                return Ok(Err(OpenRefusal::KeyReused));
            }
            let mine = row.is_open() && row.driver == Some(request.driver.0.to_string());
            return Ok(Ok(if mine { Opened::Claimed(row.checkout()?) } else { Opened::Existing(row.found(periods)?) }));
        }
        let ops: Vec<String> = request.snapshot.ops.iter().map(ToString::to_string).collect();
        if let Some(owner) = ops.iter().find_map(|op| self.claimed.get(op)) {
            let order = owner.parse().map_err(|_| StoreError::Corrupt(format!("{owner} is no id")))?;
            return Ok(Err(OpenRefusal::CartClaimed { order }));
        }
        let (id, now_ms) = (request.operation.to_string(), self.now_ms);
        if self.operations.contains_key(&id) {
            return Err(StoreError::Conflict(format!("operation {id} exists")));
        }
        let row = Row {
            id: id.clone(),
            principal: request.principal.to_string(),
            fingerprint: request.fingerprint.as_bytes().to_vec(),
            version: VERSION,
            state: "accepted".to_owned(),
            snapshot: serde_json::to_string(&request.snapshot)?,
            payment: Some(request.payment.0.clone()),
            created_at_ms: now_ms,
            not_after_ms: now_ms + periods.charge_window_ms,
            attempts: 0,
            reason: None,
            attention_since_ms: None,
            driver: Some(request.driver.0.to_string()),
            lease_until_ms: now_ms + periods.lease_ms,
            answer: None,
            ended_at_ms: None,
            now_ms,
        };
        let checkout = row.checkout()?;
        let key = once.id().as_str().to_owned();
        self.keys.insert((row.principal.clone(), key.clone()), id.clone());
        self.claimed.extend(ops.into_iter().map(|op| (op, id.clone())));
        let stored = Stored { row, request_key: Some(key), next_try_at_ms: now_ms, attempts: Vec::new() };
        self.operations.insert(id, stored);
        Ok(Ok(Opened::Claimed(checkout)))
    }

    pub(super) fn take(&mut self, periods: &Periods, request: &Take) -> Result<Result<Taken, NotFound>, StoreError> {
        let Some(row) = self.row(request.operation) else { return Ok(Err(NotFound::NotFound)) };
        let Some(stored) = self.operations.get_mut(&row.id) else { return Ok(Err(NotFound::NotFound)) };
        let driver = request.driver.0.to_string();
        let free = row.lease_until_ms <= self.now_ms && stored.next_try_at_ms <= self.now_ms;
        if !row.is_open() || !(free || row.driver.as_ref() == Some(&driver)) {
            return not_taken(&row, periods).map(Ok);
        }
        match row.checkout() {
            Ok(checkout) => {
                stored.row.driver = Some(driver);
                stored.row.lease_until_ms = self.now_ms + periods.lease_ms;
                Ok(Ok(Taken::Yours(checkout)))
            }
            Err(error) => {
                give_to_a_person(stored, self.now_ms, error.to_string());
                Ok(Ok(Taken::Busy { state: OrderState::NeedsAttention, driven: false }))
            }
        }
    }

    pub(super) fn postpone(&mut self, request: &Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
        let now_ms = self.now_ms;
        let Some(stored) = self.driven_by(request.operation, request.driver) else {
            return self.row(request.operation).map_or(Ok(Err(NotFound::NotFound)), |row| row.state().map(Ok));
        };
        let row = &mut stored.row;
        (row.driver, row.lease_until_ms) = (None, 0);
        row.attempts += 1;
        let reason = bounded(&request.reason);
        row.reason = Some(reason.clone());
        stored.next_try_at_ms = now_ms + request.delay_ms.clamp(0, 60_000);
        if row.state == "needs_attention" || request.attention || row.attempts >= i64::from(ATTEMPTS_MAX) {
            if row.not_after_ms + AFTER_WINDOW_MS <= now_ms {
                stored.next_try_at_ms = NEVER_MS;
            }
            show_to_a_person(row, now_ms);
        }
        stored.attempts.push(AttemptRecord { at_ms: now_ms, reason });
        let old = stored.attempts.len().saturating_sub(ATTEMPTS_KEPT as usize);
        stored.attempts.drain(..old);
        stored.row.state().map(Ok)
    }

    pub(super) fn due(&mut self, periods: &Periods, request: &Due) -> Vec<OpenCheckout> {
        let now_ms = self.now_ms;
        let is_due = |stored: &&mut Stored| {
            stored.row.is_open() && stored.next_try_at_ms <= now_ms && stored.row.lease_until_ms <= now_ms
        };
        let mut due: Vec<_> = self.operations.values_mut().filter(is_due).collect();
        due.sort_by_key(|stored| stored.next_try_at_ms);
        let lease = |stored: &mut Stored| match stored.row.checkout() {
            Ok(checkout) => {
                stored.row.driver = Some(request.driver.0.to_string());
                stored.row.lease_until_ms = now_ms + periods.lease_ms;
                Some(checkout)
            }
            Err(error) => {
                give_to_a_person(stored, now_ms, error.to_string());
                None
            }
        };
        due.into_iter().take(request.limit.clamp(1, 100) as usize).filter_map(lease).collect()
    }

    pub(super) fn end(
        &mut self,
        periods: &Periods,
        operation: OperationId,
        ending: Ending,
    ) -> Result<Result<Answer, NotFound>, StoreError> {
        let Some(row) = self.row(operation) else { return Ok(Err(NotFound::NotFound)) };
        match row.end(periods)? {
            _ if runtime::bug("no-guard") => {}
            End::Answer(answer) => return Ok(Ok(*answer)),
            End::Expired => return Err(row.kept_no_more()),
            End::Open => {}
        }
        let ended = rules::ending(&row, ending)?;
        let answer = ended.answer.clone();
        self.write(&row.id, ended);
        Ok(Ok(answer))
    }

    pub(super) fn write(&mut self, id: &str, ended: Ended) {
        let now_ms = self.now_ms;
        let Some(Stored { row, .. }) = self.operations.get_mut(id) else { return };
        row.state = ended.state.to_owned();
        (row.answer, row.ended_at_ms) = (Some(ended.stored), Some(now_ms));
        (row.payment, row.driver, row.lease_until_ms) = (None, None, 0);
        if ended.frees_lines {
            self.claimed.retain(|_, owner| owner != id);
        }
        for (event, kind) in ended.events {
            let (operation, created_at_ms) = (id.to_owned(), now_ms);
            let fresh = StoredEvent {
                operation,
                kind,
                created_at_ms,
                lease_until_ms: 0,
                attempts: 0,
                attention_since_ms: None,
            };
            self.outbox.entry(event).or_insert(fresh);
        }
    }

    pub(super) fn events(&mut self, periods: &Periods, request: &Events) -> Vec<Event> {
        let now_ms = self.now_ms;
        let lapsed = self.outbox.iter_mut();
        let lapsed = lapsed.filter(|(_, event)| event.attention_since_ms.is_none() && event.lease_until_ms <= now_ms);
        let (poisoned, mut lapsed): (Vec<_>, Vec<_>) =
            lapsed.partition(|(_, event)| event.attempts >= i64::from(ATTEMPTS_MAX));
        poisoned.into_iter().for_each(|(_, event)| event.attention_since_ms = Some(now_ms));
        lapsed.sort_by_key(|(_, event)| (event.lease_until_ms, event.created_at_ms));
        lapsed.truncate(request.limit.clamp(1, 100) as usize);
        lapsed.sort_by_key(|(_, event)| event.created_at_ms);
        let lease = |(id, event): (&String, &mut StoredEvent)| {
            event.lease_until_ms = now_ms + periods.event_lease_ms * event_lease_times(event.attempts);
            event.attempts += 1;
            rules::readable(id, &event.operation, &event.kind)
        };
        lapsed.into_iter().filter_map(lease).collect()
    }

    pub(super) fn reap(&mut self, periods: &Periods, limit: u32) -> Reaped {
        let (now_ms, limit) = (self.now_ms, u64::from(limit));
        let mut reaped = Reaped::default();
        for stored in self.operations.values_mut() {
            let Some(ended_at_ms) = stored.row.ended_at_ms else { continue };
            if reaped.answers < limit && ended_at_ms <= now_ms - periods.result_ms && stored.row.answer.take().is_some()
            {
                reaped.answers += 1;
            }
            if reaped.keys < limit
                && ended_at_ms <= now_ms - periods.key_ms
                && let Some(key) = stored.request_key.take()
            {
                self.keys.remove(&(stored.row.principal.clone(), key));
                reaped.keys += 1;
            }
        }
        if runtime::bug("greedy-reaper") {
            let kept = |row: &Row| !row.is_open() || row.created_at_ms > now_ms - periods.result_ms;
            self.operations.retain(|_, stored| kept(&stored.row));
            self.keys.retain(|_, id| self.operations.contains_key(id));
            self.claimed.retain(|_, id| self.operations.contains_key(id));
        }
        reaped
    }
}

fn show_to_a_person(row: &mut Row, now_ms: i64) {
    if row.state == "accepted" {
        row.attention_since_ms = Some(now_ms);
        row.state = "needs_attention".to_owned();
    }
}

fn give_to_a_person(stored: &mut Stored, now_ms: i64, reason: String) {
    let row = &mut stored.row;
    (row.driver, row.lease_until_ms, row.reason) = (None, 0, Some(reason));
    stored.next_try_at_ms = NEVER_MS;
    show_to_a_person(row, now_ms);
}
