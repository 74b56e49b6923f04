//! What a request carries through all tiers besides its content: the deadline, the trace and how much it matters.
//! Task-local, so that plain functions need no extra argument and none can forget to pass it on.

use std::{cell::Cell, future::Future, time::Duration};

use overload::Class;
use runtime::Seams;
use tokio::time::Instant;

tokio::task_local! {
    static CURRENT: Scope;
    static SHED: Cell<bool>;
}

/// A call on behalf of the running work was refused for overload, by its callee or before it was made.
pub(crate) fn note_shed() {
    // Work without a caller has nobody to tell.
    let _ = SHED.try_with(|shed| shed.set(true));
}

/// Runs work, and tells whether a call of it was refused for overload: then its failure is no fault of this node.
pub(crate) async fn noting_shed<T>(work: impl Future<Output = T>) -> (T, bool) {
    SHED.scope(Cell::new(false), async {
        let done = work.await;
        (done, SHED.with(Cell::get))
    })
    .await
}

/// The W3C trace context (`traceparent`): which request this work belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 128 bits, the same in all tiers.
    pub trace_id: u128,
    /// 64 bits, of the caller's span.
    pub span_id: u64,
    /// Whether an exporter should keep it.
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace.
    #[must_use]
    pub fn start(seams: &Seams) -> Self {
        let trace_id = (u128::from(seams.u64()) << 64) | u128::from(seams.u64());
        Self { trace_id: trace_id.max(1), span_id: seams.u64().max(1), sampled: true }
    }

    /// Reads the header `00-<32 hex>-<16 hex>-<2 hex>`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 || parts.next().is_some() {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1 })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// Deadline, trace and class of the request being worked on.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// Its trace.
    pub trace: TraceContext,
    /// How much it matters when not all can be served.
    pub class: Class,
}

impl Scope {
    /// A scope that ends after this long.
    #[must_use]
    pub fn new(within: Duration, trace: TraceContext) -> Self {
        Self { deadline: Instant::now() + within, trace, class: Class::default() }
    }

    /// The same in this class.
    #[must_use]
    pub const fn of(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The scope of the running work, if it has one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|scope| *scope).ok()
    }

    /// The same trace with another deadline: for work that outlives its caller (IK-8 before O6).
    #[must_use]
    pub fn detached(self, within: Duration) -> Self {
        Self::new(within, self.trace).of(self.class)
    }

    /// How long is left; zero when it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs work in this scope.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_survives_the_wire_and_nonsense_does_not() {
        let trace = TraceContext::start(&Seams::system());
        assert_eq!(TraceContext::parse(&trace.header()), Some(trace));
        for bad in ["", "00-0-0-01", "00-00000000000000000000000000000000-0000000000000001-01", "zz"] {
            assert_eq!(TraceContext::parse(bad), None, "{bad:?}");
        }
    }
}
