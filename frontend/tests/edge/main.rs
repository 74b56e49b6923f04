//! The edge's own rules, against a logic node that answers from a can: what a client sees is tested here, what the shop
//! decides is tested with the shop.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]

mod bad_input;
mod checkout;
mod documents;
mod fake;
mod guards;
mod overload;
mod sessions;
mod webhooks;
