//! The logic node: business rules and no data. Any node can answer any call and continue any checkout, because
//! everything that must be remembered is in the rows of the services. Open `operations/checkout.rs` first.

mod app;
mod completer;
mod driver;
mod mailbox;
mod operations;
mod outbox;
mod outlook;
mod prices;
mod proof;
mod reconciler;
mod sites;

pub use app::{App, Options, ops, run};
pub use mailbox::{Receipts, SmtpUri, SmtpUriError};
