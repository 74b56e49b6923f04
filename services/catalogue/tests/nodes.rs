//! Two catalogue nodes on one file, called as logic nodes call them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on may panic, also in its helpers")]

use std::{path::Path, sync::Arc, time::Duration};

use catalogue::{
    App, ops,
    store::{ProductStore as _, SqlCatalogue, StockStore as _},
};
use contract::{
    CallError, NoKey, OperationId, RequestId, Sku,
    catalogue::{Categories, List, ListRefusal, Pieces, Products, Release, Reserve, ReserveRefusal, Viewed},
};
use rpc::{Client, ClientOptions, InProcess};
use runtime::{Node, Seams, Secret};
use store::StoreUri;
use uuid::Uuid;

struct Shop {
    _folder: tempfile::TempDir,
    store: SqlCatalogue,
    nodes: Vec<Node>,
    client: Client,
}

impl Shop {
    /// Two nodes that start at once on an empty file, each with the built-in products.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalogue.db");
        let transport = InProcess::default();
        let (one, two) = tokio::join!(start_node("catalogue-1", &path), start_node("catalogue-2", &path));
        let mut nodes = Vec::new();
        for (address, (node, app)) in [("a:1", one), ("b:2", two)] {
            transport.add(address, ops(app).build(&node));
            node.readiness.set_ready();
            nodes.push(node);
        }
        let discovery = "static://a:1,b:2".parse().unwrap();
        let options = ClientOptions { deadline_default: Duration::from_secs(30), ..ClientOptions::default() };
        let client = Client::new(&nodes[0], Arc::new(transport), discovery, options);
        let store = SqlCatalogue::open(&StoreUri::Sqlite(path.clone())).await.unwrap();
        Self { _folder: folder, store, nodes, client }
    }

    async fn reserve(&self, n: u128, sku: &str, quantity: u32) -> Result<(), CallError<ReserveRefusal>> {
        let operation = OperationId(Uuid::from_u128(n));
        let lines = vec![Pieces { sku: sku.parse().unwrap(), quantity }];
        self.client.call(&Reserve { operation, lines }, RequestId::from(operation)).await
    }

    async fn available(&self, sku: &str) -> i64 {
        let levels = self.store.levels().await.unwrap();
        for level in &levels {
            assert_eq!(level.available + level.reserved + level.sold, level.stocked, "CO-12: {level:?}");
        }
        levels.iter().find(|level| level.sku.as_str() == sku).unwrap().available
    }

    fn list(&self, query: &str, category: Option<&str>, after: Option<String>, limit: u32) -> List {
        List { query: query.to_owned(), category: category.map(str::to_owned), after, limit }
    }
}

