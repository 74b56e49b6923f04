//! Operations of the logic family: what a frontend asks of the shop. Each names the session; logic finds out who it is.
//!
//! By what a customer does: `browse`, `session`, `cart`, `checkout` (with the orders it makes); and `attention`, by what
//! operators do.

use crate::RequestId;

mod attention;
mod browse;
mod cart;
mod checkout;
mod session;

pub use attention::{Attention, Decision, Inspect, Inspected, ProviderEvent, Reconcile, Resolve, ResolveRefusal};
pub use browse::{Categories, Products, ShowProduct, Viewed};
pub use cart::{AddToCart, CartView, ChangeRefusal, RemoveLine, SetLine, ShowCart};
pub use checkout::{Checkout, CheckoutRefusal, CheckoutReply, Orders, ShowOrder, ShowOrderRefusal};
pub use session::{Login, Logout, OpenSession, Register, WhoAmI};

#[expect(clippy::expect_used, reason = "the literal is a request id by the rule in ids.rs")]
pub(crate) fn example_request() -> RequestId {
    "example-request-id".parse().expect("a literal request id")
}
