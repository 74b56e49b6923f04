//! The node: its options, what its operations need, and which operations it serves.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use contract::{DataSet, Upholds};
use rpc::Ops;
use runtime::{ListenerLimits, Node, NodeOptions};
use store::StoreUri;

use crate::{
    NewProduct, Stock, data_file, operations,
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
    #[arg(long, env = "TRESTLE_STORE", value_name = "URI")]
    pub store: StoreUri,
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

    /// Opens the store and puts missing products on the shelf.
    ///
    /// # Errors
    /// When store or data file cannot be used; the message names the setting.
    pub async fn open(node: &Node, options: &Options) -> anyhow::Result<Self> {
        let products = products(options)?;
        let store = SqlCatalogue::open(&options.store).await.map_err(|error| anyhow::anyhow!("--store: {error}"))?;
        let added = store.put_missing(&products).await?;
        tracing::info!(added, known = products.len(), "products are on the shelf");
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
    let node = Node::start("catalogue", &options.node)?;
    let app = App::open(&node, &options).await?;
    let server = ops(app).build(&node);
    node.readiness.set_ready();
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}
