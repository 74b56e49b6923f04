//! One file per operation, named as in the contract.

use contract::{CallError, payments::Evidence};

mod attest;
mod charge;
mod close;
mod inspect;
mod observe;
mod outlook;
mod reconcile;
mod refund;

pub(crate) use attest::attest;
pub(crate) use charge::charge;
pub(crate) use close::close;
pub(crate) use inspect::inspect;
pub(crate) use observe::observe;
pub(crate) use outlook::outlook;
pub(crate) use reconcile::reconcile;
pub(crate) use refund::refund;

/// Longest text that is kept of a person's evidence, and of a provider's name for something, in characters.
const TEXT_MAX: usize = 500;

fn check_evidence<R>(evidence: &Evidence) -> Result<(), CallError<R>> {
    check_text("the operator of the evidence", &evidence.operator)?;
    check_text("the note of the evidence", &evidence.note)
}

fn check_text<R>(what: &str, text: &str) -> Result<(), CallError<R>> {
    if (1..=TEXT_MAX).contains(&text.chars().count()) && !text.contains('\0') {
        return Ok(());
    }
    Err(CallError::NotExecuted(format!("{what} has 1 to {TEXT_MAX} characters")))
}
