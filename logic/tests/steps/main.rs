//! What logic asks of which family, in which order, and what it makes of each answer: against a script.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also in their helpers")]

mod checkout;
mod decisions;
mod driver;
mod ledgers;
mod outbox;
mod script;
