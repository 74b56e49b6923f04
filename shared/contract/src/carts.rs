//! Operations of the carts family. The request's dot travels as a field, so a repeat counts once without a ledger.

use serde::{Deserialize, Serialize};

use crate::{
    AtLeastOnce, CartId, Family, OpId, Operation, Sharing, Sku,
    cart::{Cart, OPS_PER_EPOCH_MAX},
    replication::{Asker, OtherView, example_asker},
    sessions::Never,
};

/// A cart lives on three nodes, or on all if there are fewer, unless a node is told otherwise.
pub const SHARING: Sharing = Sharing::Something(3);

/// What is in a cart, and under which dots: what a checkout freezes and a change names as observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartContents {
    /// How many checkouts the cart has been through.
    pub epoch: u64,
    /// Products with at least one piece, in order of sku.
    pub lines: Vec<CartLine>,
}

/// One product in a cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartLine {
    /// Which product.
    pub sku: Sku,
    /// Pieces, 1 to [`crate::cart::QUANTITY_MAX`].
    pub quantity: u32,
    /// The live operations behind it.
    pub ops: Vec<OpId>,
}

impl From<&Cart> for CartContents {
    fn from(cart: &Cart) -> Self {
        let lines = cart.contents().map(|(sku, quantity, ops)| CartLine { sku: sku.clone(), quantity, ops }).collect();
        Self { epoch: cart.epoch, lines }
    }
}

/// Why a change was not made; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CartRefusal {
    /// The cart has taken its bound of changes.
    #[error("this cart has taken its {OPS_PER_EPOCH_MAX} changes: check out or start a new one")]
    CartFull,
    /// The same dot came with another content before, and that is in the cart (CART-7). What has left the cart cannot be
    /// compared: then the repeat changes nothing, as any late repeat.
    #[error("this key stands for another change of this cart")]
    KeyReused,
}

/// Shows a cart; one that nobody wrote to is empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// Which cart.
    pub cart: CartId,
}

impl Operation for View {
    const NAME: &'static str = "carts.view";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "a read";
    type Reply = CartContents;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { cart: example_cart() }
    }
}

/// Adds pieces of a product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Add {
    /// Which cart.
    pub cart: CartId,
    /// The request's dot.
    pub op: OpId,
    /// Which product.
    pub sku: Sku,
    /// How many more pieces.
    pub quantity: u32,
}

impl Operation for Add {
    const NAME: &'static str = "carts.add";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "the request id is the dot, so a repeat counts once without a ledger";
    type Reply = CartContents;
    type Refusal = CartRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { cart: example_cart(), op: example_op(), sku: crate::catalogue::example_sku(), quantity: 1 }
    }
}

/// Replaces what the customer saw of a product by an exact quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Set {
    /// Which cart.
    pub cart: CartId,
    /// The request's dot.
    pub op: OpId,
    /// Which product.
    pub sku: Sku,
    /// How many pieces there shall be.
    pub quantity: u32,
    /// The operations the customer saw, fixed before the first send.
    pub observed: Vec<OpId>,
}

impl Operation for Set {
    const NAME: &'static str = "carts.set";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "names what it replaces and its own dot, so a late repeat cannot undo newer changes";
    type Reply = CartContents;
    type Refusal = CartRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let (cart, op) = (example_cart(), example_op());
        Self { cart, op, sku: crate::catalogue::example_sku(), quantity: 2, observed: vec![OpId::new(cart, "seen")] }
    }
}

/// Removes what the customer saw of a product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Remove {
    /// Which cart.
    pub cart: CartId,
    /// The request's dot.
    pub op: OpId,
    /// Which product.
    pub sku: Sku,
    /// The operations the customer saw, fixed before the first send.
    pub observed: Vec<OpId>,
}

impl Operation for Remove {
    const NAME: &'static str = "carts.remove";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "names what it removes and its own dot, so a late repeat cannot undo newer changes";
    type Reply = CartContents;
    type Refusal = CartRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let (cart, op) = (example_cart(), example_op());
        Self { cart, op, sku: crate::catalogue::example_sku(), observed: vec![OpId::new(cart, "seen")] }
    }
}

/// Ends an epoch after a checkout: exactly the bought operations go, every other line stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clear {
    /// Which cart.
    pub cart: CartId,
    /// The epoch that the checkout froze.
    pub epoch: u64,
    /// The operations that were bought.
    pub ops: Vec<OpId>,
}

impl Operation for Clear {
    const NAME: &'static str = "carts.clear";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "names the bought operations, so repeating it, also late, removes nothing else";
    type Reply = CartContents;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { cart: example_cart(), epoch: 0, ops: vec![example_op()] }
    }
}

/// Takes a guest's cart over into an account's cart at login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adopt {
    /// The account's cart.
    pub cart: CartId,
    /// The guest's cart.
    pub guest: CartId,
}

impl Operation for Adopt {
    const NAME: &'static str = "carts.adopt";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "a merge: a repeated login merges once";
    type Reply = CartContents;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { cart: example_cart(), guest: CartId(uuid::Uuid::from_u128(8)) }
    }
}

/// Replication inside the family: merge these carts into yours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Merge {
    /// At most [`MERGE_MAX`] carts.
    pub entries: Vec<(CartId, Cart)>,
}

/// Most carts in one replication message.
pub const MERGE_MAX: usize = 100;

impl Operation for Merge {
    const NAME: &'static str = "carts.merge";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "replication by join: duplicated, reordered or lost messages are harmless";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { entries: vec![(example_cart(), Cart::default())] }
    }
}

/// Replication inside the family: a page of your carts that the asker is to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// Who asks.
    pub asker: Asker,
    /// Only those of these virtual nodes, in rising order; all if empty.
    pub vnodes: Vec<u16>,
    /// The last cart of the page before; none for the first page.
    pub after: Option<CartId>,
}

impl Operation for Page {
    const NAME: &'static str = "carts.page";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str =
        "a read, by a node that refills or found a difference; each cart with when it was last touched";
    type Reply = Vec<(CartId, Cart, i64)>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), vnodes: Vec::new(), after: None }
    }
}

/// Replication inside the family: digests of the carts that you and the asker both are to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    /// Who asks.
    pub asker: Asker,
    /// One digest for each virtual node of these groups; one for each group if empty.
    pub groups: Vec<u8>,
}

impl Operation for Digest {
    const NAME: &'static str = "carts.digest";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "a read, every 2 s between each two nodes: where their carts differ";
    type Reply = Vec<u64>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), groups: vec![0] }
    }
}

/// Replication inside the family: your copy of one cart, for a node that is asked for it and does not hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// Who asks.
    pub asker: Asker,
    /// Which cart.
    pub cart: CartId,
}

impl Operation for Fetch {
    const NAME: &'static str = "carts.fetch";
    const FAMILY: Family = Family::Carts;
    const WHY: &'static str = "a read, by a node that takes a request for a cart that others hold";
    type Reply = Option<Cart>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), cart: example_cart() }
    }
}

fn example_cart() -> CartId {
    CartId(uuid::Uuid::from_u128(1))
}

fn example_op() -> OpId {
    OpId::new(example_cart(), "example-request-id")
}
