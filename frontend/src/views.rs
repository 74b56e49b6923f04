//! What pages look like: the askama templates' data, and nothing that reads or decides. Every value reaches the HTML
//! through askama, which escapes it; no other code here writes HTML.

mod cover;
mod link;
mod plain;
mod shelf;
mod shell;

pub(crate) use cover::cover_svg;
pub(crate) use link::{Browse, cover_link, cover_version};
pub(crate) use plain::{Basket, Checkout, OrderPage, Orders, SignIn, Trouble};
pub(crate) use shelf::{Card, ProductPage, ShelfPage, Stop};
pub(crate) use shell::Shell;
