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

/// In answers: milliseconds that the call stood in the callee's queue; left out when 0.
pub(crate) const QUEUED: &str = "x-queue-ms";
/// In answers: the call was refused for overload.
pub(crate) const OVERLOAD: &str = "x-overload";

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResponse {
    /// HTTP status.
    pub status: u16,
    /// The `x-outcome` header.
    pub outcome: Option<String>,
    /// False when the `x-retry` header says `no`.
    pub retry: bool,
    /// The `x-queue-ms` header: how long the call stood in the callee's queue.
    pub queued_ms: u64,
    /// Whether there is an `x-overload` header: the callee has more to do than it can.
    pub overloaded: bool,
    /// Reply, refusal, or the reason as text.
    pub body: Bytes,
}
