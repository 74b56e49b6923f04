//! Whether a checkout that begins now can be paid while its customer waits. Asked before its key is used: who is told "not
//! now" then has begun nothing, while a checkout that was begun and finds no permit goes on in the background and leaves
//! its customer without an answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{
    NoKey,
    payments::{Expected, Outlook},
};
use opentelemetry::metrics::Counter;
use rpc::Client;
use runtime::Node;
use tokio::time::Instant;

/// How long an answer is believed. Long enough that a rush of checkouts asks ten times a second instead of each by itself,
/// short enough that the rush cannot outgrow the answer by much.
const BELIEVED: Duration = Duration::from_millis(100);
/// What wait and call may take together: the driver gives the charge up after 4.2 s, and what lies before it (the claim of
/// the key, the reservation) and those who came since the answer take a part of that.
const PAYABLE_WITHIN_MS: u64 = 3_000;
/// Bounds of the advice when to come again.
const RETRY_AFTER_MS: std::ops::RangeInclusive<u32> = 1_000..=10_000;

/// What the payments family last said; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Payability {
    payments: Client,
    last: Arc<Mutex<Option<(Instant, Expected)>>>,
    refused: Counter<u64>,
}

impl Payability {
    pub(crate) fn new(node: &Node, payments: Client) -> Self {
        let refused = node
            .metrics
            .meter()
            .u64_counter("trestle_checkouts_unpayable")
            .with_description("checkouts refused before their key was used, since they could not be paid in time")
            .build();
        Self { payments, last: Arc::default(), refused }
    }

    /// After how many milliseconds to come again, if a checkout that begins now could not be paid in time. When nobody can
    /// tell, it may try.
    pub(crate) async fn refusal(&self) -> Option<u32> {
        let Expected { wait_ms, call_ms } = self.expected().await?;
        let late_ms = wait_ms.saturating_add(call_ms).saturating_sub(PAYABLE_WITHIN_MS);
        // A provider that is slow but free may still be quick this time.
        if wait_ms == 0 || late_ms == 0 {
            return None;
        }
        self.refused.add(1, &[]);
        Some(u32::try_from(late_ms).unwrap_or(u32::MAX).clamp(*RETRY_AFTER_MS.start(), *RETRY_AFTER_MS.end()))
    }

    async fn expected(&self) -> Option<Expected> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, expected)) = last.filter(|(at, _)| at.elapsed() < BELIEVED) {
            return Some(expected);
        }
        let expected = self.payments.call(&Outlook {}, NoKey).await.ok()?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), expected));
        Some(expected)
    }
}
