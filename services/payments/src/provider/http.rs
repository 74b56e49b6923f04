//! The provider over HTTP. Turns answers into proofs by the table in `answers.rs`, and adds no judgement but one: a
//! "charged" that names another charge than ours proves nothing.

use async_trait::async_trait;
use contract::{Money, OperationId, payments::Charge};
use reqwest::{Client, RequestBuilder, Response, Url, header::RETRY_AFTER};
use runtime::Faults;
use serde::{Deserialize, Serialize};

use super::{
    Found, Ledger, Provider, ProviderAnswer, RefundAnswer,
    answers::{self, Proof, RefundProof},
    pages,
};

/// Longest answer that is read, in bytes; a charge has a few hundred.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// The provider at an address.
#[derive(Clone, Debug)]
pub struct HttpProvider {
    client: Client,
    base: Url,
    /// `host:port`, which faults are set for.
    address: String,
    faults: Faults,
}

#[derive(Serialize)]
struct Request<'a> {
    amount: Money,
    token: &'a str,
    reference: String,
    not_after_ms: i64,
}

#[derive(Serialize)]
struct RefundRequest {
    reference: String,
    amount: Money,
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
    pub fn new(base: &Url, faults: Faults) -> reqwest::Result<Self> {
        let port = base.port_or_known_default().unwrap_or_default();
        let address = format!("{}:{port}", base.host_str().unwrap_or_default());
        Ok(Self { client: rpc::http_client()?, base: base.clone(), address, faults })
    }

    /// The only way to the provider, so that injected faults count here too.
    async fn send(&self, call: RequestBuilder) -> reqwest::Result<Response> {
        self.faults.pass(&self.address, call.send()).await
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
        let answer = match self.send(call).await {
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
        let answer = match self.send(call).await {
            Ok(response) => read(response).await,
            Err(error) => Err(describe(error)),
        };
        match answer {
            Ok(answer) if (answer.status, answer.body.code()) == (404, "not_found") => Found::NotFound,
            Ok(answer) => match answer.of(charge) {
                ProviderAnswer::Charged { provider_id } => Found::Charged { provider_id },
                ProviderAnswer::Unknown { reason }
                | ProviderAnswer::Undecided { reason }
                | ProviderAnswer::NotExecuted { reason, .. } => Found::Unknown { reason },
                ProviderAnswer::Declined { code } | ProviderAnswer::Rejected { code } => {
                    Found::Unknown { reason: format!("a look-up answered {code}") }
                }
            },
            Err(reason) => Found::Unknown { reason },
        }
    }

    async fn refund(&self, operation: OperationId, amount: Money) -> RefundAnswer {
        let request = RefundRequest { reference: operation.to_string(), amount };
        let call = self.client.post(format!("{}refunds", self.base));
        let call = call.header("idempotency-key", format!("refund-{operation}")).json(&request);
        let answer = match self.send(call).await {
            Ok(response) => read(response).await,
            // Never sent.
            Err(error) if error.is_connect() || error.is_builder() => {
                return RefundAnswer::Undecided { reason: describe(error) };
            }
            Err(error) => Err(describe(error)),
        };
        match answer {
            Ok(answer) => answer.of_refund(&request),
            Err(reason) => RefundAnswer::Unknown { reason },
        }
    }

    async fn ledger(&self) -> Result<Ledger, String> {
        let page = async |name: &str| {
            let response = self.send(self.client.get(format!("{}{name}", self.base))).await.map_err(describe)?;
            match response.status().as_u16() {
                200 => body(response, pages::BYTES_MAX).await,
                status => Err(format!("provider: GET /{name} answered {status}")),
            }
        };
        // Refunds first: one that is made in between finds its charge in the ledger, and not the other way round.
        let refunds = pages::refunds(&page("refunds").await?)?;
        let charges = pages::charges(&page("ledger").await?)?;
        Ok(Ledger { charges, refunds })
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
    fn of_refund(self, request: &RefundRequest) -> RefundAnswer {
        let code = self.body.code().to_owned();
        let reason = format!("the provider answered {} {code}", self.status);
        let ours = self.body.reference.as_ref() == Some(&request.reference) && self.body.amount == Some(request.amount);
        match (answers::refund_proof(self.status, &code), self.body.id.filter(|id| ours && !id.is_empty())) {
            (Some(RefundProof::Refunded), Some(refund_id)) => RefundAnswer::Refunded { refund_id },
            (Some(RefundProof::Refunded), None) => {
                RefundAnswer::Undecided { reason: format!("{reason} for another refund") }
            }
            (Some(RefundProof::Refused), _) => RefundAnswer::Refused { code },
            (Some(RefundProof::Unknown), _) => RefundAnswer::Undecided { reason },
            (None, _) => RefundAnswer::Unknown { reason },
        }
    }

    fn of(self, charge: &Charge) -> ProviderAnswer {
        let code = self.body.code().to_owned();
        let reason = format!("the provider answered {} {code}", self.status);
        match (answers::proof(self.status, &code), self.body.id_of(charge)) {
            (Some(Proof::Charged), Some(provider_id)) => ProviderAnswer::Charged { provider_id },
            (Some(Proof::Charged), None) => {
                tracing::error!(operation = %charge.operation, body = ?self.body, "the provider names another charge than ours");
                ProviderAnswer::Undecided { reason: format!("{reason} for another charge") }
            }
            (Some(Proof::Declined), _) => ProviderAnswer::Declined { code },
            (Some(Proof::Rejected), _) => ProviderAnswer::Rejected { code },
            (Some(Proof::NotExecuted), _) => {
                ProviderAnswer::NotExecuted { reason, retry_after_ms: self.retry_after_ms }
            }
            (Some(Proof::Unknown), _) => ProviderAnswer::Undecided { reason },
            (None, _) => ProviderAnswer::Unknown { reason },
        }
    }
}

/// An answer without a JSON object is one without a code, which proves nothing.
async fn read(response: Response) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after.and_then(|seconds| seconds.parse::<i64>().ok()).map(|s| s.saturating_mul(1_000));
    let bytes = body(response, BODY_MAX_BYTES).await?;
    Ok(Answer { status, retry_after_ms, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// The whole body, as it comes in, unless it is longer than that.
async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(format!("the provider's answer is longer than {bytes_max} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
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
