//! What the provider knows: decided keys, charged references, keys that are executing. Pure: no clock, no file, no
//! network, so every rule below is tested without any of them.
//!
//! A key goes `admit` -> `decide` -> `commit`. Between decide and commit the entry is on its way to the disk; its key
//! and its reference are taken, but nobody is told about it, because a crash may still forget it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::request::{ChargeRequest, Token};

/// Most remembered keys; about 1 GB of memory at the longest keys and references, and far less in practice.
const KEYS_MAX: usize = 1_000_000;
/// Most keys whose failed first calls are counted. The oldest is forgotten first, which only repeats its first call.
const ATTEMPTS_MAX: usize = 100_000;
/// Calls of one key that `tok_429` refuses.
const RATE_LIMITED_CALLS: u32 = 2;
/// Calls of one key that `tok_500_no_charge` fails.
const FAILED_CALLS: u32 = 1;

/// One line of the ledger: what was decided, for good, about one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// 1 for the first line of the file; a gap means that somebody edited it.
    pub(crate) line: u64,
    pub(crate) outcome: Outcome,
    pub(crate) key: String,
    pub(crate) request: ChargeRequest,
    pub(crate) time_ms: i64,
}

impl Entry {
    /// The provider's id of a charge; unique because line numbers are.
    pub(crate) fn charge_id(&self) -> String {
        format!("ch_{:012}", self.line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Charged,
    Declined,
    TooLate,
}

/// May this call execute?
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes, and every other call of the key is refused until `commit` or `give_up`.
    Execute,
    /// It was decided before; the answer is the same again.
    Decided(Arc<Entry>),
    KeyReused,
    InProgress,
    /// Nothing happened, by the token's wish.
    RateLimited,
    /// Nothing happened, by the token's wish, but the caller cannot know.
    FailWithoutEffect,
    /// Nothing happened: `KEYS_MAX` is reached.
    Full,
}

/// What an admitted call comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// True once it is on the disk.
    Record(Arc<Entry>),
    /// Another key charged this reference.
    ReferenceUsed,
    /// Another key's charge of this reference is on its way to the disk.
    ReferenceBusy,
}

#[derive(Debug)]
pub(crate) struct Book {
    keys: BTreeMap<String, KeyState>,
    references: BTreeMap<String, ReferenceState>,
    /// By line number: commits come in any order within one write to the disk.
    charges: BTreeMap<u64, Arc<Entry>>,
    attempts: Attempts,
    next_line: u64,
}

#[derive(Debug)]
enum KeyState {
    Executing(ChargeRequest),
    Decided(Arc<Entry>),
}

