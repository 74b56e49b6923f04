//! The provider's ledger: two long pages, one of charges and one of refunds.

use contract::Money;
use serde::Deserialize;

use super::LedgerLine;

/// Longest page that is read, in bytes: about 250,000 charges. A ledger beyond it must be compared in parts.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Charges {
    charges: Vec<Line>,
}

#[derive(Deserialize)]
struct Refunds {
    refunds: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    reference: String,
    amount: Money,
    time: String,
}

pub(super) fn charges(page: &[u8]) -> Result<Vec<LedgerLine>, String> {
    let page: Charges = serde_json::from_slice(page).map_err(|error| format!("the provider's ledger: {error}"))?;
    page.charges.into_iter().map(Line::read).collect()
}

pub(super) fn refunds(page: &[u8]) -> Result<Vec<LedgerLine>, String> {
    let page: Refunds = serde_json::from_slice(page).map_err(|error| format!("the provider's refunds: {error}"))?;
    page.refunds.into_iter().map(Line::read).collect()
}

impl Line {
    fn read(self) -> Result<LedgerLine, String> {
        let time: jiff::Timestamp =
            self.time.parse().map_err(|error| format!("the provider's time \"{}\": {error}", self.time))?;
        Ok(LedgerLine { reference: self.reference, amount: self.amount, time_ms: time.as_millisecond() })
    }
}
