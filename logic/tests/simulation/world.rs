//! Eleven processes and what outlives them: the data of the stores, the provider, the network between them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use catalogue::{
    NewProduct,
    store::{ProductStore as _, SimulatedCatalogue},
};
use clap::Parser as _;
use contract::{
    EventId, NoKey, OperationId, Outcome, PrincipalId, Repeatable, SessionId, Sku, cart::Cart, orders::Order,
    session::Session, sessions::Lookup, shop::ProviderEvent,
};
use orders::store::{Orders, Periods, SimulatedOrders};
use payments::store::SimulatedCharges;
use rpc::{Client, ClientOptions, OpServer, Ops};
use runtime::{Node, Seams, Secret};
use store::{
    Replicated,
    simulated::{Fault, Hook},
};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    chance::Chance,
    counts::Counts,
    network::{Network, Process},
    provider::{Contract, Entry, Line, Sandbox},
    run::{Emphasis, products},
};

/// Everything that can die. Sessions are the customers' and do not.
pub(crate) const PROCESSES: &[&str] = &[
    "logic:1",
    "logic:2",
    "carts:1",
    "carts:2",
    "catalogue:1",
    "catalogue:2",
    "orders:1",
    "orders:2",
    "payments:1",
    "payments:2",
];
/// Most calls to the provider at once: few, so that they are fought for, and a share for each node.
pub(crate) const PERMITS: u64 = 10;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    options: logic::Options,
}

/// One run's world.
pub(crate) struct World {
    pub(crate) chance: Arc<Chance>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) network: Arc<Network>,
    pub(crate) provider: Arc<Sandbox>,
    pub(crate) orders: SimulatedOrders,
    pub(crate) catalogue: SimulatedCatalogue,
    charges: SimulatedCharges,
    /// In thousandths of all calls to a store.
    pub(crate) store_trouble: Arc<AtomicU64>,
    pub(crate) products: Vec<Sku>,
    /// The way in, as a frontend has it.
    pub(crate) shop: Client,
    /// Receipts by event: whose order, and how often it was sent.
    pub(crate) receipts: Sent,
    sessions: Sessions,
    nodes: Mutex<BTreeMap<&'static str, Node>>,
    carts: Mutex<BTreeMap<String, Replicated<Cart>>>,
}

/// What was sent.
pub(crate) type Sent = Arc<Mutex<BTreeMap<EventId, (OperationId, u32)>>>;

/// Where one logic process sends receipts.
#[derive(Debug)]
struct Desk {
    sent: Sent,
    process: Arc<Process>,
}

#[async_trait]
impl logic::Receipts for Desk {
    async fn send(&self, id: EventId, _: PrincipalId, order: &Order) -> std::io::Result<()> {
        self.process.gate().await;
        self.sent.lock().unwrap().entry(id).or_insert((order.id, 0)).1 += 1;
        Ok(())
    }
}

/// Who is who.
#[derive(Clone, Debug, Default)]
struct Sessions(Arc<Mutex<BTreeMap<SessionId, PrincipalId>>>);

async fn lookup(sessions: Sessions, request: Lookup, _: Repeatable) -> Outcome<Lookup> {
    let principal = sessions.0.lock().unwrap()[&request.session];
    Ok(Session { principal, account: None, expires_at_ms: i64::MAX, revoked: false })
}

