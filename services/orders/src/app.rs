//! Options, state and operations of an orders node.

use std::sync::Arc;

use clap::Args;
use rpc::Ops;
use runtime::{ListenerLimits, Node, NodeOptions};
use store::StoreUri;

use crate::{
    operations,
    store::{OrderStore, Orders, SqliteOrders},
};

/// Options of an orders node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where orders live: sqlite:///path/to/orders.db, the same file for all orders nodes of a machine.
    #[arg(long, env = "TRESTLE_STORE", value_name = "URI")]
    pub store: StoreUri,
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    /// The rows.
    pub orders: Arc<dyn OrderStore>,
}

/// Every operation of the family.
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::find)
        .serve(operations::open)
        .serve(operations::take)
        .serve(operations::heartbeat)
        .serve(operations::postpone)
        .serve(operations::complete)
        .serve(operations::refuse)
        .serve(operations::due)
        .serve(operations::events)
        .serve(operations::ack)
        .serve(operations::attention)
        .serve(operations::get)
        .serve(operations::list)
}

/// Runs a node until SIGTERM or Ctrl-C.
///
/// # Errors
/// When an option cannot be used or the store cannot be opened; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("orders", &options.node)?;
    let orders = match &options.store {
        StoreUri::Sqlite(path) => Orders::open(SqliteOrders::open(path).await?),
        other => anyhow::bail!("--store {other}: orders must be shared by everything; use sqlite:///path/to/orders.db"),
    };
    let server = ops(App { orders: orders.store() }).build(&node);
    node.readiness.set_ready();
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}
