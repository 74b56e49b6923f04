//! Claiming a key: of any number of first requests exactly one wins.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answer, Driver, OpenCheckout, OrderLine, OrderState, Snapshot, example_driver};
use crate::{
    AtLeastOnce, CartId, ExactlyOnce, Family, Fingerprint, Money, OpId, Operation, OperationId, PrincipalId, RequestId,
    catalogue::example_operation, payments::PaymentToken,
};

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Nothing yet.
    Nothing,
    /// A checkout that is not over.
    Open {
        /// Its id.
        operation: OperationId,
    },
    /// A checkout with this answer.
    Ended(Answer),
    /// A checkout that ended so long ago that its answer is kept no more (IK-12). Never run again.
    Expired {
        /// Its id.
        operation: OperationId,
        /// Where it stands.
        state: OrderState,
    },
}

/// The key stands for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyReused {
    /// Same principal and key, other fingerprint.
    KeyReused,
}

/// Looks a key up, before cart or prices are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Find {
    /// Whose key.
    pub principal: PrincipalId,
    /// The client's key.
    pub key: RequestId,
    /// Of the public request.
    pub fingerprint: Fingerprint,
}

impl Operation for Find {
    const NAME: &'static str = "orders.find";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = Found;
    type Refusal = KeyReused;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            principal: PrincipalId(Uuid::from_u128(7)),
            key: crate::shop::example_request(),
            fingerprint: Fingerprint::of(b"example"),
        }
    }
}

/// Claims a key and its cart operations and freezes the snapshot. Only the winning claim's proposal is used.
///
/// The ledger row is the operation row itself, unique by (principal, key). The permit's body fingerprint is not what
/// identifies the request here, since two logic nodes may propose different snapshots for one public request; the field
/// `fingerprint` is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Whose key; the key itself is the request id.
    pub principal: PrincipalId,
    /// Of the public request.
    pub fingerprint: Fingerprint,
    /// The id, should this claim win (UUIDv7).
    pub operation: OperationId,
    /// The proposal.
    pub snapshot: Snapshot,
    /// How it is paid.
    pub payment: PaymentToken,
    /// Who drives it, should this claim win.
    pub driver: Driver,
}

/// What claiming came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// This claim won, now or when it was first sent: drive it.
    Claimed(OpenCheckout),
    /// Another claim won: see what it stands for.
    Existing(Found),
}

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenRefusal {
    /// Same principal and key, other fingerprint.
    KeyReused,
    /// Another checkout has claimed some of these cart operations.
    CartClaimed {
        /// That checkout.
        order: OperationId,
    },
}

impl Operation for Open {
    const NAME: &'static str = "orders.open";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "claims the key: of any number of first requests exactly one wins";
    type Reply = Opened;
    type Refusal = OpenRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self {
            principal: PrincipalId(Uuid::from_u128(7)),
            fingerprint: Fingerprint::of(b"example"),
            operation: example_operation(),
            snapshot: example_snapshot(),
            payment: PaymentToken("tok_ok".to_owned()),
            driver: example_driver(),
        }
    }
}

fn example_snapshot() -> Snapshot {
    let cart = CartId(Uuid::from_u128(1));
    let line = OrderLine {
        sku: crate::catalogue::example_sku(),
        title: "Pride and Prejudice".to_owned(),
        quantity: 1,
        unit_price: Money::gbp(1299),
        line_total: Money::gbp(1299),
    };
    Snapshot {
        lines: vec![line],
        total: Money::gbp(1299),
        address: None,
        cart,
        epoch: 0,
        ops: vec![OpId::new(cart, "example-request-id")],
    }
}
