//! Calls between tiers. `client.rs` holds the only resend loop in the repository, `server.rs` the only place that issues
//! permits; both are derived from the operation's type and nothing else.
#![warn(missing_docs)]

mod attempt;
mod budget;
mod client;
mod connector;
mod discovery;
mod endpoints;
mod instruments;
mod scope;
mod server;
mod transport;
mod usual;
mod wire;

pub use budget::RetryBudget;
pub use client::{Client, ClientOptions};
pub use discovery::{Discovery, DiscoveryError};
pub use endpoints::{DRAIN_SEEN_WITHIN, Endpoint};
pub use scope::{Scope, TraceContext};
pub use server::{OpServer, Ops};
pub use transport::{HttpTransport, InProcess, Transport, TransportError, http_client};
pub use wire::{WireRequest, WireResponse};
