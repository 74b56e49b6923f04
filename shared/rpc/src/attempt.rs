//! One attempt: what is sent, how long it may take, and what its answer, or the lack of one, means.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use contract::{CallError, Operation};

use crate::{
    Endpoint, TransportError,
    client::{HOP_MARGIN, Inner},
    endpoints::PROBE_TIMEOUT,
    scope::Scope,
    wire::{WireRequest, WireResponse},
};

/// With what an attempt is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) key: Option<&'a str>,
    pub(crate) attempt: u32,
    pub(crate) body: &'a Bytes,
}

/// What an attempt tells about the node it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It did its work, after the call had stood this long in its queue.
    Answer(Duration),
    /// It answered that it could not.
    Failure,
    /// It refused for overload.
    Overloaded,
    /// It answered something for which it can do nothing.
    Elsewhere,
    /// It did not answer, though it had time.
    Silence,
    /// It did not answer in the little time that was left.
    Impatience,
    /// Nothing was sent.
    Unsent,
}

/// How one attempt ended, and whether the loop may go on.
#[derive(Debug)]
pub(crate) struct Attempted<R, F> {
    pub(crate) result: Result<R, CallError<F>>,
    pub(crate) retry: bool,
    pub(crate) heard: Heard,
}

impl Inner {
    /// Makes one attempt. A node that is silent is suspect: out of use until a probe says otherwise.
    pub(crate) async fn attempt<O: Operation>(
        &self,
        endpoint: &Arc<Endpoint>,
        means: &Means<'_>,
    ) -> Attempted<O::Reply, O::Refusal> {
        let (address, whole) = (&endpoint.address, Duration::from_millis(O::ATTEMPT_MS));
        let patience = whole.min(means.scope.remaining().saturating_sub(HOP_MARGIN));
        if patience.as_millis() == 0 {
            let result = Err(CallError::NotExecuted("the deadline has passed".to_owned()));
            return Attempted { result, retry: false, heard: Heard::Unsent };
        }
        let request = WireRequest {
            operation: O::NAME,
            secret: self.node.secret.clone(),
            deadline_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            traceparent: means.scope.trace.header(),
            class: means.scope.class,
            key: means.key.map(str::to_owned),
            attempt: means.attempt,
            body: means.body.clone(),
        };
        let error = match tokio::time::timeout(patience, self.transport.send(address, request)).await {
            Ok(Ok(response)) => return interpret::<O>(&response, address),
            // A deadline that was nearly over says nothing about the node. Under load many are, and nodes that are
            // taken out of use for it would leave the load to the others.
            Err(_elapsed) if patience < whole.min(PROBE_TIMEOUT) => {
                let result =
                    Err(CallError::Unknown(format!("{address}: no answer within {} ms", patience.as_millis())));
                return Attempted { result, retry: true, heard: Heard::Impatience };
            }
            Ok(Err(TransportError::NotSent(reason))) => CallError::NotExecuted(format!("{address}: {reason}")),
            Ok(Err(TransportError::Lost(reason))) => CallError::Unknown(format!("{address}: {reason}")),
            Err(_elapsed) => CallError::Unknown(format!("{address}: no answer within {} ms", patience.as_millis())),
        };
        endpoint.suspect();
        Attempted { result: Err(error), retry: true, heard: Heard::Silence }
    }
}

fn interpret<O: Operation>(response: &WireResponse, address: &str) -> Attempted<O::Reply, O::Refusal> {
    let text = || format!("{address}: {}", String::from_utf8_lossy(&response.body[..response.body.len().min(300)]));
    let answer = Heard::Answer(Duration::from_millis(response.queued_ms));
    let (result, heard) = match (response.status, response.outcome.as_deref()) {
        (200, _) => match serde_json::from_slice(&response.body) {
            Ok(reply) => (Ok(reply), answer),
            Err(error) => {
                (Err(CallError::Unknown(format!("{address}: the reply cannot be read: {error}"))), Heard::Failure)
            }
        },
        (_, Some("refused")) => match serde_json::from_slice(&response.body) {
            Ok(refusal) => (Err(CallError::Refused(refusal)), answer),
            Err(error) => {
                (Err(CallError::Unknown(format!("{address}: the refusal cannot be read: {error}"))), Heard::Failure)
            }
        },
        (status, Some("not-executed")) => (Err(CallError::NotExecuted(text())), not_executed(response, status)),
        _ if response.overloaded_below => (Err(CallError::Unknown(text())), Heard::Elsewhere),
        _ => (Err(CallError::Unknown(text())), Heard::Failure),
    };
    Attempted { result, retry: response.retry, heard }
}

fn not_executed(response: &WireResponse, status: u16) -> Heard {
    // One that is starting is not failing, and a request that cannot be read fails everywhere.
    let is_starting = response.retry;
    if response.overloaded {
        Heard::Overloaded
    } else if response.overloaded_below || is_starting || status == 400 {
        Heard::Elsewhere
    } else {
        Heard::Failure
    }
}
