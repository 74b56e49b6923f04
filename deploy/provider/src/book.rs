//! What the provider knows: decided keys, charged references, keys that are executing, refunds. Pure: no clock, no
//! file, no network, so every rule below is tested without any of them.
//!
//! A key goes `admit` -> `decide` -> `commit`. Between decide and commit the entry is on its way to the disk; its key
//! and its reference are taken, but nobody is told about it, because a crash may still forget it. Refunds (`refunds`)
//! have keys of their own and share the numbering of lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::request::{ChargeRequest, Token};

pub(crate) use refunds::{RefundDecision, RefundEntry};

/// Most remembered keys; about 1 GB of memory at the longest keys and references, and far less in practice.
const KEYS_MAX: usize = 1_000_000;
/// Most lines of a ledger. More than keys only if keys are forgotten and used again, or charges are refunded.
const LINES_MAX: u64 = 2_000_000;
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
    /// The key has an earlier line, which was forgotten. Without this mark a repeated key is damage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) key_again: bool,
    /// The reference has an earlier charge, made while references were not unique. Without this mark it is damage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) reference_again: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
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

/// Which of its promises the provider keeps: the part of the faults that decides what a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rules {
    /// How long a key is remembered, in milliseconds after it was decided; none: for ever. A request with a forgotten
    /// key is a new request.
    pub(crate) key_window_ms: Option<i64>,
    /// A reference is charged once, ever, and charges can be looked up by it.
    pub(crate) permanent_reference: bool,
    /// Nothing is charged after `not_after_ms`.
    pub(crate) enforce_not_after: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { key_window_ms: None, permanent_reference: true, enforce_not_after: true }
    }
}

impl Rules {
    /// Is a key that was decided then forgotten now?
    fn forget(&self, decided_ms: i64, now_ms: i64) -> bool {
        self.key_window_ms.is_some_and(|window_ms| now_ms.saturating_sub(decided_ms) > window_ms)
    }
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
    /// Nothing happened: `KEYS_MAX` or `LINES_MAX` is reached.
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
    /// Nothing happened: `LINES_MAX` is reached.
    Full,
}

#[derive(Debug)]
pub(crate) struct Book {
    keys: BTreeMap<String, KeyState>,
    references: BTreeMap<String, Reference>,
    /// By line number: commits come in any order within one write to the disk.
    charges: BTreeMap<u64, Arc<Entry>>,
    attempts: Attempts,
    refunds: refunds::Refunds,
    next_line: u64,
}

#[derive(Debug)]
enum KeyState {
    Executing {
        request: ChargeRequest,
        /// What the key came to before it was forgotten. It comes back if the call comes to nothing, because the line
        /// is in the file and the next line of the key has to say so.
        forgotten: Option<Arc<Entry>>,
    },
    Decided(Arc<Entry>),
}

