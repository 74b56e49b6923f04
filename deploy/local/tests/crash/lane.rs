//! One running shop in which points are armed one after the other, and what can be seen of it from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use catalogue::store::{SqlCatalogue, StockStore as _};
use orders::store::{OrderStore as _, SqlOrders};
use runtime::crash;
use serde_json::Value;
use tempfile::TempDir;
use testkit::postgres::Postgres;
use tokio::{sync::Mutex, time::Instant};

use crate::{buyer::Buyer, cluster::Shop, points::Point};

/// How long a charge may first be executed in a shop with a short window: the least that can be set.
const SHORT_WINDOW_S: &str = "5";

static TURN: Mutex<()> = Mutex::const_new(());

/// How long after it was opened a checkout may be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Short,
    Long,
}

pub(crate) struct Lane {
    pub(crate) shop: Shop,
    armed: TempDir,
    pub(crate) orders: SqlOrders,
    catalogue: SqlCatalogue,
    buyers: AtomicU32,
}

/// What the shop and the provider have.
pub(crate) struct Seen {
    pub(crate) ledger: Vec<Value>,
    pub(crate) refunds: Vec<Value>,
    pub(crate) receipts: BTreeSet<String>,
    /// Pieces sold, by sku.
    pub(crate) sold: BTreeMap<String, i64>,
    pub(crate) nodes: Vec<Value>,
}

impl Lane {
    pub(crate) async fn start(window: Window, server: Option<&Postgres>) -> Self {
        // One after the other: shops that look for free ports at once would find the same.
        let _turn = TURN.lock().await;
        let armed = tempfile::tempdir().unwrap();
        let database = server.map(Postgres::new_database);
        let shop = Shop::start_with(|up| {
            up.env(crash::DIR_VARIABLE, armed.path());
            if window == Window::Short {
                up.env("TRESTLE_CHARGE_WINDOW_S", SHORT_WINDOW_S);
            }
            if let Some(uri) = &database {
                up.env("TRESTLE_DATABASE", uri);
            }
        })
        .await;
        let uri = |family: &str| {
            let file = format!("sqlite://{}/{family}.db", shop.data().display());
            database.clone().unwrap_or(file)
        };
        let orders = SqlOrders::open(&uri("orders").parse().unwrap()).await.unwrap();
        let catalogue = SqlCatalogue::open(&uri("catalogue").parse().unwrap()).await.unwrap();
        Self { shop, armed, orders, catalogue, buyers: AtomicU32::new(0) }
    }

    pub(crate) fn arm(&self, point: &Point, hit: u32) {
        crash::arm(self.armed.path(), point.name, hit).unwrap();
    }

    /// Waits until a process has died at the point; which, and when.
    pub(crate) async fn death(&self, point: &Point) -> (u32, Instant) {
        let mut dead = None;
        let what = format!("somebody comes to {} and dies", point.name);
        self.shop
            .until(&what, async || {
                dead = crash::take_dead(self.armed.path(), point.name).unwrap();
                dead.is_some()
            })
            .await;
        (dead.unwrap(), Instant::now())
    }

    /// A customer with one piece of what there is most of.
    pub(crate) async fn buyer(&self, payment: &'static str) -> Buyer {
        let number = self.buyers.fetch_add(1, Ordering::Relaxed);
        let levels = self.catalogue.levels().await.unwrap();
        let most = levels.iter().max_by_key(|level| level.available).unwrap();
        let key = format!("purchase-number-{number:06}");
        Buyer::arrive(&self.shop, key, most.sku.as_str().to_owned(), payment).await
    }

    /// Waits until no stock is held and no event waits: everything that was begun is over.
    pub(crate) async fn until_settled(&self) {
        self.shop
            .until("nothing is held and every event is delivered", async || {
                let (figures, levels) = (self.orders.figures().await.unwrap(), self.catalogue.levels().await.unwrap());
                figures.outbox.depth == 0 && levels.iter().all(|level| level.reserved == 0)
            })
            .await;
    }

    pub(crate) async fn until_ready(&self) {
        self.shop.until("all are ready", async || self.shop.nodes().iter().all(|node| node["state"] == "ready")).await;
    }

    pub(crate) async fn look(&self) -> Seen {
        let levels = self.catalogue.levels().await.unwrap();
        for level in &levels {
            assert_eq!(level.available + level.reserved + level.sold, level.stocked, "CO-12: {level:?}");
        }
        let waiting = self.orders.figures().await.unwrap();
        let people = [waiting.checkouts, waiting.events, waiting.mismatches].map(|waiting| waiting.depth);
        assert_eq!(people, [0; 3], "checkouts, events and differences that wait for a person");
        Seen {
            ledger: self.shop.ledger().await,
            refunds: self.refunds().await,
            receipts: self.receipts(),
            sold: levels.into_iter().map(|level| (level.sku.as_str().to_owned(), level.sold)).collect(),
            nodes: self.shop.nodes(),
        }
    }

    async fn refunds(&self) -> Vec<Value> {
        let page = self.shop.get_json(&format!("{}/refunds", self.shop.provider_url())).await;
        page["refunds"].as_array().unwrap().clone()
    }

    fn receipts(&self) -> BTreeSet<String> {
        let Ok(files) = std::fs::read_dir(self.shop.data().join("mailbox")) else { return BTreeSet::new() };
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".eml")).collect()
    }

    pub(crate) fn receipt(&self, name: &str) -> String {
        std::fs::read_to_string(self.shop.data().join("mailbox").join(name)).unwrap()
    }

    /// Switches faults of the provider.
    pub(crate) async fn provider(&self, faults: Value) {
        let url = format!("{}/admin/faults", self.shop.provider_url());
        let answer = self.shop.http.post(url).json(&faults).send().await.unwrap();
        assert!(answer.status().is_success(), "{faults}: {answer:?}");
    }
}
