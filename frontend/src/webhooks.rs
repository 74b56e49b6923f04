//! `POST /webhooks/provider`: the payment provider tells of a charge, unasked, at least once and in no particular order.
//!
//! Nothing of a body is believed, nor even parsed, before its signature was checked: whoever can forge one event makes
//! orders without money. A copy, a late one or one out of order is harmless, so there is no list of events seen (CO-18).
//! What cannot be acted on now is answered 503, and the provider sends it again.

use std::path::Path;

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use contract::{Currency, Money, NoKey, OperationId, shop};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::{
    app::App,
    body,
    problem::{Kind, Problem},
};

/// `sha256=` and the hex of HMAC-SHA256 of the body.
const SIGNATURE: &str = "webhook-signature";
/// Largest event in bytes; the provider's have about 400.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Bounds of the secret, in bytes without the white space around it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;
/// Longest name of a charge, in characters.
const PROVIDER_ID_CHARS_MAX: usize = 200;

/// What the provider signs its events with.
#[derive(Clone)]
pub struct WebhookSecret(Vec<u8>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl WebhookSecret {
    /// A secret of 16 to 1,024 bytes, without the white space around it; `None` if it is none.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let secret = text.trim_ascii();
        SECRET_BYTES.contains(&secret.len()).then(|| Self(secret.to_vec()))
    }

    /// Reads `--webhook-secret-file`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read(path).with_context(|| format!("--webhook-secret-file {shown}: cannot be read"))?;
        Self::new(&text).with_context(|| {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            format!("--webhook-secret-file {shown}: a secret has {least} to {most} bytes; make one with `openssl rand -hex 32`")
        })
    }

    /// In constant time: how far a forged signature is right must not show in how long the answer takes.
    fn has_signed(&self, body: &[u8], signature: &[u8]) -> bool {
        Hmac::<Sha256>::new_from_slice(&self.0).is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
    }
}

/// One event. Other people's documents grow, so unknown fields are no error here.
#[derive(Deserialize)]
struct Event {
    r#type: String,
}

#[derive(Deserialize)]
struct ChargeSucceeded {
    charge: Charge,
}

#[derive(Deserialize)]
struct Charge {
    id: String,
    key: String,
    reference: String,
    amount: Amount,
}

#[derive(Deserialize)]
struct Amount {
    amount_minor: i64,
    currency: Currency,
}

/// The route, for a frontend that has the secret.
pub(crate) fn routes(secret: WebhookSecret) -> Router<App> {
    let receive = async move |State(app): State<App>, headers: HeaderMap, body: Body| {
        let bytes = body::read_at_most(body, BODY_BYTES_MAX).await?;
        let signature = signature_of(&headers).unwrap_or_default();
        if !secret.has_signed(&bytes, &signature) {
            return Err(Problem::new(Kind::BadSignature, format!("the header {SIGNATURE} does not fit the body")));
        }
        take(&app, &bytes).await
    };
    Router::new().route("/webhooks/provider", post(receive))
}

fn signature_of(headers: &HeaderMap) -> Option<Vec<u8>> {
    let hex = headers.get(SIGNATURE)?.to_str().ok()?.strip_prefix("sha256=")?;
    let digits = hex.bytes().map(|byte| char::from(byte).to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).ok();
    digits.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() * 2 == digits.len())
}

async fn take(app: &App, bytes: &[u8]) -> Result<StatusCode, Problem> {
    let event: Event = body::parse(bytes)?.content;
    if event.r#type != "charge.succeeded" {
        return Ok(StatusCode::NO_CONTENT);
    }
    let Charge { id, key, reference, amount } = body::parse::<ChargeSucceeded>(bytes)?.content.charge;
    if !(1..=PROVIDER_ID_CHARS_MAX).contains(&id.chars().count()) {
        return Err(Problem::new(Kind::BadBody, format!("charge.id has 1 to {PROVIDER_ID_CHARS_MAX} characters")));
    }
    // Key and reference of every charge of ours are its checkout. What is not ours, reconciliation shows to a person.
    let operation = match (key.parse::<OperationId>(), reference.parse::<OperationId>()) {
        (Ok(key), Ok(reference)) if key == reference => key,
        _ => {
            tracing::warn!("the provider told of a charge that is none of this shop's");
            return Ok(StatusCode::NO_CONTENT);
        }
    };
    let amount = Money { amount_minor: amount.amount_minor, currency: amount.currency };
    let event = shop::ProviderEvent { operation, provider_id: id, amount };
    let taken = app.logic.call(&event, NoKey).await;
    taken.map_err(|error| Problem::of_failure(error, |never| match never {}))?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// RFC 4231, test case 2; its key is too short for a secret of ours.
    #[test]
    fn a_signature_is_hmac_sha256() {
        let secret = WebhookSecret(b"Jefe".to_vec());
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let signed = |header: &str| {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static(SIGNATURE),
                HeaderValue::from_str(header).unwrap(),
            )]);
            secret.has_signed(b"what do ya want for nothing?", &signature_of(&headers).unwrap_or_default())
        };
        assert!(signed(&format!("sha256={signature}")));
        assert!(signed(&format!("sha256={}", signature.to_uppercase())));
        let short = &signature[..62];
        for bad in [
            signature,
            &format!("sha256={short}"),
            &format!("sha256={signature}0"),
            &format!("sha256={signature}00"),
            "sha256=",
            "",
        ] {
            assert!(!signed(bad), "{bad}");
        }
    }

    #[test]
    fn a_secret_has_a_length_and_is_never_shown() {
        assert!(WebhookSecret::new(b"  0123456789abcde\n").is_none());
        assert!(WebhookSecret::new(&[b'x'; 1_025]).is_none());
        assert_eq!(format!("{:?}", WebhookSecret::new(b"0123456789abcdef\n").unwrap()), "***");
    }
}
