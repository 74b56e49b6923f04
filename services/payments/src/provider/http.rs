//! The provider over HTTP. Turns answers into proofs by the table in `answers.rs`, and adds no judgement but one: a
//! "charged" that names another charge than ours proves nothing.

use async_trait::async_trait;
use contract::{Money, payments::Charge};
use reqwest::{Client, Response, Url, header::RETRY_AFTER};
use serde::{Deserialize, Serialize};

use super::{
    Found, Provider, ProviderAnswer,
    answers::{self, Proof},
};

/// Longest answer that is read, in bytes; a charge has a few hundred.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// The provider at an address.
#[derive(Clone, Debug)]
pub struct HttpProvider {
    client: Client,
    base: Url,
}

#[derive(Serialize)]
struct Request<'a> {
    amount: Money,
    token: &'a str,
    reference: String,
    not_after_ms: i64,
}

/// The parts of any answer that are looked at; all others are the provider's business.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    id: Option<String>,
    status: Option<String>,
    code: Option<String>,
    key: Option<String>,
    reference: Option<String>,
    amount: Option<Money>,
}

struct Answer {
    status: u16,
    retry_after_ms: Option<i64>,
    body: Body,
}

impl HttpProvider {
    /// The provider at this address, for example `http://127.0.0.1:8099/`. Nothing is sent yet.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &Url) -> reqwest::Result<Self> {
        Ok(Self { client: rpc::http_client()?, base: base.clone() })
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn charge(&self, charge: &Charge) -> ProviderAnswer {
        let request = Request {
            amount: charge.amount,
            token: &charge.token.0,
            reference: charge.operation.to_string(),
            not_after_ms: charge.not_after_ms,
        };
        let call = self.client.post(format!("{}charges", self.base));
        let call = call.header("idempotency-key", charge.operation.to_string()).json(&request);
        let answer = match call.send().await {
            Ok(response) => read(response).await,
            // The connection was never made, so no byte of the request left.
            Err(error) if error.is_connect() || error.is_builder() => {
                return ProviderAnswer::NotExecuted { reason: describe(error), retry_after_ms: None };
            }
            Err(error) => Err(describe(error)),
        };
        match answer {
            Ok(answer) => answer.of(charge),
            Err(reason) => ProviderAnswer::Unknown { reason },
        }
    }

    async fn find(&self, charge: &Charge) -> Found {
        let call = self.client.get(format!("{}charges/by-reference/{}", self.base, charge.operation));
        let answer = match call.send().await {
            Ok(response) => read(response).await,
            Err(error) => Err(describe(error)),
        };
        match answer {
            Ok(answer) if (answer.status, answer.body.code()) == (404, "not_found") => Found::NotFound,
            Ok(answer) => match answer.of(charge) {
                ProviderAnswer::Charged { provider_id } => Found::Charged { provider_id },
                ProviderAnswer::Unknown { reason } | ProviderAnswer::NotExecuted { reason, .. } => {
                    Found::Unknown { reason }
                }
                ProviderAnswer::Declined { code } | ProviderAnswer::Rejected { code } => {
                    Found::Unknown { reason: format!("a look-up answered {code}") }
                }
            },
            Err(reason) => Found::Unknown { reason },
        }
    }
}

impl Body {
    fn code(&self) -> &str {
        self.code.as_deref().or(self.status.as_deref()).unwrap_or_default()
    }

    /// The provider's id of the charge, if it is ours: the same key, reference and amount (CO-13).
    fn id_of(&self, charge: &Charge) -> Option<String> {
        let operation = charge.operation.to_string();
        let ours = self.key.as_ref() == Some(&operation)
            && self.reference.as_ref() == Some(&operation)
            && self.amount == Some(charge.amount);
        self.id.clone().filter(|id| ours && !id.is_empty())
    }
}

impl Answer {
    fn of(self, charge: &Charge) -> ProviderAnswer {
        let code = self.body.code().to_owned();
        let reason = format!("the provider answered {} {code}", self.status);
        match (answers::proof(self.status, &code), self.body.id_of(charge)) {
            (Proof::Charged, Some(provider_id)) => ProviderAnswer::Charged { provider_id },
            (Proof::Charged, None) => {
                tracing::error!(operation = %charge.operation, body = ?self.body, "the provider names another charge than ours");
                ProviderAnswer::Unknown { reason: format!("{reason} for another charge") }
            }
            (Proof::Declined, _) => ProviderAnswer::Declined { code },
            (Proof::Rejected, _) => ProviderAnswer::Rejected { code },
            (Proof::NotExecuted, _) => ProviderAnswer::NotExecuted { reason, retry_after_ms: self.retry_after_ms },
            (Proof::Unknown, _) => ProviderAnswer::Unknown { reason },
        }
    }
}

/// An answer without a JSON object is one without a code, which proves nothing.
async fn read(mut response: Response) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after.and_then(|seconds| seconds.parse::<i64>().ok()).map(|s| s.saturating_mul(1_000));
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if bytes.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(format!("the provider's answer is longer than {BODY_MAX_BYTES} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after_ms, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// The error with its causes: reqwest's own text stops at "error sending request".
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = format!("provider: {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