impl World {
    pub(crate) async fn new(seed: u64, emphasis: Emphasis, counts: Arc<Counts>) -> Self {
        let chance = Chance::new(seed);
        let network = Network::new(chance.clone(), counts.clone());
        let (events, announced) = mpsc::unbounded_channel();
        let contract = Contract::of(&chance, emphasis);
        chance.note(&format!("{contract:?}"));
        let provider = Sandbox::new(chance.clone(), counts.clone(), contract, events);
        let calm = store::simulated::no_faults();
        let orders = SimulatedOrders::new(chance.database(), calm.clone());
        let charge_window_ms = contract.window_s as i64 * 1_000;
        let orders = orders.with_periods(Periods { charge_window_ms, ..Periods::default() });
        let catalogue = SimulatedCatalogue::new(calm.clone());
        let new = products().into_iter().map(|(sku, stock)| new_product(sku, stock)).collect::<Vec<_>>();
        catalogue.put_missing(&new).await.unwrap();
        let charges = SimulatedCharges::new(chance.database());
        let (door, edge) = (Process::new("frontend:1"), node("frontend", "1", chance.seams(0)));
        let discovery = "static://logic:1,logic:2".parse().unwrap();
        let shop = Client::new(&edge, network.from(&door), discovery, ClientOptions::default());
        let world = Self {
            receipts: Sent::default(),
            sessions: Sessions::default(),
            nodes: Mutex::default(),
            carts: Mutex::default(),
            products: new.into_iter().map(|product| product.sku).collect(),
            store_trouble: Arc::default(),
            chance,
            counts,
            network,
            provider,
            orders,
            catalogue,
            charges,
            shop,
        };
        world.start_sessions();
        for address in PROCESSES {
            world.start(address).await;
        }
        world.announce(announced);
        // Until everybody has been probed once.
        sleep(Duration::from_secs(1)).await;
        world
    }

    /// Starts the next life of a process.
    pub(crate) async fn start(&self, address: &'static str) {
        let (family, number) = address.split_once(':').unwrap();
        let skew_ms = i64::try_from(self.chance.below(1_200_000)).unwrap() - 600_000;
        let process = Process::new(address);
        let node = node(family.to_owned().leak(), number, self.chance.seams(skew_ms));
        let server = match family {
            "logic" => self.logic(&node, &process),
            "carts" => self.carts(&node, &process, address).await,
            "catalogue" => {
                let store = self.catalogue.with_hook(self.hook(&process));
                catalogue::ops(catalogue::App::new(&node, store)).build(&node)
            }
            "orders" => {
                let orders = Orders::open(self.orders.with_hook(self.hook(&process))).store();
                orders::ops(orders::App { orders }).build(&node)
            }
            _ => self.payments(&node, &process),
        };
        self.network.add(&process, server);
        if family != "carts" {
            node.readiness.set_ready();
        }
        self.nodes.lock().unwrap().insert(address, node);
    }

    pub(crate) fn kill(&self, address: &str) {
        self.network.process(address).unwrap().die();
        self.nodes.lock().unwrap()[address].tasks.stop();
    }

    pub(crate) fn pause(&self, address: &str, yes: bool) {
        self.network.process(address).unwrap().pause(yes);
    }

    /// Carts live in the memory of two nodes: one may die while the other has everything, which one that did not answer in
    /// time may not have for a moment (docs/exactly-once.md). The rest may always die.
    pub(crate) fn is_safe_to_kill(&self, address: &str) -> bool {
        let Some(other) =
            address.strip_prefix("carts:").map(|number| if number == "1" { "carts:2" } else { "carts:1" })
        else {
            return true;
        };
        let carts = self.carts.lock().unwrap();
        let owes = carts[address].outstanding().iter().any(|(_, keys)| *keys > 0) || carts[other].missed() > 0;
        let alive = !owes && self.network.process(other).is_some_and(|process| !process.is_dead());
        alive && self.nodes.lock().unwrap()[other].readiness.is_ready()
    }

    /// Starts what is dead: the nemesis may have been stopped between a death and its restart.
    pub(crate) async fn revive(&self) {
        for address in PROCESSES {
            if self.network.process(address).unwrap().is_dead() {
                self.start(address).await;
            }
        }
    }

    pub(crate) fn principal(&self, name: &str) -> PrincipalId {
        let principal = PrincipalId(self.chance.uuid());
        self.sessions.0.lock().unwrap().insert(SessionId::of_token(name), principal);
        principal
    }

    pub(crate) fn count_attempts(&self) {
        self.counts.attempts.fetch_add(self.network.attempts(), Ordering::Relaxed);
    }

    fn start_sessions(&self) {
        let (process, node) = (Process::new("sessions:1"), node("sessions", "1", self.chance.seams(0)));
        let server = Ops::new(self.sessions.clone()).serve(lookup).build(&node);
        node.readiness.set_ready();
        self.network.add(&process, server);
    }