#[derive(Debug)]
enum ReferenceState {
    Pending,
    Charged(Arc<Entry>),
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            references: BTreeMap::new(),
            charges: BTreeMap::new(),
            attempts: Attempts::default(),
            next_line: 1,
        }
    }

    /// Takes over one line of the ledger at start. The error says what is wrong with it.
    pub(crate) fn replay(&mut self, entry: Entry) -> Result<(), String> {
        if entry.line != self.next_line {
            return Err(format!("it is numbered {} but should be {}", entry.line, self.next_line));
        }
        if self.keys.contains_key(&entry.key) {
            return Err(format!("key {} was decided before", entry.key));
        }
        if entry.outcome == Outcome::Charged && self.references.contains_key(&entry.request.reference) {
            return Err(format!("reference {} was charged before", entry.request.reference));
        }
        if self.keys.len() >= KEYS_MAX {
            return Err(format!("it is beyond the {KEYS_MAX} entries a ledger may have; start with a new file"));
        }
        self.next_line += 1;
        self.commit(&Arc::new(entry));
        Ok(())
    }

    /// Decides whether a call may execute, and if so takes the key.
    pub(crate) fn admit(&mut self, key: &str, request: &ChargeRequest) -> Admission {
        match self.keys.get(key) {
            Some(KeyState::Executing(first)) if first == request => return Admission::InProgress,
            Some(KeyState::Decided(entry)) if entry.request == *request => return Admission::Decided(entry.clone()),
            Some(_) => return Admission::KeyReused,
            None => {}
        }
        if self.keys.len() >= KEYS_MAX {
            return Admission::Full;
        }
        match request.token {
            Token::RateLimited if self.attempts.next_is_within(key, RATE_LIMITED_CALLS) => Admission::RateLimited,
            Token::Fail500NoCharge if self.attempts.next_is_within(key, FAILED_CALLS) => Admission::FailWithoutEffect,
            _ => {
                self.keys.insert(key.to_owned(), KeyState::Executing(request.clone()));
                Admission::Execute
            }
        }
    }

    /// Turns an admitted call into a ledger entry. The caller must write the entry in the order of its line number.
    pub(crate) fn decide(&mut self, key: &str, request: &ChargeRequest, now_ms: i64) -> Decision {
        let outcome = match self.references.get(&request.reference) {
            Some(ReferenceState::Charged(_)) => return Decision::ReferenceUsed,
            Some(ReferenceState::Pending) => return Decision::ReferenceBusy,
            None if now_ms > request.not_after_ms => Outcome::TooLate,
            None if request.token == Token::Declined => Outcome::Declined,
            None => {
                self.references.insert(request.reference.clone(), ReferenceState::Pending);
                Outcome::Charged
            }
        };
        let line = self.next_line;
        self.next_line += 1;
        Decision::Record(Arc::new(Entry {
            line,
            outcome,
            key: key.to_owned(),
            request: request.clone(),
            time_ms: now_ms,
        }))
    }

    /// The entry is on the disk: from now on it is the answer to its key.
    pub(crate) fn commit(&mut self, entry: &Arc<Entry>) {
        if entry.outcome == Outcome::Charged {
            self.references.insert(entry.request.reference.clone(), ReferenceState::Charged(entry.clone()));
            self.charges.insert(entry.line, entry.clone());
        }
        self.attempts.forget(&entry.key);
        self.keys.insert(entry.key.clone(), KeyState::Decided(entry.clone()));
    }

    /// The admitted call ends with nothing decided, so the key is free again.
    pub(crate) fn give_up(&mut self, key: &str) {
        if matches!(self.keys.get(key), Some(KeyState::Executing(_))) {
            self.keys.remove(key);
        }
    }

    pub(crate) fn by_reference(&self, reference: &str) -> Option<Arc<Entry>> {
        match self.references.get(reference) {
            Some(ReferenceState::Charged(entry)) => Some(entry.clone()),
            Some(ReferenceState::Pending) | None => None,
        }
    }

    /// Every charge ever made, oldest first.
    pub(crate) fn charges(&self) -> Vec<Arc<Entry>> {
        self.charges.values().cloned().collect()
    }
}

/// How often keys were turned away, for tokens that fail their first calls.
#[derive(Debug, Default)]
struct Attempts {
    by_key: BTreeMap<String, Attempt>,
    keys_by_age: BTreeMap<u64, String>,
    next_age: u64,
}

#[derive(Debug)]
struct Attempt {
    age: u64,
    calls: u32,
}

impl Attempts {
    /// Counts a call unless `limit` calls were counted; true if this one was.
    fn next_is_within(&mut self, key: &str, limit: u32) -> bool {
        if let Some(attempt) = self.by_key.get_mut(key) {
            let within = attempt.calls < limit;
            attempt.calls += u32::from(within);
            return within;
        }
        if self.by_key.len() >= ATTEMPTS_MAX
            && let Some((_, oldest)) = self.keys_by_age.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        self.by_key.insert(key.to_owned(), Attempt { age: self.next_age, calls: 1 });
        self.keys_by_age.insert(self.next_age, key.to_owned());
        self.next_age += 1;
        true
    }

    fn forget(&mut self, key: &str) {
        if let Some(attempt) = self.by_key.remove(key) {
            self.keys_by_age.remove(&attempt.age);
        }
    }
}

#[cfg(test)]
mod tests;
