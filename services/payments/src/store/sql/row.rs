//! A row of the charges, and what it says.

use contract::{
    Currency, Money, OperationId,
    payments::{ChargeRecord, ChargeStatus},
};
use store::{Link, StoreError, sql};

use super::super::{Decision, Intent, Outcome, Sighted, Sighting, Standing};
use super::code_of;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    state: String,
    amount_minor: Option<i64>,
    currency: Option<String>,
    token_hash: Option<Vec<u8>>,
    pub(super) not_after_ms: Option<i64>,
    attempts: i64,
    pub(super) maybe_sent: i64,
    provider_id: Option<String>,
    decline_code: Option<String>,
    operator: Option<String>,
    note: Option<String>,
}

const SELECT: &str = "SELECT state, amount_minor, currency, token_hash, not_after_ms, attempts, maybe_sent, provider_id, \
                      decline_code, operator, note FROM charges WHERE operation = $1";

/// The row, locked until the transaction ends.
pub(super) async fn read(tx: &mut Link, operation: OperationId) -> Result<Option<Row>, StoreError> {
    tx.optional(sql(format!("{SELECT} FOR UPDATE")).bind(operation.to_string())).await
}

/// The row as it is now, to be looked at only.
pub(super) async fn peek(link: &mut Link, operation: OperationId) -> Result<Option<Row>, StoreError> {
    link.optional(sql(SELECT).bind(operation.to_string())).await
}

impl Row {
    pub(super) fn outcome(&self) -> Result<Option<Outcome>, StoreError> {
        outcome_of(&self.state)
    }

    pub(super) fn amount(&self) -> Result<Option<Money>, StoreError> {
        money(self.amount_minor, self.currency.as_deref())
    }

    pub(super) fn standing(self, intent: &Intent) -> Result<Standing, StoreError> {
        if self.amount_minor.is_some() && !self.is_of(intent) {
            return Ok(Standing::OtherIntent);
        }
        match (self.outcome()?, self.provider_id, self.decline_code) {
            (None, ..) => Ok(Standing::Open),
            (Some(Outcome::Closed), ..) => Ok(Standing::Closed),
            (Some(Outcome::Charged), Some(provider_id), _) => Ok(Standing::Decided(Decision::Charged { provider_id })),
            (Some(Outcome::Declined), _, Some(code)) => Ok(Standing::Decided(Decision::Declined { code })),
            _ => Err(StoreError::Corrupt(format!("charge {}: {} without its proof", intent.operation, self.state))),
        }
    }

    fn is_of(&self, intent: &Intent) -> bool {
        self.amount_minor == Some(intent.amount.amount_minor)
            && self.currency.as_deref() == Some(code_of(intent.amount.currency))
            && self.token_hash.as_deref() == Some(intent.token_hash.as_bytes().as_slice())
            && self.not_after_ms == Some(intent.not_after_ms)
    }

    /// What a sighting comes to, unless it must be recorded.
    pub(super) fn sighted(&self, sighting: &Sighting) -> Result<Option<Sighted>, StoreError> {
        super::super::judge_sighting(self.outcome()?, self.amount()?, self.provider_id.as_deref(), sighting)
            .map_or(Ok(None), |known| Ok(Some(known)))
    }

    pub(super) fn record(self, refund: Option<(Option<String>, String, String)>) -> Result<ChargeRecord, StoreError> {
        let outcome = self.outcome()?;
        let said = self.operator.zip(self.note);
        let (refund_id, refund_said) = refund.map_or((None, None), |(id, who, why)| (id, Some((who, why))));
        let status = match (outcome, self.provider_id, self.decline_code) {
            (None, ..) => Some(super::super::open()),
            (Some(Outcome::Charged), id, _) => Some(ChargeStatus::Charged { provider_id: id.unwrap_or_default() }),
            (Some(Outcome::Declined), _, code) => Some(ChargeStatus::Declined { code: code.unwrap_or_default() }),
            (Some(Outcome::Closed), ..) => None,
        };
        Ok(ChargeRecord {
            status,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            maybe_sent: u32::try_from(self.maybe_sent).unwrap_or(u32::MAX),
            note: super::super::note_of(said, refund_said),
            refund_id,
        })
    }
}

pub(super) fn outcome_of(state: &str) -> Result<Option<Outcome>, StoreError> {
    match state {
        "intended" => Ok(None),
        "charged" => Ok(Some(Outcome::Charged)),
        "declined" => Ok(Some(Outcome::Declined)),
        "closed" => Ok(Some(Outcome::Closed)),
        other => Err(StoreError::Corrupt(format!("charges.state \"{other}\""))),
    }
}

pub(super) fn money(minor: Option<i64>, currency: Option<&str>) -> Result<Option<Money>, StoreError> {
    match (minor, currency) {
        (Some(amount_minor), Some("GBP")) => Ok(Some(Money { amount_minor, currency: Currency::Gbp })),
        (None, _) => Ok(None),
        (_, other) => Err(StoreError::Corrupt(format!("currency {other:?}"))),
    }
}
