//! Two nodes and one database that lease the provider's permits from each other: both get work done, and together they never
//! have more calls under way than the permits of the cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use contract::{
    Money, OperationId, RequestId,
    payments::{Charge, ChargeStatus, PaymentToken},
};
use payments::{
    App, Charges, Limits, ops,
    provider::{Found, Provider, ProviderAnswer},
    store::SqlCharges,
};
use rpc::{Client, ClientOptions, InProcess};
use runtime::{Node, Seams, Secret};
use testkit::postgres::Postgres;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Counts what is under way, in all nodes together.
#[derive(Debug, Default)]
struct Counting {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One node's way to it.
#[derive(Debug)]
struct Line {
    counting: Arc<Counting>,
    calls: AtomicUsize,
}

#[async_trait]
impl Provider for Line {
    async fn charge(&self, charge: &Charge) -> ProviderAnswer {
        self.calls.fetch_add(1, SeqCst);
        let now = self.counting.now.fetch_add(1, SeqCst) + 1;
        self.counting.most.fetch_max(now, SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.counting.now.fetch_sub(1, SeqCst);
        ProviderAnswer::Charged { provider_id: charge.operation.to_string() }
    }

    async fn find(&self, _: &Charge) -> Found {
        Found::NotFound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_postgres_share_the_permits() {
    let server = Postgres::fast();
    let (counting, transport) = (Arc::new(Counting::default()), Arc::new(InProcess::default()));
    let (mut nodes, mut lines, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    let not_after_ms = Seams::system().now_ms() + 600_000;
    for n in 1..=2 {
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("payments", &format!("payments-{n}"), Seams::system(), secret).unwrap();
        let charges = Charges::open(SqlCharges::open(&server.uri().parse().unwrap()).await.unwrap());
        let line = Arc::new(Line { counting: counting.clone(), calls: AtomicUsize::new(0) });
        let limits = Limits { permits: 12, ..Limits::default() };
        let app = App::new(&node, charges, line.clone(), limits);
        transport.add(&format!("node:{n}"), ops(app).build(&node));
        node.readiness.set_ready();
        let options = ClientOptions { deadline_default: Duration::from_secs(30), ..ClientOptions::default() };
        clients.push(Client::new(&node, transport.clone(), format!("static://node:{n}").parse().unwrap(), options));
        nodes.push(node);
        lines.push(line);
    }
    let clients = Arc::new(clients);
    let mut customers = JoinSet::new();
    for customer in 0..80_u128 {
        let clients = clients.clone();
        customers.spawn(async move {
            for round in 0..4 {
                let operation = OperationId(Uuid::from_u128(customer * 100 + round));
                let token = PaymentToken("tok_ok".to_owned());
                let charge = Charge { operation, amount: Money::gbp(1299), token, not_after_ms };
                let client = &clients[(customer % 2) as usize];
                loop {
                    match client.call(&charge, RequestId::from(operation)).await {
                        Ok(ChargeStatus::Charged { .. }) => break,
                        Ok(ChargeStatus::Pending { .. }) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), customers.join_all()).await.expect("the charges did not end");
    let calls: Vec<_> = lines.iter().map(|line| line.calls.load(SeqCst)).collect();
    assert_eq!(calls, [160, 160], "each node did its own");
    let most = counting.most.load(SeqCst);
    assert!((6..=12).contains(&most), "{most} at once, of 12 permits");
    for node in nodes {
        node.tasks.stop();
        node.tasks.join(Duration::from_secs(5)).await;
    }
    let held = server.sql("trestle", "SELECT count(*) FROM payments.permit_shares WHERE holder IS NOT NULL").unwrap();
    assert_eq!(held.trim(), "0", "nodes that end give their shares back");
}
