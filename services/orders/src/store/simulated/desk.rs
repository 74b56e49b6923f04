//! The needs-attention queue of a simulated store, and what people decide.

use contract::{
    Once, OperationId,
    orders::{
        Action, ActionRecord, AttentionDetail, AttentionItem, AttentionKind, Flag, Inspect, NoItem, OrderState,
        Resolve, ResolveRefusal,
    },
};
use store::StoreError;
use uuid::Uuid;

use super::state::{State, StoredEvent};
use crate::store::{
    Figures, Waiting,
    row::Row,
    rules::{self, Effect, bounded},
};

type Answer = Result<Option<OrderState>, ResolveRefusal>;

/// A difference, and when a person closed it.
#[derive(Debug)]
pub(super) struct Finding {
    item: AttentionItem,
    closed: bool,
}

/// A person's decision, and the answer to it.
#[derive(Debug)]
pub(super) struct Decided {
    fingerprint: Vec<u8>,
    item: Uuid,
    record: ActionRecord,
    answer: Answer,
}

impl State {
    pub(super) fn attention(&self, limit: u32) -> Result<Vec<AttentionItem>, StoreError> {
        let waiting = self.operations.values().filter(|stored| stored.row.state == "needs_attention");
        let mut items = waiting.map(|stored| rules::checkout_item(&stored.row)).collect::<Result<Vec<_>, _>>()?;
        let events = self.outbox.iter().filter(|(_, event)| event.attention_since_ms.is_some());
        items.extend(events.filter_map(|(id, event)| event_item(id, event)));
        items.extend(self.findings.values().filter(|finding| !finding.closed).map(|finding| finding.item.clone()));
        items.sort_by_key(|item| (item.since_ms, item.id));
        items.truncate(limit.clamp(1, 100) as usize);
        Ok(items)
    }

    pub(super) fn inspect(&self, request: &Inspect) -> Result<Result<AttentionDetail, NoItem>, StoreError> {
        let id = request.id.to_string();
        let event = || event_item(&id, self.outbox.get(&id)?);
        let item = match self.row(OperationId(request.id)) {
            Some(row) => Some(rules::checkout_item(&row)?),
            None => event().or_else(|| self.findings.get(&id).map(|finding| finding.item.clone())),
        };
        let Some(item) = item else { return Ok(Err(NoItem::NoItem)) };
        let row = item.operation.and_then(|operation| self.row(operation));
        let mut actions: Vec<ActionRecord> = self
            .actions
            .values()
            .filter(|decided| decided.item == request.id)
            .filter(|decided| decided.answer.is_ok())
            .map(|decided| decided.record.clone())
            .collect();
        actions.sort_by_key(|record| record.at_ms);
        Ok(Ok(AttentionDetail {
            item,
            state: row.as_ref().map(Row::state).transpose()?,
            created_at_ms: row.as_ref().map(|row| row.created_at_ms),
            not_after_ms: row.as_ref().map(|row| row.not_after_ms),
            attempts: self.operations.get(&id).map(|stored| stored.attempts.clone()).unwrap_or_default(),
            actions,
        }))
    }

    pub(super) fn resolve(&mut self, once: &Once, request: Resolve) -> Result<Answer, StoreError> {
        match self.actions.get(once.id().as_str()) {
            Some(decided) if decided.fingerprint != once.fingerprint().as_bytes() => {
                return Ok(Err(ResolveRefusal::IdReused));
            }
            Some(decided) => return Ok(decided.answer),
            None => {}
        }
        let answer = self.decide(request.id, &request.action)?;
        let (operator, note) = (bounded(&request.operator), bounded(&request.note));
        let record = ActionRecord { at_ms: self.now_ms, action: request.action, operator, note };
        let fingerprint = once.fingerprint().as_bytes().to_vec();
        self.actions.insert(once.id().as_str().to_owned(), Decided { fingerprint, item: request.id, record, answer });
        Ok(answer)
    }

