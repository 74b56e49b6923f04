//! The operations of the family: one plain function each, named as in the contract.

mod admit;
mod digest;
mod fetch;
mod login;
mod lookup;
mod merge;
mod open;
mod page;
mod register;
mod revoke;

pub use admit::admit;
pub use digest::digest;
pub use fetch::fetch;
pub use login::login;
pub use lookup::lookup;
pub use merge::merge;
pub use open::open;
pub use page::page;
pub use register::register;
pub use revoke::revoke;
