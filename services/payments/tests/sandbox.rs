//! Refunds and the reconciliation against the provider's sandbox, as a process of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use contract::{
    CallError, Money, NoKey, OperationId, RequestId,
    payments::{
        Charge, ChargeStatus, Close, Evidence, Inspect, Mismatch, Observe, PaymentToken, Reconcile, Refund,
        RefundRefusal, RefundStatus,
    },
};
use payments::{App, Charges, Limits, ops, provider::HttpProvider, store::SqlCharges};
use rpc::{Client, ClientOptions, InProcess};
use runtime::{Node, Seams, Secret};
use serde_json::{Value, json};
use store::StoreUri;
use uuid::Uuid;

struct Sandbox {
    process: Child,
    base: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The sandbox's program, which the test command builds: it lies beside the tests' own folder.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("provider");
    assert!(path.exists(), "{} is not there: run `cargo build -p provider` first", path.display());
    path
}

struct Shop {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    http: reqwest::Client,
    client: Client,
    _node: Node,
}

impl Shop {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(program())
            .args(["--listen", "127.0.0.1:0", "--ledger"])
            .arg(folder.path().join("ledger.jsonl"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("provider listening on ").map(str::to_owned));
        let sandbox = Sandbox { process, base: format!("http://{}/", address.unwrap()) };
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("payments", "payments-1", Seams::system(), secret).unwrap();
        let store = SqlCharges::open(&StoreUri::Sqlite(folder.path().join("payments.db"))).await.unwrap();
        let provider = Arc::new(HttpProvider::new(&sandbox.base.parse().unwrap(), node.faults.clone()).unwrap());
        let limits = Limits { reconcile_grace: Duration::ZERO, ..Limits::default() };
        let transport = InProcess::default();
        transport.add("node:1", ops(App::new(&node, Charges::open(store), provider, limits)).build(&node));
        node.readiness.set_ready();
        let discovery = "static://node:1".parse().unwrap();
        let client = Client::new(&node, Arc::new(transport), discovery, ClientOptions::default());
        Self { folder, sandbox, http: rpc::http_client().unwrap(), client, _node: node }
    }

    async fn charge(&self, n: u128, token: &str, ahead_ms: i64) -> ChargeStatus {
        let not_after_ms = Seams::system().now_ms() + ahead_ms;
        let token = PaymentToken(token.to_owned());
        let charge = Charge { operation: operation(n), amount: Money::gbp(1299), token, not_after_ms };
        self.client.call(&charge, RequestId::from(operation(n))).await.unwrap()
    }

    /// A call to the provider that is not ours: a person's, or a bug's.
    async fn by_hand(&self, what: &str, key: &str, body: Value) -> Value {
        let call = self.http.post(format!("{}{what}", self.sandbox.base)).header("idempotency-key", key);
        let answer = call.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.unwrap()
    }

    async fn charge_by_hand(&self, key: &str, reference: &str, minor: i64) {
        let amount = json!({"amount_minor": minor, "currency": "GBP"});
        let body = json!({"amount": amount, "token": "tok_ok", "reference": reference, "not_after_ms": 32_503_680_000_000_i64});
        self.by_hand("charges", key, body).await;
    }

    async fn refund(&self, n: u128, minor: i64) -> Result<RefundStatus, CallError<RefundRefusal>> {
        let refund = Refund { operation: operation(n), amount: Money::gbp(minor), evidence: evidence() };
        self.client.call(&refund, RequestId::from(operation(n))).await
    }

    async fn refunds(&self) -> usize {
        let page = self.http.get(format!("{}refunds", self.sandbox.base)).send().await.unwrap();
        page.json::<Value>().await.unwrap()["refunds"].as_array().unwrap().len()
    }

    /// What differs, as (checkout, words of the reason), in order.
    async fn mismatches(&self) -> Vec<(u128, String)> {
        let found = self.reconcile().await;
        let number = |found: &Mismatch| found.operation.map_or(0, |operation| operation.0.as_u128());
        let mut shown: Vec<_> = found.iter().map(|found| (number(found), found.reason.clone())).collect();
        shown.sort();
        shown
    }

    async fn reconcile(&self) -> Vec<Mismatch> {
        // Without a grace, what was recorded in this very millisecond still counts as young on the other side's clock.
        self.client.call(&Reconcile { limit: 100 }, NoKey).await.unwrap()
    }
}

fn operation(n: u128) -> OperationId {
    OperationId(Uuid::from_u128(n))
}

