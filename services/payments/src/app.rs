//! The node: its options, what its operations need, and which operations it serves.

use std::{sync::Arc, time::Duration};

use clap::Args;
use contract::Family;
use reqwest::Url;
use rpc::Ops;
use runtime::{ListenerLimits, Node, NodeOptions, Tasks};
use store::StoreUri;

use crate::{
    Charges,
    gateway::{Gateway, Limits},
    operations,
    provider::{HttpProvider, Provider},
    store::SqlCharges,
    window::Window,
};

/// Options of a payments node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What every node has.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where charges are kept, the same for all payments nodes: sqlite:///path/to/file.db or
    /// postgres://user@host/database.
    #[arg(long, env = "TRESTLE_STORE", value_name = "URI")]
    pub store: StoreUri,
    /// The payment provider.
    #[arg(long, env = "TRESTLE_PROVIDER", value_name = "URL", default_value = "http://127.0.0.1:8099", value_parser = provider_url)]
    pub provider: Url,
    /// Most calls to the provider at once from the whole cluster, 1 to 1000; the same on every payments node. The nodes
    /// lease them from each other, in shares of 5.
    #[arg(long, env = "TRESTLE_PERMITS", value_name = "CALLS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub permits: u16,
    /// How long the provider may take to answer, in milliseconds, 100 to 30000; after that the outcome is unknown, and
    /// the same key is sent again.
    #[arg(long, env = "TRESTLE_PROVIDER_TIMEOUT_MS", value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(100..=30_000))]
    pub provider_timeout_ms: u64,
    /// How long after it was opened a charge may be sent, and sent again, in seconds, 1 to 2592000: later ones are refused. It
    /// must end well before the provider forgets keys.
    #[arg(long, env = "TRESTLE_CHARGE_WINDOW_S", value_name = "SECONDS", default_value_t = 3_600, value_parser = seconds(1))]
    pub charge_window_s: u64,
    /// How long the provider remembers a key, in seconds: what its document promises.
    #[arg(long, env = "TRESTLE_PROVIDER_KEY_RETENTION_S", value_name = "SECONDS", default_value_t = 86_400, value_parser = seconds(1))]
    pub provider_key_retention_s: u64,
    /// The longest that the provider works on a request, whether or not anybody waits, in seconds, 1 to 2592000.
    #[arg(long, env = "TRESTLE_PROVIDER_MAX_HANDLING_S", value_name = "SECONDS", default_value_t = 10, value_parser = seconds(1))]
    pub provider_max_handling_s: u64,
    /// The longest that a node may stand still, paused or swapped out, in seconds.
    #[arg(long, env = "TRESTLE_PAUSE_MAX_S", value_name = "SECONDS", default_value_t = 60, value_parser = seconds(0))]
    pub pause_max_s: u64,
    /// By how much clocks may differ, ours and the provider's, in seconds.
    #[arg(long, env = "TRESTLE_CLOCK_SKEW_MAX_S", value_name = "SECONDS", default_value_t = 600, value_parser = seconds(0))]
    pub clock_skew_max_s: u64,
    /// What is younger than this is left out when the provider's ledger is compared with ours, in seconds, 0 to 2592000: it
    /// may still be on its way.
    #[arg(long, env = "TRESTLE_RECONCILE_GRACE_S", value_name = "SECONDS", default_value_t = 900, value_parser = seconds(0))]
    pub reconcile_grace_s: u64,
}

fn seconds(from: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(from..=2_592_000)
}

impl Options {
    fn limits(&self) -> anyhow::Result<Limits> {
        let limits = Limits {
            permits: self.permits,
            provider_timeout: Duration::from_millis(self.provider_timeout_ms),
            window: Window {
                window_s: self.charge_window_s,
                retention_s: self.provider_key_retention_s,
                handling_s: self.provider_max_handling_s,
                pause_max_s: self.pause_max_s,
                skew_max_s: self.clock_skew_max_s,
            },
            reconcile_grace: Duration::from_secs(self.reconcile_grace_s),
        };
        limits.window.check(limits.provider_timeout).map_err(anyhow::Error::msg)?;
        Ok(limits)
    }
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) tasks: Tasks,
}

impl App {
    /// The app over open charges and a provider.
    #[must_use]
    pub fn new(node: &Node, charges: Charges, provider: Arc<dyn Provider>, limits: Limits) -> Self {
        let gateway = Arc::new(Gateway::new(node, charges, provider, limits));
        Self { gateway, tasks: node.tasks.clone() }
    }

    /// Opens the store, and waits for it if need be. The provider need not be there yet.
    ///
    /// # Errors
    /// When options are unsafe together or the store cannot be used; the message names the setting.
    pub async fn open(node: &Node, options: &Options) -> anyhow::Result<Self> {
        let limits = options.limits()?;
        let store = store::when_there("--store", async || SqlCharges::open(&options.store).await).await;
        let store = store.map_err(|error| anyhow::anyhow!("--store: {error}"))?;
        let provider = Arc::new(HttpProvider::new(&options.provider, node.faults.clone())?);
        Ok(Self::new(node, Charges::open(store), provider, limits))
    }
}

fn provider_url(text: &str) -> Result<Url, String> {
    let wanted = "write http://host:port, for example http://127.0.0.1:8099";
    let url: Url = text.parse().map_err(|error| format!("{error}; {wanted}"))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "http" && url.has_host() && bare { Ok(url) } else { Err(wanted.to_owned()) }
}

/// The operations of a payments node.
#[must_use]
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::outlook)
        .serve(operations::charge)
        .serve(operations::close)
        .serve(operations::attest)
        .serve(operations::refund)
        .serve(operations::observe)
        .serve(operations::inspect)
        .serve(operations::reconcile)
}

/// Runs a payments node until SIGTERM or Ctrl-C.
///
/// # Errors
/// When an option cannot be used or an address cannot be had; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("payments", Family::Payments.callers(), &options.node)?;
    let app = App::open(&node, &options).await?;
    let server = ops(app).build(&node);
    node.readiness.set_ready();
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_bare_http_address() {
        assert_eq!(provider_url("http://127.0.0.1:8099").unwrap().as_str(), "http://127.0.0.1:8099/");
        for bad in ["", "127.0.0.1:8099", "https://provider", "http://provider/v1", "http://provider?x=1", "http://a@b"]
        {
            assert!(provider_url(bad).unwrap_err().contains("http://host:port"), "{bad}");
        }
    }
}
