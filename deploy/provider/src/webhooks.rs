//! Webhooks: the provider tells the shop about each charge, at least once, in no particular order.
//!
//! `POST` to each URL in turn until one answers 2xx:
//! `{"id":"evt_...","type":"charge.succeeded","created_at_ms":n,"charge":{"id","key","reference","amount"}}` with the
//! header `webhook-signature: sha256=<hex of HMAC-SHA256(secret, body)>`. The id belongs to the event: copies, repeats
//! and the announcement after a restart carry the same one.
//!
//! Retries and their queue are bounded (`queue`), and what is dropped is counted in `GET /stats`. What is waiting is
//! not on the disk. Instead a new start announces the charges of the last `RESEND_MS` again, delivered or not, because
//! the receiver has to bear duplicates anyway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Url, redirect};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::Options;
use crate::book::Entry;
use crate::clock;
use crate::faults::Delivery;
use crate::provider::Provider;
use crate::request::Amount;
use queue::{Event, Next, Queue};

pub(crate) use queue::WebhookCounts;

/// Events being sent at once.
const SENDS_MAX: usize = 16;
/// Longest wait for the answer of one URL.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Charges up to this age are announced again by a new start; longer than any event is retried.
const RESEND_MS: i64 = 5 * 60 * 1_000;
/// Bounds of the secret, in bytes without the white space around it. A shorter one could be guessed.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;

#[derive(Debug, Serialize)]
struct Body<'a> {
    id: String,
    r#type: &'static str,
    created_at_ms: i64,
    charge: BodyCharge<'a>,
}

#[derive(Debug, Serialize)]
struct BodyCharge<'a> {
    id: String,
    key: &'a str,
    reference: &'a str,
    amount: &'a Amount,
}

#[derive(Debug)]
pub(crate) struct Webhooks {
    /// None: no webhook was asked for.
    target: Option<Target>,
    queue: Mutex<Queue>,
    changed: Notify,
}

struct Target {
    urls: Vec<Url>,
    secret: Vec<u8>,
    client: Client,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Target").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Webhooks {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let target = match &options.webhook_secret_file {
            Some(file) if !options.webhook.is_empty() => {
                let content = std::fs::read(file).with_context(|| {
                    format!("cannot read the webhook secret {}: name a file with --webhook-secret-file", file.display())
                })?;
                let secret = content.trim_ascii().to_vec();
                anyhow::ensure!(
                    SECRET_BYTES.contains(&secret.len()),
                    "the webhook secret {} (--webhook-secret-file) has {} bytes but must have {} to {}",
                    file.display(),
                    secret.len(),
                    SECRET_BYTES.start(),
                    SECRET_BYTES.end(),
                );
                Some(Target { urls: options.webhook.clone(), secret, client: client()? })
            }
            _ => None,
        };
        // Any seed will do: the order only has to differ from the order of the charges.
        let queue = Queue::new(options.webhook_queue_max, clock::now_ms().unsigned_abs());
        Ok(Self { target, queue: Mutex::new(queue), changed: Notify::new() })
    }

    /// Puts the event of a charge in the queue.
    pub(crate) fn announce(&self, charge: &Entry, delivery: Delivery) {
        let Some(target) = &self.target else { return };
        let Some(event) = target.event(charge) else { return };
        self.queue().announce(&event, delivery, Instant::now());
        self.changed.notify_one();
    }

    /// Announces the charges of the time before the start, in which an event may have been lost.
    pub(crate) fn announce_again(&self, charges: &[Arc<Entry>]) {
        let since_ms = clock::now_ms().saturating_sub(RESEND_MS);
        for charge in charges.iter().filter(|charge| charge.time_ms >= since_ms) {
            self.announce(charge, Delivery::default());
        }
    }

    pub(crate) fn counts(&self) -> WebhookCounts {
        self.queue().counts()
    }

    pub(crate) fn reset(&self) -> WebhookCounts {
        self.queue().reset()
    }

    /// The switches changed.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in the queue panics half way, so a panicked holder does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// None is unreachable: the body consists of strings and numbers.
    fn event(&self, charge: &Entry) -> Option<Event> {
        let body = serde_json::to_vec(&Body {
            id: format!("evt_{:012}", charge.line),
            r#type: "charge.succeeded",
            created_at_ms: charge.time_ms,
            charge: BodyCharge {
                id: charge.charge_id(),
                key: &charge.key,
                reference: &charge.request.reference,
                amount: &charge.request.amount,
            },
        });
        let body = body.ok()?;
        Some(Event { signature: sign(&self.secret, &body).into(), body: body.into() })
    }

    /// True if one URL took it.
    async fn send(&self, event: &Event) -> bool {
        for url in &self.urls {
            let request = self
                .client
                .post(url.clone())
                .header("content-type", "application/json")
                .header("webhook-signature", &*event.signature)
                .body(event.body.to_vec());
            if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
        }
        false
    }
}

/// Value of the header `webhook-signature`.
fn sign(secret: &[u8], body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC is defined for keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[expect(clippy::disallowed_methods, reason = "the provider shares no code with the shop, so not its client either")]
fn client() -> anyhow::Result<Client> {
    // Like any other sender of webhooks it follows nothing: the operator named the URL.
    let builder = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(ANSWER_MAX);
    builder.build().context("cannot set up the client of webhooks")
}

/// Checks a value of `--webhook`.
pub(crate) fn parse_url(value: &str) -> Result<Url, String> {
    let url = Url::parse(value).map_err(|error| format!("{error}; give a whole URL"))?;
    if url.scheme() != "http" || !url.has_host() {
        return Err("only http:// URLs with a host can be called (no TLS)".to_owned());
    }
    Ok(url)
}

/// Sends what is due until `provider.stop`.
pub(crate) async fn run(provider: Arc<Provider>) {
    let places = Arc::new(Semaphore::new(SENDS_MAX));
    let webhooks = &provider.webhooks;
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            let next = webhooks.queue().next(provider.faults.delivery(), Instant::now());
            match next {
                Next::Send(waiting) => return Some((waiting, place)),
                Next::Due(due) => tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = webhooks.changed.notified() => {}
                },
                Next::Nothing => webhooks.changed.notified().await,
            }
            None
        };
        let next = tokio::select! {
            () = provider.stop.cancelled() => return,
            next = next => next,
        };
        let Some((waiting, place)) = next else { continue };
        let sender = provider.clone();
        provider.tasks.spawn(async move {
            let sent = async {
                match &sender.webhooks.target {
                    Some(target) => target.send(&waiting.event).await,
                    None => false,
                }
            };
            let delivered = tokio::select! {
                delivered = sent => delivered,
                () = sender.abandon.cancelled() => false,
            };
            sender.webhooks.queue().sent(waiting, delivered, Instant::now());
            sender.webhooks.changed.notify_one();
            drop(place);
        });
    }
}

mod queue;

#[cfg(test)]
mod tests {
    use super::{parse_url, sign};

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign(b"Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn urls_without_tls_only() {
        assert_eq!(parse_url("http://127.0.0.1:8080/webhooks/provider").unwrap().path(), "/webhooks/provider");
        for (bad, expected) in [("https://shop/", "no TLS"), ("shop:8080", "only http://"), ("/webhooks", "whole URL")]
        {
            let why = parse_url(bad).unwrap_err();
            assert!(why.contains(expected), "{bad}: {why}");
        }
    }
}
