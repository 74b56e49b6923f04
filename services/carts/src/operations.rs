//! The operations of the family: one plain function each, named as in the contract.

mod add;
mod adopt;
mod clear;
mod digest;
mod fetch;
mod merge;
mod page;
mod remove;
mod set;
mod view;

pub use add::add;
pub use adopt::adopt;
pub use clear::clear;
pub use digest::digest;
pub use fetch::fetch;
pub use merge::merge;
pub use page::page;
pub use remove::remove;
pub use set::set;
pub use view::view;

use contract::{CallError, cart::QUANTITY_MAX};

/// The edge checks quantities; a caller that does not is stopped here, before anything changed.
fn checked_quantity<R>(quantity: u32) -> Result<u32, CallError<R>> {
    if quantity <= QUANTITY_MAX {
        Ok(quantity)
    } else {
        Err(CallError::NotExecuted(format!("quantity {quantity} is over {QUANTITY_MAX}")))
    }
}
