//! The node: its options, what its operations need, and which operations it serves.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use contract::{DataSet, Family, Upholds};
use rpc::{Discovery, Ops};
use runtime::{ListenerLimits, Node, NodeOptions};
use store::StoreUri;

use crate::{
    NewProduct, Stock, data_file,
    home_copy::HomeCopy,
    operations,
    shelf::Shelf,
    store::{ProductStore, SqlCatalogue, StockStore},
    views::Views,
};

/// Options of a catalogue node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What every node has.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where products and stock are kept, the same for all catalogue nodes: sqlite:///path/to/file.db or
    /// postgres://user@host/database.
    #[arg(long, env = "TRESTLE_STORE", value_name = "URI", required_unless_present = "copy_of")]
    pub store: Option<StoreUri>,
    /// Keeps nothing and serves reads from a copy of what these nodes have, the catalogue nodes of the home site:
    /// static://host:port,... or dns://name:port or file:///path.json. Stock is changed there only, and --store and
    /// --products are not looked at.
    #[arg(long, env = "TRESTLE_COPY_OF", value_name = "DISCOVERY_URI")]
    pub copy_of: Option<Discovery>,
    /// Pause between two readings of the copy, in seconds from 1 to 3600. While the home site cannot be reached the last
    /// copy is served, however old it is.
    #[arg(long, env = "TRESTLE_COPY_EVERY_S", default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub copy_every_s: u64,
    /// JSON file of products to put on the shelf instead of the ones built in. Only missing products are added.
    #[arg(long, env = "TRESTLE_PRODUCTS", value_name = "FILE")]
    pub products: Option<PathBuf>,
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) stock: Stock,
    pub(crate) views: Arc<Views>,
}

impl App {
    /// The app over an open store.
    pub fn new<S>(node: &Node, store: S) -> Self
    where
        S: ProductStore + StockStore + Upholds<<Stock as DataSet>::Sharing> + Clone + 'static,
    {
        Self {
            shelf: Arc::new(Shelf::new(Arc::new(store.clone()), node.tasks.clone())),
            stock: Stock::open(store),
            views: Arc::new(Views::new(&node.metrics)),
        }
    }

    /// Opens the store as soon as it is there, puts missing products on the shelf and sets the node ready; or begins to copy
    /// the home site's shelf, and the node is ready when it has it.
    ///
    /// # Errors
    /// When store or data file cannot be used; the message names the setting.
    pub async fn open(node: &Node, options: &Options) -> anyhow::Result<Self> {
        let uri = match (&options.copy_of, &options.store) {
            (Some(home), _) => {
                let copy = HomeCopy::of(node, home.clone())?;
                let every = Duration::from_secs(options.copy_every_s);
                node.tasks.spawn_until_stop(copy.clone().keep_fresh(every, node.readiness.clone()));
                return Ok(Self::new(node, copy));
            }
            (None, Some(uri)) => uri,
            (None, None) => anyhow::bail!("--store: say where products are kept, or --copy-of whom to copy them from"),
        };
        let products = products(options)?;
        let store = store::when_there("--store", async || SqlCatalogue::open(uri).await).await;
        let store = store.map_err(|error| anyhow::anyhow!("--store: {error}"))?;
        let added = store.put_missing(&products).await?;
        tracing::info!(added, known = products.len(), "products are on the shelf");
        node.readiness.set_ready();
        Ok(Self::new(node, store))
    }
}

fn products(options: &Options) -> anyhow::Result<Vec<NewProduct>> {
    let Some(path) = &options.products else {
        return Ok(data_file::embedded()?);
    };
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("--products {shown}: cannot be read: {error}"))?;
    data_file::parse(&text).map_err(|error| anyhow::anyhow!("--products {shown}: {error}"))
}

/// The operations of a catalogue node.
#[must_use]
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::list)
        .serve(operations::categories)
        .serve(operations::products)
        .serve(operations::reserve)
        .serve(operations::release)
        .serve(operations::settle)
        .serve(operations::viewed)
}

/// Runs a catalogue node until SIGTERM or Ctrl-C.
///
/// # Errors
/// When an option cannot be used or an address cannot be had; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("catalogue", Family::Catalogue.callers(), &options.node)?;
    let app = App::open(&node, &options).await?;
    let server = ops(app).build(&node);
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}
