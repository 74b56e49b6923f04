//! How a carts node is put together.

use std::sync::Arc;

use ::store::{RedisMap, Replicated, StoreUri, replicated::SharingOptions};
use clap::Args;
use contract::{
    CallError, CartId, Family,
    cart::Cart,
    carts::{CartContents, CartRefusal},
    sessions::Never,
};
use rpc::{HttpTransport, Ops};
use runtime::{ListenerLimits, Node, NodeOptions, Seams};

use crate::{
    operations,
    store::{CartChange, CartStore},
};

/// Options of a carts node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What every node has.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where carts are kept: memory://, which the nodes of the family share by merge, or a Redis that they share:
    /// redis://:password@host:port/0, redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port;
    /// with ?wait=N&wait_ms=M a write waits for N replicas.
    #[arg(long, env = "TRESTLE_STORE", default_value = "memory://", value_name = "URI")]
    pub store: StoreUri,
    /// How the carts are shared with the other nodes.
    #[command(flatten)]
    pub shared: SharingOptions,
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) store: Arc<dyn CartStore>,
    pub(crate) seams: Seams,
}

impl App {
    /// An application on this store.
    #[must_use]
    pub const fn new(store: Arc<dyn CartStore>, seams: Seams) -> Self {
        Self { store, seams }
    }

    /// What answers other nodes of the family.
    pub(crate) fn replicated<R>(&self) -> Result<&Replicated<Cart>, CallError<R>> {
        let none = || CallError::NotExecuted("the carts of this node are not kept in its memory".to_owned());
        self.store.replicated().ok_or_else(none)
    }

    async fn open(node: &Node, options: &Options, own_address: &str) -> anyhow::Result<Self> {
        match &options.store {
            StoreUri::Memory => {}
            StoreUri::Redis(uri) => {
                let carts = RedisMap::open(node, uri).await;
                let carts = carts.map_err(|error| anyhow::anyhow!("--store {uri}: {error}"))?;
                carts.start(node);
                return Ok(Self::new(Arc::new(carts), node.seams.clone()));
            }
            other => anyhow::bail!(
                "--store {other}: carts merge; use --store memory:// (and --peers), redis://host:port, \
                 redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port"
            ),
        }
        let transport = Arc::new(HttpTransport::new(node, Family::Carts));
        let setup = options.shared.setup(own_address, contract::carts::SHARING)?;
        let carts = Replicated::open_with(node, transport, &setup).await;
        carts.start(node);
        Ok(Self::new(Arc::new(carts), node.seams.clone()))
    }

    /// Makes a change that the domain may refuse.
    pub(crate) async fn change(
        &self,
        cart: CartId,
        change: CartChange,
    ) -> Result<CartContents, CallError<CartRefusal>> {
        self.store.change(cart, change).await?.map_err(CallError::Refused)
    }

    /// Makes a change that the domain never refuses; at the bound it is not executed.
    pub(crate) async fn must_change(&self, cart: CartId, change: CartChange) -> Result<CartContents, CallError<Never>> {
        self.store.change(cart, change).await?.map_err(|refusal| CallError::NotExecuted(refusal.to_string()))
    }
}

/// All operations of the family.
#[must_use]
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::view)
        .serve(operations::add)
        .serve(operations::set)
        .serve(operations::remove)
        .serve(operations::clear)
        .serve(operations::adopt)
        .hold_until_ready()
        .serve(operations::merge)
        .serve(operations::page)
        .serve(operations::digest)
        .serve(operations::fetch)
}

/// Runs a carts node until it is told to end. It waits for its store, listens before it copies its peers' carts and is ready
/// after that.
///
/// # Errors
/// When an option cannot be used or an address cannot be had; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("carts", Family::Carts.callers(), &options.node)?;
    if let StoreUri::Redis(uri) = &options.store {
        // Before it listens, or calls would wait in the kernel's queue.
        let there = RedisMap::<Cart>::until_there(&node, "--store", uri).await;
        there.map_err(|error| anyhow::anyhow!("--store {uri}: {error}"))?;
    }
    let listening = node.listen(&options.node)?;
    let own_address = options.shared.advertise.clone().unwrap_or_else(|| listening.address().to_string());
    let app = App::open(&node, &options, &own_address).await?;
    let server = ops(app).build(&node);
    listening.serve(server.router(), ListenerLimits::INNER).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Secret;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = ["carts", "--secret-file", "secret"].iter().chain(arguments);
        <Cli as clap::Parser>::try_parse_from(all).map(|cli| cli.options)
    }

    #[tokio::test]
    async fn a_store_that_cannot_merge_is_refused_by_name() {
        let node = Node::assemble("carts", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
        let options = options(&["--store", "sqlite:///tmp/carts.db"]).unwrap();
        let error = App::open(&node, &options, "127.0.0.1:1").await.unwrap_err().to_string();
        assert!(error.contains("--store sqlite:///tmp/carts.db") && error.contains("memory://"), "{error}");
        assert!(error.contains("redis+sentinel://"), "{error}");
    }

    #[test]
    fn peers_are_checked_when_options_are_read() {
        assert!(options(&["--peers", "static://127.0.0.1:1,127.0.0.1:2"]).is_ok());
        let error = options(&["--peers", "127.0.0.1:1"]).unwrap_err().to_string();
        assert!(error.contains("--peers") && error.contains("static://"), "{error}");
    }
}
