//! One file per operation, named as in the contract.

mod categories;
mod list;
mod products;
mod release;
mod reserve;
mod settle;
mod viewed;

pub(crate) use categories::categories;
pub(crate) use list::list;
pub(crate) use products::products;
pub(crate) use release::release;
pub(crate) use reserve::reserve;
pub(crate) use settle::settle;
pub(crate) use viewed::viewed;
