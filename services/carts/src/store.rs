//! What carts are kept in.
//!
//! Every change is named ([`CartChange`]) and not a closure, so that a back end in another process can make it where the
//! cart is, in one atomic step. What a back end must do is written down as [`conformance`].

pub mod conformance;
mod memory;
mod redis;

use std::fmt;

use async_trait::async_trait;
use contract::{
    CartId, DataSet, OpId, ShareSomething, Sku,
    cart::{Cart, OPS_MAX},
    carts::{CartContents, CartRefusal},
};
use store::{Replicated, StoreError};

/// Carts: copies on several nodes, any of which takes changes.
#[derive(Debug)]
pub enum Carts {}

impl DataSet for Carts {
    const NAME: &'static str = "carts";
    type Sharing = ShareSomething;
}

/// One change of one cart. Each names its dot or what it drops, so it may be made twice, late and on several nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartChange {
    /// [`Cart::add`].
    Add {
        /// The request's dot.
        op: OpId,
        /// Which product.
        sku: Sku,
        /// How many more pieces.
        quantity: u32,
    },
    /// [`Cart::set`].
    Set {
        /// The request's dot.
        op: OpId,
        /// Which product.
        sku: Sku,
        /// What the customer saw.
        observed: Vec<OpId>,
        /// How many pieces there shall be.
        quantity: u32,
    },
    /// [`Cart::remove`].
    Remove {
        /// The request's dot.
        op: OpId,
        /// Which product.
        sku: Sku,
        /// What the customer saw.
        observed: Vec<OpId>,
    },
    /// [`Cart::clear`].
    Clear {
        /// The epoch that was bought.
        epoch: u64,
        /// The operations that were bought.
        ops: Vec<OpId>,
        /// The node's time, in Unix milliseconds.
        now_ms: i64,
    },
    /// [`Cart::adopt`].
    Adopt {
        /// The guest's cart.
        guest: Cart,
    },
    /// Notes in a guest's cart which account's cart takes it over.
    AdoptedBy {
        /// The account's cart.
        account: CartId,
    },
}

impl CartChange {
    /// Makes the change.
    ///
    /// # Errors
    /// A [`CartRefusal`]; the cart may then be changed in part and must be thrown away.
    pub fn apply(self, cart: &mut Cart) -> Result<(), CartRefusal> {
        match self {
            Self::Add { op, sku, quantity } => cart.add(op, &sku, quantity),
            Self::Set { op, sku, observed, quantity } => cart.set(op, &sku, &observed, quantity),
            Self::Remove { op, sku, observed } => cart.remove(op, &sku, &observed),
            Self::Clear { epoch, ops, now_ms } => {
                cart.clear(epoch, &ops, now_ms);
                Ok(())
            }
            Self::Adopt { guest } => {
                cart.adopt(&guest);
                if cart.seen.len() > OPS_MAX { Err(CartRefusal::CartFull) } else { Ok(()) }
            }
            Self::AdoptedBy { account } => {
                cart.adopted_by = cart.adopted_by.max(Some(account));
                Ok(())
            }
        }
    }
}

/// Keeps carts. When `change` or `merge` has returned, every later read on any node that answered sees it.
#[async_trait]
pub trait CartStore: fmt::Debug + Send + Sync + 'static {
    /// A cart; one that nobody wrote to is empty.
    async fn cart(&self, cart: CartId) -> Result<Cart, StoreError>;
    /// Makes a change in one atomic step and returns the contents after it. The inner error changed nothing.
    async fn change(&self, cart: CartId, change: CartChange) -> Result<Result<CartContents, CartRefusal>, StoreError>;
    /// Joins carts that another node or site sent.
    async fn merge(&self, entries: Vec<(CartId, Cart)>) -> Result<(), StoreError>;
    /// The next carts, each once, in an order of the store's own; empty at the end.
    async fn page(&self, after: Option<CartId>) -> Result<Vec<(CartId, Cart)>, StoreError>;
    /// The carts in this node's memory, if that is where they are kept: what answers other nodes of the family.
    fn replicated(&self) -> Option<&Replicated<Cart>> {
        None
    }
}
