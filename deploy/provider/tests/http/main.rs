//! The provider as its callers meet it: the real binary on a free port, over real HTTP, with a real ledger file.

mod durability;
mod faults;
mod handling;
mod harness;
mod inputs;
mod keys;
mod promises;
mod receiver;
mod refunds;
mod tokens;
mod webhooks;