fn evidence() -> Evidence {
    Evidence { operator: "ada".to_owned(), note: "the parcel came back".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_is_paid_back_once() {
    let shop = Shop::start().await;
    assert!(matches!(shop.charge(1, "tok_ok", 600_000).await, ChargeStatus::Charged { .. }));
    assert_eq!(shop.refund(1, 1).await, Err(CallError::Refused(RefundRefusal::OtherAmount)));
    let first = shop.refund(1, 1299).await.unwrap();
    assert!(matches!(&first, RefundStatus::Refunded { refund_id } if refund_id.starts_with("re_")), "{first:?}");
    assert_eq!(shop.refund(1, 1299).await.unwrap(), first);
    assert_eq!(shop.refunds().await, 1);
    let record = shop.client.call(&Inspect { operation: operation(1) }, NoKey).await.unwrap().unwrap();
    assert_eq!(RefundStatus::Refunded { refund_id: record.refund_id.unwrap() }, first);

    // A person was faster: paid back, but not by us, so it stays open for a person.
    shop.charge(2, "tok_ok", 600_000).await;
    let body = json!({"reference": operation(2).to_string(), "amount": {"amount_minor": 1299, "currency": "GBP"}});
    shop.by_hand("refunds", "a-key-of-their-own", body).await;
    for _ in 0..2 {
        let pending = shop.refund(2, 1299).await.unwrap();
        assert!(
            matches!(&pending, RefundStatus::Pending { reason } if reason.contains("already_refunded")),
            "{pending:?}"
        );
    }
    // Never charged there, so far.
    shop.client.call(&Close { operation: operation(3), evidence: None }, NoKey).await.unwrap();
    let pending = shop.refund(3, 1299).await.unwrap();
    assert!(matches!(&pending, RefundStatus::Pending { reason } if reason.contains("not_found")), "{pending:?}");
    assert_eq!(shop.refunds().await, 2);
    assert!(shop.folder.path().join("payments.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_between_the_ledgers_is_found_and_a_refund_ends_it() {
    let shop = Shop::start().await;
    shop.charge(1, "tok_ok", 600_000).await;
    shop.charge(2, "tok_declined", 600_000).await;
    assert_eq!(shop.mismatches().await, []);

    shop.charge_by_hand("by-hand-000000001", &operation(2).to_string(), 1299).await;
    shop.client.call(&Close { operation: operation(3), evidence: None }, NoKey).await.unwrap();
    shop.charge_by_hand("by-hand-000000002", &operation(3).to_string(), 500).await;
    shop.charge_by_hand("by-hand-000000003", &operation(4).to_string(), 700).await;
    shop.charge_by_hand("by-hand-000000004", "not-of-ours", 800).await;
    // Recorded here as charged although the provider has no such charge: a wrong event.
    shop.charge(5, "tok_500_no_charge", 600_000).await;
    let observe = Observe { operation: operation(5), provider_id: "ch_x".to_owned(), amount: Money::gbp(1299) };
    assert!(shop.client.call(&observe, NoKey).await.unwrap());
    // Another amount than here, and two under one reference.
    shop.charge(6, "tok_500_no_charge", 600_000).await;
    shop.charge_by_hand("by-hand-000000005", &operation(6).to_string(), 1).await;
    let observe = Observe { operation: operation(6), provider_id: "ch_y".to_owned(), amount: Money::gbp(1299) };
    assert!(shop.client.call(&observe, NoKey).await.unwrap());
    let off = shop.http.post(format!("{}admin/faults", shop.sandbox.base)).json(&json!({"permanent_reference": false}));
    assert!(off.send().await.unwrap().status().is_success());
    shop.charge_by_hand("by-hand-000000006", &operation(1).to_string(), 1299).await;

    let all = [
        (0, "the provider has charged what is not recorded here as charged"),
        (1, "the provider has charged more than once under one reference"),
        (2, "the provider has charged what is recorded here as declined"),
        (3, "the provider has charged what was closed here without a charge"),
        (4, "the provider has charged what is not recorded here as charged"),
        (5, "recorded here as charged, but the provider has no such charge"),
        (6, "the provider has charged another amount than is recorded here"),
    ];
    assert_eq!(shop.mismatches().await, all.map(|(n, reason)| (n, reason.to_owned())));
    let [first, again] = [shop.reconcile().await, shop.reconcile().await];
    assert_eq!(first, again, "the same difference has the same id");
    assert!(first.iter().all(|found| found.id.get_version_num() == 8));

    // Paying back what should not have been taken ends the difference.
    assert!(matches!(shop.refund(2, 1299).await, Ok(RefundStatus::Refunded { .. })));
    assert!(matches!(shop.refund(3, 500).await, Ok(RefundStatus::Refunded { .. })));
    let left: Vec<_> = shop.mismatches().await.into_iter().map(|(n, _)| n).collect();
    assert_eq!(left, [0, 1, 4, 5, 6]);
}