/// The charges of one reference. More than one only while references are not unique.
#[derive(Debug, Default)]
struct Reference {
    /// On their way to the disk.
    pending: u32,
    /// Lines of the charges, by number.
    charged: Vec<u64>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            references: BTreeMap::new(),
            charges: BTreeMap::new(),
            attempts: Attempts::default(),
            refunds: refunds::Refunds::default(),
            next_line: 1,
        }
    }

    /// Takes over one line of the ledger at start. The error says what is wrong with it.
    pub(crate) fn replay(&mut self, entry: Entry) -> Result<(), String> {
        self.check_line(entry.line)?;
        if !entry.key_again && self.keys.contains_key(&entry.key) {
            return Err(format!("key {} was decided before", entry.key));
        }
        let charges_again = entry.outcome == Outcome::Charged && !entry.reference_again;
        if charges_again && self.references.contains_key(&entry.request.reference) {
            return Err(format!("reference {} was charged before", entry.request.reference));
        }
        if self.keys.len() >= KEYS_MAX {
            return Err(format!("it is beyond the {KEYS_MAX} keys a ledger may have; start with a new file"));
        }
        self.next_line += 1;
        self.commit(&Arc::new(entry));
        Ok(())
    }

    fn check_line(&self, line: u64) -> Result<(), String> {
        if line != self.next_line {
            return Err(format!("it is numbered {line} but should be {}", self.next_line));
        }
        if line > LINES_MAX {
            return Err(format!("it is beyond the {LINES_MAX} lines a ledger may have; start with a new file"));
        }
        Ok(())
    }

    /// Decides whether a call may execute, and if so takes the key.
    pub(crate) fn admit(&mut self, key: &str, request: &ChargeRequest, now_ms: i64, rules: &Rules) -> Admission {
        let forgotten = match self.keys.get(key) {
            Some(KeyState::Executing { request: first, .. }) if first == request => return Admission::InProgress,
            Some(KeyState::Executing { .. }) => return Admission::KeyReused,
            Some(KeyState::Decided(entry)) if rules.forget(entry.time_ms, now_ms) => Some(entry.clone()),
            Some(KeyState::Decided(entry)) if entry.request == *request => return Admission::Decided(entry.clone()),
            Some(KeyState::Decided(_)) => return Admission::KeyReused,
            None => None,
        };
        if self.keys.len() >= KEYS_MAX || self.next_line > LINES_MAX {
            return Admission::Full;
        }
        match request.token {
            Token::RateLimited if self.attempts.next_is_within(key, RATE_LIMITED_CALLS) => Admission::RateLimited,
            Token::Fail500NoCharge if self.attempts.next_is_within(key, FAILED_CALLS) => Admission::FailWithoutEffect,
            _ => {
                self.keys.insert(key.to_owned(), KeyState::Executing { request: request.clone(), forgotten });
                Admission::Execute
            }
        }
    }

    /// Turns an admitted call into a ledger entry. The caller must write the entry in the order of its line number.
    pub(crate) fn decide(&mut self, key: &str, request: &ChargeRequest, now_ms: i64, rules: &Rules) -> Decision {
        if self.next_line > LINES_MAX {
            return Decision::Full;
        }
        let before = self.references.get(&request.reference);
        if rules.permanent_reference && before.is_some_and(|reference| !reference.charged.is_empty()) {
            return Decision::ReferenceUsed;
        }
        if rules.permanent_reference && before.is_some() {
            return Decision::ReferenceBusy;
        }
        let reference_was_used = before.is_some();
        let outcome = if rules.enforce_not_after && now_ms > request.not_after_ms {
            Outcome::TooLate
        } else if request.token == Token::Declined {
            Outcome::Declined
        } else {
            self.references.entry(request.reference.clone()).or_default().pending += 1;
            Outcome::Charged
        };
        let key_again = matches!(self.keys.get(key), Some(KeyState::Executing { forgotten: Some(_), .. }));
        Decision::Record(Arc::new(Entry {
            line: self.take_line(),
            outcome,
            key: key.to_owned(),
            request: request.clone(),
            time_ms: now_ms,
            key_again,
            reference_again: outcome == Outcome::Charged && reference_was_used,
        }))
    }

    fn take_line(&mut self) -> u64 {
        let line = self.next_line;
        self.next_line += 1;
        line
    }

    /// The entry is on the disk: from now on it is the answer to its key.
    pub(crate) fn commit(&mut self, entry: &Arc<Entry>) {
        if entry.outcome == Outcome::Charged {
            let reference = self.references.entry(entry.request.reference.clone()).or_default();
            reference.pending = reference.pending.saturating_sub(1);
            let place = reference.charged.partition_point(|line| *line < entry.line);
            reference.charged.insert(place, entry.line);
            self.charges.insert(entry.line, entry.clone());
        }
        self.attempts.forget(&entry.key);
        self.keys.insert(entry.key.clone(), KeyState::Decided(entry.clone()));
    }

    /// The admitted call ends with nothing decided, so the key is as it was before.
    pub(crate) fn give_up(&mut self, key: &str) {
        match self.keys.remove(key) {
            Some(KeyState::Executing { forgotten: None, .. }) | None => {}
            Some(KeyState::Executing { forgotten: Some(entry), .. } | KeyState::Decided(entry)) => {
                self.keys.insert(key.to_owned(), KeyState::Decided(entry));
            }
        }
    }

    /// The charge of a reference; the oldest, if references were not unique for a while.
    pub(crate) fn by_reference(&self, reference: &str) -> Option<Arc<Entry>> {
        let line = self.references.get(reference)?.charged.first()?;
        self.charges.get(line).cloned()
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

mod refunds;

#[cfg(test)]
mod tests;
