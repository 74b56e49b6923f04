//! The three retry strategies (design step 5) as types, and what each demands of caller and handler.
//!
//! A caller of an [`ExactlyOnce`] operation must supply a [`RequestId`]; its handler is given a [`Once`], which a store's
//! exactly-once write demands. Weakening an operation's strategy therefore breaks the compilation of every caller and of
//! the handler: a promise cannot be dropped by accident. The strategies are sealed: there is no fourth.

use crate::{Fingerprint, RequestId};

mod sealed {
    pub trait Sealed {}
}

/// What a strategy means on both sides of the wire.
pub trait Strategy: sealed::Sealed + Send + Sync + 'static {
    /// The name in metrics and documents.
    const LABEL: &'static str;
    /// Whether a call whose outcome is unknown may be sent again.
    const RESEND_AFTER_UNKNOWN: bool;
    /// What a caller must supply.
    type Key: WireKey;
    /// What a handler is given, and may spend in a store.
    type Permit: Send + 'static;

    /// Issues the handler's permit. Only `rpc::server` may call this (it has checked secret, deadline and key); it is
    /// banned elsewhere by `clippy.toml`, because a forged permit voids the promise.
    fn permit(key: Self::Key, body: &[u8]) -> Self::Permit;
}

/// The key of a call as it travels in the `idempotency-key` header.
pub trait WireKey: Clone + Send + Sync + Sized + 'static {
    /// Whether a call without the header is malformed.
    const REQUIRED: bool;
    /// The header's value, if the strategy has one.
    fn to_wire(&self) -> Option<&str>;
    /// Reads the key back; `None` when a required one is missing or malformed.
    fn from_wire(value: Option<&str>) -> Option<Self>;
}

/// One send, never a second: for what may be lost but must not be waited for.
#[derive(Debug)]
pub enum AtMostOnce {}
/// Resent until acknowledged: for what may be repeated without a ledger.
#[derive(Debug)]
pub enum AtLeastOnce {}
/// Resent until acknowledged, and deduplicated by the owner of the data: for money and scarce goods.
#[derive(Debug)]
pub enum ExactlyOnce {}

/// The key of strategies that need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

/// Handler's permit under [`AtMostOnce`]: this is the only attempt there will ever be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {}

/// Handler's permit under [`AtLeastOnce`]: the same request may come again, also late and out of order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repeatable {}

/// Handler's permit under [`ExactlyOnce`]: the right to one effect under this id with this body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    id: RequestId,
    fingerprint: Fingerprint,
}

impl Once {
    /// The id all repeats share.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// SHA-256 of the request body as sent; the same id with another fingerprint is a caller's bug and is refused.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl WireKey for NoKey {
    const REQUIRED: bool = false;

    fn to_wire(&self) -> Option<&str> {
        None
    }

    fn from_wire(_: Option<&str>) -> Option<Self> {
        Some(Self)
    }
}

impl WireKey for RequestId {
    const REQUIRED: bool = true;

    fn to_wire(&self) -> Option<&str> {
        Some(self.as_str())
    }

    fn from_wire(value: Option<&str>) -> Option<Self> {
        value.and_then(|value| value.parse().ok())
    }
}

impl sealed::Sealed for AtMostOnce {}
impl Strategy for AtMostOnce {
    const LABEL: &'static str = "at-most-once";
    const RESEND_AFTER_UNKNOWN: bool = false;
    type Key = NoKey;
    type Permit = Attempt;

    fn permit(_: NoKey, _: &[u8]) -> Attempt {
        Attempt {}
    }
}

impl sealed::Sealed for AtLeastOnce {}
impl Strategy for AtLeastOnce {
    const LABEL: &'static str = "at-least-once";
    const RESEND_AFTER_UNKNOWN: bool = true;
    type Key = NoKey;
    type Permit = Repeatable;

    fn permit(_: NoKey, _: &[u8]) -> Repeatable {
        Repeatable {}
    }
}

impl sealed::Sealed for ExactlyOnce {}
impl Strategy for ExactlyOnce {
    const LABEL: &'static str = "exactly-once";
    const RESEND_AFTER_UNKNOWN: bool = true;
    type Key = RequestId;
    type Permit = Once;

    fn permit(id: RequestId, body: &[u8]) -> Once {
        Once { id, fingerprint: Fingerprint::of(body) }
    }
}
