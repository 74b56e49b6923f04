//! Payments nodes on one file, in one process, around one fake provider.

use std::{sync::Arc, time::Duration};

use contract::{
    ExactlyOnce, Money, NoKey, Once, OperationId, Outcome, RequestId, Strategy as _,
    payments::{Charge, ChargeStatus, Close, PaymentToken},
};
use payments::{App, Charges, Limits, Window, ops, store::SqlCharges};
use rpc::{Client, ClientOptions, InProcess, Scope, TraceContext};
use runtime::{ManualClock, Node, Seams, Secret, SystemRandom};
use store::StoreUri;
use uuid::Uuid;

use super::{
    failing_store::{FailingStore, Failures},
    fake_provider::FakeProvider,
};

/// Short handling, so that permits of calls that were given up come back within a test.
const WINDOW: Window =
    Window { window_s: 3_000_000_000, retention_s: 4_000_000_000, handling_s: 1, pause_max_s: 60, skew_max_s: 600 };
pub(crate) const LIMITS: Limits = Limits {
    permits: 50,
    provider_timeout: Duration::from_secs(30),
    window: WINDOW,
    reconcile_grace: Duration::from_secs(900),
};
pub(crate) const LATER_MS: i64 = 4_000_000_000_000;
pub(crate) const LONG_AGO_MS: i64 = 1_000_000_000_000;

pub(crate) struct Harness {
    _folder: tempfile::TempDir,
    pub(crate) store: SqlCharges,
    pub(crate) provider: Arc<FakeProvider>,
    pub(crate) failures: Arc<Failures>,
    pub(crate) client: Client,
    nodes: Vec<Node>,
}

impl Harness {
    pub(crate) async fn start(nodes: usize, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uri = StoreUri::Sqlite(folder.path().join("payments.db"));
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let seams = Seams { clock: clock.clone(), random: Arc::new(SystemRandom) };
        let (provider, failures) = (Arc::new(FakeProvider::default()), Arc::new(Failures::new(clock)));
        let (transport, mut started, mut addresses) = (InProcess::default(), Vec::new(), Vec::new());
        for n in 0..nodes {
            let secret = Secret::new("0123456789abcdef").unwrap();
            let node = Node::assemble("payments", &format!("payments-{n}"), seams.clone(), secret).unwrap();
            let inner = SqlCharges::open(&uri).await.unwrap();
            let charges = Charges::open(FailingStore { inner, failures: failures.clone() });
            let app = App::new(&node, charges, provider.clone(), limits);
            let address = format!("node:{}", n + 1);
            transport.add(&address, ops(app).build(&node));
            node.readiness.set_ready();
            started.push(node);
            addresses.push(address);
        }
        let discovery = format!("static://{}", addresses.join(",")).parse().unwrap();
        let options = ClientOptions { deadline_default: Duration::from_secs(30), ..ClientOptions::default() };
        let client = Client::new(&started[0], Arc::new(transport), discovery, options);
        let store = SqlCharges::open(&uri).await.unwrap();
        Self { _folder: folder, store, provider, failures, client, nodes: started }
    }

    pub(crate) async fn charge(&self, charge: &Charge) -> Outcome<Charge> {
        self.client.call(charge, RequestId::from(charge.operation)).await
    }

    /// As a caller with little time left.
    pub(crate) async fn charge_within(&self, charge: &Charge, within: Duration) -> Outcome<Charge> {
        let scope = Scope::new(within, TraceContext::start(&self.nodes[0].seams));
        scope.run(self.charge(charge)).await
    }

    pub(crate) async fn close(&self, n: u128) -> Outcome<Close> {
        self.client.call(&Close { operation: operation(n), evidence: None }, NoKey).await
    }

    /// A figure of the first node's metrics page; 0 when it is not there yet.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let page = self.nodes[0].metrics.page();
        let line = page.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |figure| figure.parse().unwrap())
    }
}

pub(crate) fn operation(n: u128) -> OperationId {
    OperationId(Uuid::from_u128(n))
}

pub(crate) fn charge(n: u128) -> Charge {
    let token = PaymentToken("tok_ok".to_owned());
    Charge { operation: operation(n), amount: Money::gbp(1299), token, not_after_ms: LATER_MS }
}

pub(crate) fn charged(id: &str) -> Outcome<Charge> {
    Ok(ChargeStatus::Charged { provider_id: id.to_owned() })
}

/// The reason why nothing is known yet.
pub(crate) fn pending(answer: &Outcome<Charge>) -> String {
    match answer {
        Ok(ChargeStatus::Pending { reason, .. }) => reason.clone(),
        other => panic!("expected pending: {other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test stands where the server stands: it calls a store")]
pub(crate) fn once(n: u128) -> Once {
    ExactlyOnce::permit(RequestId::from(operation(n)), b"body")
}

pub(crate) async fn wait_until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("did not happen within 5 s");
}
