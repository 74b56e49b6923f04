//! One plain function per operation, named as in the contract.

mod add_to_cart;
mod cart;
mod categories;
mod checkout;
mod login;
mod logout;
mod open_session;
mod order;
mod orders;
mod product;
mod products;
mod register;
mod remove_line;
mod session;
mod set_line;
mod viewed;

pub(crate) use add_to_cart::add_to_cart;
pub(crate) use cart::cart;
pub(crate) use categories::categories;
pub(crate) use checkout::checkout;
pub(crate) use login::login;
pub(crate) use logout::logout;
pub(crate) use open_session::open_session;
pub(crate) use order::order;
pub(crate) use orders::orders;
pub(crate) use product::product;
pub(crate) use products::products;
pub(crate) use register::register;
pub(crate) use remove_line::remove_line;
pub(crate) use session::session;
pub(crate) use set_line::set_line;
pub(crate) use viewed::viewed;
