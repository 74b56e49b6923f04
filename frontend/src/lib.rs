//! Tier 1, the frontend: public API, storefront, and the rules of the edge. Everything a client can get wrong is refused
//! here with a problem document; everything the shop decides is asked of logic. To read: `app` (the layers), `api` (one
//! file per resource), `problem` (every way to say no), `identity`, `key`, `body`.

mod api;
mod app;
mod body;
mod identity;
mod key;
mod observe;
mod pages;
mod params;
mod problem;
mod regulation;
mod security;
mod slow;
mod views;
mod webhooks;

pub use app::{App, Options, router, run, service};
pub use webhooks::WebhookSecret;
