//! Commits whose answer is lost (E13), on a real PostgreSQL and in the simulation, and transactions that really meet. Whoever
//! sends the same request again finds what the first one did, and nothing is done twice.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, whose proxy has no node to belong to")]

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use contract::{
    CartId, ExactlyOnce, Fingerprint, Money, Once, OpId, OperationId, PrincipalId, Strategy as _,
    orders::{
        Ack, Action, Answer, Complete, Driver, Events, Inspect, Open, Opened, OrderState, Postpone, Resolve, Snapshot,
        Take, Taken,
    },
    payments::PaymentToken,
};
use orders::store::{OrderStore, SqlOrders};
use runtime::Seams;
use store::{Database, Migrations, StoreError, StoreUri, sql};
use testkit::postgres::{CommitProxy, Postgres};

static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

fn once(key: &str) -> Once {
    ExactlyOnce::permit(format!("the-request-of-{key}").parse().unwrap(), b"{}")
}

fn request(seams: &Seams, ops: &[&str]) -> Open {
    let cart = CartId(seams.uuid());
    let ops = ops.iter().map(|op| OpId::new(cart, op)).collect();
    Open {
        principal: PrincipalId(seams.uuid()),
        fingerprint: Fingerprint::of(b"one"),
        operation: OperationId(seams.uuid()),
        snapshot: Snapshot { lines: vec![], total: Money::gbp(1998), address: None, cart, epoch: 0, ops },
        payment: PaymentToken("tok_ok".to_owned()),
        driver: Driver(seams.uuid()),
    }
}

/// Makes the call lose the answer to its commit, then sends it again.
async fn lost_then_found<T: Debug>(arm: &impl Fn(), call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    arm();
    let lost = call().await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    call().await.unwrap()
}

/// `arm` makes the next commit lose its answer.
async fn lost_commits_are_found_again(store: &dyn OrderStore, arm: impl Fn()) {
    let request = request(&Seams::system(), &["a", "b"]);
    let (operation, driver) = (request.operation, request.driver);
    let opened = lost_then_found(&arm, async || store.open(&once("open"), request.clone()).await).await;
    assert!(matches!(&opened, Ok(Opened::Claimed(checkout)) if checkout.operation == operation), "{opened:?}");

    let postpone =
        Postpone { operation, driver, reason: "provider: timeout".to_owned(), delay_ms: 0, attention: false };
    let state = lost_then_found(&arm, async || store.postpone(postpone.clone()).await).await;
    let detail = store.inspect(Inspect { id: operation.0 }).await.unwrap().unwrap();
    assert_eq!((state, detail.attempts.len(), detail.item.attempts), (Ok(OrderState::Accepted), 1, 1));
    let taken = lost_then_found(&arm, async || store.take(Take { operation, driver }).await).await;
    assert!(matches!(taken, Ok(Taken::Yours(_))), "{taken:?}");

    let complete = Complete { operation, provider_id: "ch_1".to_owned() };
    let done = lost_then_found(&arm, async || store.complete(&once("complete"), complete.clone()).await).await;
    assert!(matches!(&done, Ok(Answer::Completed(order)) if order.id == operation), "{done:?}");
    let events = store.events(Events { limit: 100 }).await.unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    lost_then_found(&arm, async || store.ack(Ack { ids: ids.clone() }).await).await;
    assert_eq!(store.figures().await.unwrap().outbox.depth, 0);

    let action = Action::Refunded { refund_id: "re_1".to_owned() };
    let resolve = Resolve { id: operation.0, action, operator: "ada".to_owned(), note: "asked for it".to_owned() };
    let state = lost_then_found(&arm, async || store.resolve(&once("resolve"), resolve.clone()).await).await;
    let detail = store.inspect(Inspect { id: operation.0 }).await.unwrap().unwrap();
    assert_eq!((state, detail.actions.len()), (Ok(Some(OrderState::Refunded)), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = Postgres::fast();
    let proxy = CommitProxy::to(&server);
    let store = SqlOrders::open(&proxy.uri().parse().unwrap()).await.unwrap();
    lost_commits_are_found_again(&store, || proxy.lose_next()).await;
    assert!(!proxy.is_armed());
}

/// Both ways: the commit was made, and it was not.
#[tokio::test]
async fn simulated() {
    use store::simulated::Fault;
    for fault in [Fault::UnknownApplied, Fault::UnknownNotApplied] {
        let armed = Arc::new(AtomicBool::new(false));
        let hook = armed.clone();
        let hook =
            Arc::new(move |_: &'static str| if hook.swap(false, Ordering::SeqCst) { fault } else { Fault::None });
        let store = orders::store::SimulatedOrders::new(Seams::system(), hook);
        lost_commits_are_found_again(&store, || armed.store(true, Ordering::SeqCst)).await;
        assert_eq!(store.all().unwrap().len(), 1);
    }
}

/// A stranger's transaction and a claim wait for each other: the database ends one of them, and the claim is run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_ran_into_a_deadlock_is_run_again() {
    let server = Postgres::fast();
    let uri: StoreUri = server.uri().parse().unwrap();
    let (store, raw) =
        (SqlOrders::open(&uri).await.unwrap(), Database::open(&uri, "orders", &MIGRATIONS).await.unwrap());
    let seams = Seams::system();
    let other = request(&seams, &[]);
    store.open(&once("other"), other.clone()).await.unwrap().unwrap();
    let contested = request(&seams, &["a", "b"]);
    let mut ops: Vec<String> = contested.snapshot.ops.iter().map(ToString::to_string).collect();
    ops.sort();
    let claim = |op: &str| {
        sql("INSERT INTO claimed_ops (op, operation) VALUES ($1, $2)").bind(op).bind(other.operation.to_string())
    };
    let mut stranger = raw.begin().await.unwrap();
    stranger.execute(claim(&ops[1])).await.unwrap();
    let opening = {
        let (store, contested) = (store.clone(), contested.clone());
        tokio::spawn(async move { store.open(&once("contested"), contested).await })
    };
    // Until the claim waits for the stranger.
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO claimed%'";
    while raw.reader().await.unwrap().one::<(i64,)>(sql(waits)).await.unwrap().0 == 0 {
        tokio::task::yield_now().await;
    }
    // The claim waited first, so it is the first to look for a circle, and the one that is ended.
    stranger.execute(claim(&ops[0])).await.unwrap();
    drop(stranger);
    let opened = opening.await.unwrap().unwrap();
    assert!(
        matches!(&opened, Ok(Opened::Claimed(checkout)) if checkout.operation == contested.operation),
        "{opened:?}"
    );
    assert!(server.log().contains("deadlock detected"), "the test provokes what it is about");
}
