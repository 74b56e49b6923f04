//! What travels between tiers: `POST /op/<name>`, a JSON body, and the headers named here.

use bytes::Bytes;
use overload::Class;

/// Milliseconds the caller will still wait; not a time of day, since clocks differ.
pub(crate) const DEADLINE: &str = "x-deadline-ms";
/// W3C trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// How much the request matters: `emergency`, `critical`, `normal` or `sheddable`.
pub(crate) const CLASS: &str = "x-class";
/// The key of an exactly-once call.
pub(crate) const KEY: &str = "idempotency-key";
/// Which attempt this is, from 1; for the callee's metrics.
pub(crate) const ATTEMPT: &str = "x-attempt";
/// In answers: `refused`, `not-executed` or `unknown`.
pub(crate) const OUTCOME: &str = "x-outcome";
/// In answers: `no` when the failure lies deeper, where it has been retried already (O8: one layer retries).
pub(crate) const RETRY: &str = "x-retry";
/// In answers: how many milliseconds the call stood in the callee's queue; left out when it is none.
pub(crate) const QUEUED: &str = "x-queue-ms";
/// In answers that are none: refused because of load, by the callee itself (`1`) or by a node further in ([`BELOW`]).
pub(crate) const OVERLOAD: &str = "x-overload";
/// The value of [`OVERLOAD`] that says so.
pub(crate) const BELOW: &str = "below";

/// Largest body of a call in bytes; a replication page is the largest there is.
pub(crate) const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One call as a transport carries it.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The operation's name.
    pub operation: &'static str,
    /// The cluster's secret.
    pub secret: runtime::Secret,
    /// Milliseconds left.
    pub deadline_ms: u64,
    /// W3C trace context.
    pub traceparent: String,
    /// How much it matters.
    pub class: Class,
    /// The key, under strategies that have one.
    pub key: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// The request as JSON.
    pub body: Bytes,
}

/// One answer as a transport carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireResponse {
    /// HTTP status.
    pub status: u16,
    /// The `x-outcome` header.
    pub outcome: Option<String>,
    /// False when the `x-retry` header says `no`.
    pub retry: bool,
    /// How long the call stood in the callee's queue, in milliseconds.
    pub queued_ms: u64,
    /// The callee refused it for overload: nothing was done, and it says nothing bad about the callee.
    pub overloaded: bool,
    /// It failed because a node further in refused its part for overload.
    pub overloaded_below: bool,
    /// Reply, refusal, or the reason as text.
    pub body: Bytes,
}