    fn logic(&self, node: &Node, process: &Arc<Process>) -> OpServer {
        let options = Cli::parse_from([
            "logic",
            "--secret-file=unused",
            "--sessions=static://sessions:1",
            "--carts=static://carts:1,carts:2",
            "--catalogue=static://catalogue:1,catalogue:2",
            "--orders=static://orders:1,orders:2",
            "--payments=static://payments:1,payments:2",
        ]);
        let desk = Desk { sent: self.receipts.clone(), process: process.clone() };
        let app =
            logic::App::new(node, &|_| self.network.from(process), &options.options).with_receipts(Arc::new(desk));
        app.start_background();
        logic::ops(app).build(node)
    }

    async fn carts(&self, node: &Node, process: &Arc<Process>, address: &str) -> OpServer {
        let peers = Some("static://carts:1,carts:2".parse().unwrap());
        let carts = Replicated::<Cart>::open(node, self.network.from(process), peers, address, 1_000).await;
        let server = carts::ops(carts::App::new(Arc::new(carts.clone()), node.seams.clone())).build(node);
        carts.start(node);
        self.carts.lock().unwrap().insert(address.to_owned(), carts);
        server
    }

    fn payments(&self, node: &Node, process: &Arc<Process>) -> OpServer {
        let charges = payments::Charges::open(self.charges.with_hook(self.hook(process)));
        let line = Arc::new(Line { sandbox: self.provider.clone(), process: process.clone() });
        let window = payments::Window { window_s: self.provider.contract.window_s, ..payments::Window::default() };
        let limits = payments::Limits { permits: PERMITS as u16, window, ..payments::Limits::default() };
        payments::ops(payments::App::new(node, charges, line, limits)).build(node)
    }

    /// Fails every call of a process that is dead, and some of the living ones'.
    fn hook(&self, process: &Arc<Process>) -> Hook {
        let (process, chance, counts) = (process.clone(), self.chance.clone(), self.counts.clone());
        let trouble = self.store_trouble.clone();
        Arc::new(move |_method| {
            if process.is_dead() {
                return Fault::NotExecuted;
            }
            if !chance.permille(trouble.load(Ordering::Relaxed)) {
                return Fault::None;
            }
            let fault = *chance.pick(&[Fault::NotExecuted, Fault::UnknownApplied, Fault::UnknownNotApplied]);
            Counts::add(if fault == Fault::NotExecuted { &counts.store_not_executed } else { &counts.store_unknown });
            fault
        })
    }

    /// The provider's events: some are never sent, some twice, all of them late and in any order (CO-18).
    #[expect(clippy::disallowed_methods, reason = "the provider is no node of ours")]
    fn announce(&self, mut announced: mpsc::UnboundedReceiver<Entry>) {
        let (shop, chance, counts) = (self.shop.clone(), self.chance.clone(), self.counts.clone());
        tokio::spawn(async move {
            while let Some(entry) = announced.recv().await {
                for _ in 0..chance.below(3) {
                    let (shop, entry, counts) = (shop.clone(), entry.clone(), counts.clone());
                    let after = Duration::from_millis(chance.between(1, 20_000));
                    tokio::spawn(async move {
                        sleep(after).await;
                        let Ok(operation) = entry.reference.parse() else { return };
                        let event = ProviderEvent { operation, provider_id: entry.id, amount: entry.amount };
                        if shop.call(&event, NoKey).await.is_ok() {
                            Counts::add(&counts.webhooks);
                        }
                    });
                }
            }
        });
    }
}

fn node(family: &'static str, id: &str, seams: Seams) -> Node {
    Node::assemble(family, id, seams, Secret::new("0123456789abcdef").unwrap()).unwrap()
}

fn new_product(sku: Sku, stock: u32) -> NewProduct {
    NewProduct {
        title: sku.as_str().to_owned(),
        creator: "X".to_owned(),
        category: "All".to_owned(),
        description: "D.".to_owned(),
        year: 2_000,
        price_minor: 1_000,
        stock: stock.into(),
        sku,
    }
}