    fn decide(&mut self, id: Uuid, action: &Action) -> Result<Answer, StoreError> {
        if let Some(row) = self.row(OperationId(id)) {
            return match rules::effect(row.state()?, action.clone()) {
                Ok(effect) => self.apply(&row, effect).map(|state| Ok(Some(state))),
                Err(refusal) => Ok(Err(refusal)),
            };
        }
        let id = id.to_string();
        let state_of = |operation: Option<OperationId>| {
            operation.and_then(|operation| self.row(operation)).map(|row| row.state()).transpose()
        };
        if let Some(event) = self.outbox.get(&id) {
            let state = state_of(event.operation.parse().ok())?;
            let waits = *action == Action::Retry && event.attention_since_ms.is_some();
            if let Some(event) = self.outbox.get_mut(&id).filter(|_| waits) {
                (event.attention_since_ms, event.attempts, event.lease_until_ms) = (None, 0, 0);
            }
            return Ok(if waits { Ok(state) } else { Err(ResolveRefusal::WrongState(state)) });
        }
        let Some(finding) = self.findings.get(&id).filter(|finding| !finding.closed) else {
            return Ok(Err(ResolveRefusal::NoItem));
        };
        let state = state_of(finding.item.operation)?;
        if *action == Action::Retry {
            self.findings.remove(&id);
        } else if let Some(finding) = self.findings.get_mut(&id) {
            finding.closed = true;
        }
        Ok(Ok(state))
    }

    fn apply(&mut self, row: &Row, effect: Effect) -> Result<OrderState, StoreError> {
        let now_ms = self.now_ms;
        if let Effect::End(ending) = effect {
            let ended = rules::ending(row, ending)?;
            let state = serde_json::from_value(ended.state.into())?;
            self.write(&row.id, ended);
            return Ok(state);
        }
        let gone = || StoreError::Corrupt(format!("operation {} is gone", row.id));
        let stored = self.operations.get_mut(&row.id).ok_or_else(gone)?;
        if matches!(effect, Effect::TryAgain) {
            stored.row.state = "accepted".to_owned();
            (stored.row.attention_since_ms, stored.next_try_at_ms) = (None, now_ms);
        } else {
            stored.row.state = "refunded".to_owned();
        }
        stored.row.state()
    }

    pub(super) fn flag(&mut self, request: Flag) {
        let item = AttentionItem {
            id: request.id,
            kind: AttentionKind::Mismatch,
            operation: request.operation,
            reason: bounded(&request.reason),
            amount: request.amount,
            since_ms: self.now_ms,
            attempts: 0,
        };
        self.findings.entry(request.id.to_string()).or_insert(Finding { item, closed: false });
    }

    pub(super) fn figures(&self) -> Figures {
        let checkouts = self.operations.values().filter(|stored| stored.row.state == "needs_attention");
        let delivered = self.outbox.values().filter(|event| event.attention_since_ms.is_none());
        let open = self.findings.values().filter(|finding| !finding.closed);
        Figures {
            checkouts: self.waiting(checkouts.filter_map(|stored| stored.row.attention_since_ms)),
            events: self.waiting(self.outbox.values().filter_map(|event| event.attention_since_ms)),
            mismatches: self.waiting(open.map(|finding| finding.item.since_ms)),
            outbox: self.waiting(delivered.map(|event| event.created_at_ms)),
        }
    }

    fn waiting(&self, since_ms: impl Iterator<Item = i64>) -> Waiting {
        let (depth, oldest) = since_ms.fold((0, self.now_ms), |(depth, oldest), since| (depth + 1, oldest.min(since)));
        Waiting { depth, oldest_age_ms: self.now_ms - oldest }
    }
}

fn event_item(id: &str, event: &StoredEvent) -> Option<AttentionItem> {
    Some(AttentionItem {
        id: id.parse().ok()?,
        kind: AttentionKind::Event,
        operation: event.operation.parse().ok(),
        reason: rules::event_reason(&event.kind, event.attempts),
        amount: None,
        since_ms: event.attention_since_ms.unwrap_or(event.created_at_ms),
        attempts: u32::try_from(event.attempts).unwrap_or(u32::MAX),
    })
}
