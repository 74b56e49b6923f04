//! Options, state and operations of a logic node.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use contract::{CallError, CartId, Family, SessionId, session::Session, sessions};
use rpc::{Client, ClientOptions, Discovery, HttpTransport, Ops, Transport};
use runtime::{ListenerLimits, Node, NodeOptions};

use crate::{
    completer,
    driver::Driving,
    mailbox::{Mailbox, Receipts, SmtpUri},
    operations,
    outbox::{self, Cleared},
    outlook::Payability,
    prices::Prices,
    reconciler,
};

/// Options of a logic node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where the sessions nodes are: static://host:port,... or dns://name:port or file:///members.json
    #[arg(long, env = "TRESTLE_SESSIONS", value_name = "URI")]
    pub sessions: Discovery,
    /// Where the carts nodes are.
    #[arg(long, env = "TRESTLE_CARTS", value_name = "URI")]
    pub carts: Discovery,
    /// Where the catalogue nodes are.
    #[arg(long, env = "TRESTLE_CATALOGUE", value_name = "URI")]
    pub catalogue: Discovery,
    /// Where the orders nodes are.
    #[arg(long, env = "TRESTLE_ORDERS", value_name = "URI")]
    pub orders: Discovery,
    /// Where the payments nodes are.
    #[arg(long, env = "TRESTLE_PAYMENTS", value_name = "URI")]
    pub payments: Discovery,
    /// Where stock is kept, if the nodes of --catalogue only have a copy: the catalogue nodes of the home site.
    #[arg(long, env = "TRESTLE_STOCK_AT", value_name = "URI")]
    pub stock: Option<Discovery>,
    /// Where accounts are kept, if the nodes of --sessions have none: the sessions nodes of the home site.
    #[arg(long, env = "TRESTLE_ACCOUNTS_AT", value_name = "URI")]
    pub accounts: Option<Discovery>,
    /// Name of the site that keeps orders, stock and accounts, if this node stands at another one: what customers are told
    /// when it cannot be reached.
    #[arg(long, env = "TRESTLE_HOME_SITE", value_name = "NAME")]
    pub home_site: Option<String>,
    /// Folder that receipts are written to, one file an event; made if it is not there.
    #[arg(long, env = "TRESTLE_MAILBOX", default_value = "mailbox", value_name = "DIR")]
    pub mailbox: PathBuf,
    /// Mail relay that receipts are sent to as well, by plain SMTP: smtp://host:port. It must take 8BITMIME.
    #[arg(long, env = "TRESTLE_SMTP", value_name = "URI")]
    pub smtp: Option<SmtpUri>,
    /// Pause between two comparisons of the provider's ledger with ours, in seconds; differences wait for a person in
    /// `trestle attention`. The first comparison comes within ten minutes of the start, or within this pause if it is shorter.
    #[arg(long, env = "TRESTLE_RECONCILE_EVERY_S", default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub reconcile_every_s: u32,
}

/// What the operations need: the way to each family, and nothing that must not be lost.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) node: Node,
    pub(crate) sessions: Client,
    pub(crate) carts: Client,
    pub(crate) catalogue: Client,
    /// Of the home site; the same as `catalogue` there.
    pub(crate) stock: Client,
    /// The sessions nodes of the home site; the same as `sessions` there.
    pub(crate) accounts: Client,
    /// The home site's name, on nodes of other sites.
    pub(crate) home_site: Option<String>,
    pub(crate) orders: Client,
    pub(crate) payments: Client,
    pub(crate) prices: Prices,
    pub(crate) receipts: Arc<dyn Receipts>,
    pub(crate) cleared: Cleared,
    pub(crate) driving: Driving,
    pub(crate) payability: Payability,
    reconcile_every: Duration,
}

impl App {
    /// Connects to the families, each over the transport that leads to it.
    pub fn new(node: &Node, transport: &impl Fn(Family) -> Arc<dyn Transport>, options: &Options) -> Self {
        let client = |family: Family, discovery: &Discovery| {
            Client::new(node, transport(family), discovery.clone(), ClientOptions::default())
        };
        let sessions = client(Family::Sessions, &options.sessions);
        let catalogue = client(Family::Catalogue, &options.catalogue);
        let payments = client(Family::Payments, &options.payments);
        let elsewhere = |family, at: &Option<Discovery>, here: &Client| {
            at.as_ref().map_or_else(|| here.clone(), |discovery| client(family, discovery))
        };
        let stock = elsewhere(Family::Catalogue, &options.stock, &catalogue);
        Self {
            node: node.clone(),
            accounts: elsewhere(Family::Sessions, &options.accounts, &sessions),
            home_site: options.home_site.clone(),
            sessions,
            carts: client(Family::Carts, &options.carts),
            prices: Prices::new(catalogue.clone(), stock.clone()),
            catalogue,
            stock,
            orders: client(Family::Orders, &options.orders),
            payability: Payability::new(node, payments.clone()),
            payments,
            receipts: Arc::new(Mailbox::new(options.mailbox.clone(), options.smtp.as_ref())),
            cleared: Cleared::default(),
            driving: Driving::default(),
            reconcile_every: Duration::from_secs(options.reconcile_every_s.into()),
        }
    }

    /// The same with another place for receipts.
    #[must_use]
    pub fn with_receipts(self, receipts: Arc<dyn Receipts>) -> Self {
        Self { receipts, ..self }
    }

    /// Starts what a logic node does without being asked: finishing checkouts, delivering events, comparing ledgers.
    pub fn start_background(&self) {
        self.node.tasks.spawn_until_stop(completer::run(self.clone()));
        self.node.tasks.spawn_until_stop(outbox::run(self.clone()));
        self.node.tasks.spawn_until_stop(reconciler::run(self.clone(), self.reconcile_every));
    }

    /// Who this session belongs to.
    pub(crate) async fn authenticate(&self, session: SessionId) -> Result<Session, CallError<sessions::NoSession>> {
        self.sessions.call(&sessions::Lookup { session }, contract::NoKey).await
    }
}

/// The cart of whoever is behind a session: one for each principal, for ever.
pub(crate) fn cart_of(session: &Session) -> CartId {
    CartId(session.principal.0)
}

/// Every operation of the family.
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::products)
        .serve(operations::categories)
        .serve(operations::product)
        .serve(operations::viewed)
        .serve(operations::register)
        .serve(operations::login)
        .serve(operations::open_session)
        .serve(operations::session)
        .serve(operations::logout)
        .serve(operations::cart)
        .serve(operations::add_to_cart)
        .serve(operations::set_line)
        .serve(operations::remove_line)
        .serve(operations::checkout)
        .serve(operations::orders)
        .serve(operations::order)
        .serve(operations::attention)
        .serve(operations::inspect)
        .serve(operations::resolve)
        .serve(operations::reconcile)
        .serve(operations::provider_event)
}

/// Runs a node until SIGTERM or Ctrl-C.
///
/// # Errors
/// When an option cannot be used; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("logic", Family::Logic.callers(), &options.node)?;
    let transport = |family| Arc::new(HttpTransport::new(&node, family)) as Arc<dyn Transport>;
    let app = App::new(&node, &transport, &options);
    app.start_background();
    let server = ops(app).build(&node);
    node.readiness.set_ready();
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}