async fn start_node(id: &str, path: &Path) -> (Node, App) {
    let node = Node::assemble("catalogue", id, Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
    let store = SqlCatalogue::open(&StoreUri::Sqlite(path.into())).await.unwrap();
    store.put_missing(&catalogue::embedded().unwrap()).await.unwrap();
    let app = App::new(&node, store);
    (node, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_shelf_is_listed_page_by_page_in_the_files_order() {
    let shop = Shop::start().await;
    let file = catalogue::embedded().unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = shop.client.call(&shop.list("", None, after, 100), NoKey).await.unwrap();
        seen.extend(page.items.into_iter().map(|product| product.sku));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, file.iter().map(|product| product.sku.clone()).collect::<Vec<Sku>>());
    let counted = shop.client.call(&Categories {}, NoKey).await.unwrap();
    assert_eq!(counted.iter().map(|(_, count)| *count as usize).sum::<usize>(), file.len());
    let austen = shop.client.call(&shop.list("AUSTEN pride", None, None, 20), NoKey).await.unwrap();
    assert_eq!(austen.items.len(), 1);
    let bad = shop.client.call(&shop.list("", None, Some("x".to_owned()), 20), NoKey).await;
    assert_eq!(bad, Err(CallError::Refused(ListRefusal::BadCursor)));
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_answered_in_the_order_asked_and_unknown_ones_left_out() {
    let shop = Shop::start().await;
    let skus: Vec<Sku> =
        ["frankenstein", "no-such-book", "pride-and-prejudice"].iter().map(|sku| sku.parse().unwrap()).collect();
    let found = shop.client.call(&Products { skus }, NoKey).await.unwrap();
    assert_eq!(
        found.iter().map(|product| product.sku.as_str()).collect::<Vec<_>>(),
        ["frankenstein", "pride-and-prejudice"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_pieces_are_sold_once_across_nodes() {
    let shop = Arc::new(Shop::start().await);
    let stock = u32::try_from(shop.available("frankenstein").await).unwrap();
    shop.reserve(1_000, "frankenstein", stock - 10).await.unwrap();
    let mut buyers = tokio::task::JoinSet::new();
    for n in 0..64 {
        let shop = shop.clone();
        buyers.spawn(async move { shop.reserve(n, "frankenstein", 1).await });
    }
    let answers = buyers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10, "{answers:?}");
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(CallError::Refused(ReserveRefusal::OutOfStock { available: 0, .. }))));
    assert_eq!(refused.count(), 54);
    assert_eq!(shop.available("frankenstein").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_at_once_on_both_nodes_reserves_once() {
    let shop = Arc::new(Shop::start().await);
    let before = shop.available("frankenstein").await;
    let mut repeats = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let shop = shop.clone();
        repeats.spawn(async move { shop.reserve(7, "frankenstein", 2).await });
    }
    assert!(repeats.join_all().await.iter().all(|answer| *answer == Ok(())));
    assert_eq!(shop.available("frankenstein").await, before - 2);
    assert_eq!(shop.reserve(7, "frankenstein", 3).await, Err(CallError::Refused(ReserveRefusal::IdReused)));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_make_no_sense_are_not_executed() {
    let shop = Shop::start().await;
    assert!(matches!(shop.reserve(1, "frankenstein", 0).await, Err(CallError::NotExecuted(_))));
    assert!(matches!(shop.reserve(1, "frankenstein", 1_000).await, Err(CallError::NotExecuted(_))));
    let operation = OperationId(Uuid::from_u128(1));
    let lines = vec![Pieces { sku: "frankenstein".parse().unwrap(), quantity: 1 }];
    let foreign = RequestId::from(OperationId(Uuid::from_u128(2)));
    let answer = shop.client.call(&Reserve { operation, lines }, foreign).await;
    assert!(matches!(answer, Err(CallError::NotExecuted(_))), "{answer:?}");
    assert_eq!(shop.reserve(1, "frankenstein", 1).await, Ok(()), "the refused calls left a trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_a_change_soon_on_every_node() {
    let shop = Shop::start().await;
    let products = Products { skus: vec!["frankenstein".parse().unwrap()] };
    let shown = async || shop.client.call(&products, NoKey).await.unwrap()[0].available;
    let before = shown().await;
    shop.reserve(1, "frankenstein", 5).await.unwrap();
    wait_for(async || shown().await == before - 5).await;
    shop.client.call(&Release { operation: OperationId(Uuid::from_u128(1)) }, NoKey).await.unwrap();
    wait_for(async || shown().await == before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_are_counted_for_products_that_exist() {
    let shop = Shop::start().await;
    for sku in ["frankenstein", "no-such-book", "frankenstein"] {
        shop.client.call(&Viewed { sku: sku.parse().unwrap() }, NoKey).await.unwrap();
    }
    let counted: u64 = shop.nodes.iter().map(|node| figure(&node.metrics.page(), "trestle_product_views_total")).sum();
    assert_eq!(counted, 2);
}

fn figure(page: &str, name: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |figure| figure.parse().unwrap())
}

/// Ten hits in a row, so that both nodes were asked; a copy may be one second old.
async fn wait_for(mut holds: impl AsyncFnMut() -> bool) {
    let hits = async {
        let mut hits = 0;
        while hits < 10 {
            hits = if holds().await { hits + 1 } else { 0 };
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), hits).await.expect("not seen within 5 s");
}
