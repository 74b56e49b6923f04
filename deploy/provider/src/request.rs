//! The requests for a charge and for a refund: their wire form, their bounds, and the test tokens.
//!
//! Everything in the body is a parameter of the charge: the same key with any other value is `key_reused`. That
//! includes `not_after_ms`; a caller that freezes its intent before the first send repeats the same value anyway, and
//! one that does not should learn it here.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

/// Largest accepted body, in bytes.
pub(crate) const BODY_MAX_BYTES: usize = 16 * 1024;
/// Longest key and longest reference, in characters.
const NAME_MAX_CHARS: usize = 255;
/// Largest charge, in minor units.
const AMOUNT_MAX_MINOR: i64 = 1_000_000_000;

/// Body of `POST /charges`, and the parameters that the ledger remembers with each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChargeRequest {
    pub(crate) amount: Amount,
    pub(crate) token: Token,
    /// The merchant's permanent reference: at most one charge, ever, carries it.
    pub(crate) reference: String,
    /// By the provider's clock, in milliseconds since the Unix epoch; later than this nothing is charged.
    pub(crate) not_after_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amount {
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
}

/// Body of `POST /refunds`, and the parameters that the ledger remembers with each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundRequest {
    /// The reference of the charge.
    pub(crate) reference: String,
    /// The whole amount of the charge; the provider refunds no parts.
    pub(crate) amount: Amount,
}

/// Test tokens; each names the provider's behaviour. "First" is meant per idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Token {
    #[serde(rename = "tok_ok")]
    Ok,
    #[serde(rename = "tok_declined")]
    Declined,
    /// Charges at once, answers late.
    #[serde(rename = "tok_slow")]
    Slow,
    /// The first call charges and never answers.
    #[serde(rename = "tok_charge_then_timeout")]
    ChargeThenTimeout,
    /// The first call charges and answers 500.
    #[serde(rename = "tok_charge_then_500")]
    ChargeThen500,
    /// The first call answers 500 and does nothing.
    #[serde(rename = "tok_500_no_charge")]
    Fail500NoCharge,
    /// The first two calls answer 429.
    #[serde(rename = "tok_429")]
    RateLimited,
    /// The first call waits, then charges, whether or not the caller is still there.
    #[serde(rename = "tok_late")]
    Late,
}

impl ChargeRequest {
    /// Reads and checks a body. The error is a sentence for the caller.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > BODY_MAX_BYTES {
            return Err(format!("the body is larger than {BODY_MAX_BYTES} bytes"));
        }
        let request: Self =
            serde_json::from_slice(body).map_err(|error| format!("the body is not a charge: {error}"))?;
        request.amount.check()?;
        check_name("reference", &request.reference)?;
        Ok(request)
    }
}

impl RefundRequest {
    /// Reads and checks a body. The error is a sentence for the caller.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > BODY_MAX_BYTES {
            return Err(format!("the body is larger than {BODY_MAX_BYTES} bytes"));
        }
        let request: Self =
            serde_json::from_slice(body).map_err(|error| format!("the body is not a refund: {error}"))?;
        request.amount.check()?;
        check_name("reference", &request.reference)?;
        Ok(request)
    }
}

impl Amount {
    fn check(&self) -> Result<(), String> {
        if self.amount_minor <= 0 || self.amount_minor > AMOUNT_MAX_MINOR {
            return Err(format!("amount.amount_minor must be 1 to {AMOUNT_MAX_MINOR} minor units"));
        }
        let currency = self.currency.as_bytes();
        if currency.len() != 3 || !currency.iter().all(u8::is_ascii_uppercase) {
            return Err("amount.currency must be three capital letters, for example GBP".to_owned());
        }
        Ok(())
    }
}

/// The one `Idempotency-Key` of a request. Two of them would leave open which one protects the caller.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, String> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("send exactly one Idempotency-Key header".to_owned());
    };
    let key = value.to_str().map_err(|_| "the Idempotency-Key must be visible ASCII".to_owned())?;
    check_name("Idempotency-Key", key)?;
    Ok(key.to_owned())
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_MAX_CHARS || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{what} must be 1 to {NAME_MAX_CHARS} visible ASCII characters"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn sample(token: Token, reference: &str) -> ChargeRequest {
    let amount = Amount { amount_minor: 1299, currency: "GBP".to_owned() };
    ChargeRequest { amount, token, reference: reference.to_owned(), not_after_ms: 10_000 }
}
