//! Rows that this binary did not write: of the version before, of the one after (a roll-back), and spoiled ones. A person
//! gets what cannot be read, and it holds nothing else up (IK-17, E23, CO-26).
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

use contract::{
    ExactlyOnce, Money, Strategy as _,
    orders::{
        Action, Answer, Attention, Complete, Driver, Due, Events, Inspect, Nudge, OrderState, Resolve, Take, Taken,
    },
};
use orders::store::{OrderStore as _, SqlOrders};
use store::{Database, Migrations, StoreUri, sql};
use testkit::postgres::Postgres;
use uuid::Uuid;

static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

const BEFORE: &str = "01920000-0000-7000-8000-000000000001";
const NEWER: &str = "01920000-0000-7000-8000-000000000002";
const SPOILED: &str = "01920000-0000-7000-8000-000000000003";
const SNAPSHOT: &str = r#"{"lines":[],"total":{"amount_minor":1998,"currency":"GBP"},"address":null,
    "cart":"01920000-0000-7000-8000-000000000009","epoch":0,"ops":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    what_cannot_be_read_is_a_persons(&StoreUri::Sqlite(folder.path().join("orders.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = Postgres::fast();
    what_cannot_be_read_is_a_persons(&server.uri().parse().unwrap()).await;
}

/// The unreadable ones are the first in line.
async fn write_rows(uri: &StoreUri) {
    let mut tx = Database::open(uri, "orders", &MIGRATIONS).await.unwrap().begin().await.unwrap();
    for (id, version, snapshot, next_try) in [(NEWER, 2, SNAPSHOT, 1), (SPOILED, 1, "{", 2), (BEFORE, 0, SNAPSHOT, 3)] {
        let insert = "INSERT INTO operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, \
                      created_at_ms, not_after_ms, lease_until_ms, next_try_at_ms) \
                      VALUES ($1, $1, $1, $2, $3, 'accepted', $4, 'tok_ok', 1, 1, 0, $5)";
        let insert =
            sql(insert).bind(id).bind(vec![0]).bind(i64::from(version)).bind(snapshot).bind(i64::from(next_try));
        tx.execute(insert).await.unwrap();
    }
    for (id, kind) in [(NEWER, r#""of_a_newer_version""#), (BEFORE, r#""settle_stock""#)] {
        let insert = "INSERT INTO outbox (id, operation, kind, created_at_ms) VALUES ($1, $1, $2, 1)";
        tx.execute(sql(insert).bind(id).bind(kind)).await.unwrap();
    }
    Database::commit(tx).await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the test stands in for the server that would issue the permit")]
fn once(key: &str) -> contract::Once {
    ExactlyOnce::permit(format!("the-request-of-{key}").parse().unwrap(), b"{}")
}

async fn what_cannot_be_read_is_a_persons(uri: &StoreUri) {
    let store = SqlOrders::open(uri).await.unwrap();
    write_rows(uri).await;
    let driver = Driver(Uuid::from_u128(1));
    // Asked for by a customer before the completer comes by: not an error for ever, but a person's too.
    let taken = store.take(Take { operation: SPOILED.parse().unwrap(), driver }).await.unwrap();
    assert_eq!(taken, Ok(Taken::Busy { state: OrderState::NeedsAttention, driven: false }));
    let due = async || store.due(Due { driver, limit: 10 }).await.unwrap();
    let ids: Vec<_> = due().await.iter().map(|checkout| checkout.operation.to_string()).collect();
    assert_eq!(ids, [BEFORE]);
    let complete = |id: &str| Complete { operation: id.parse().unwrap(), provider_id: "ch_1".to_owned() };
    let answer = store.complete(&once(BEFORE), complete(BEFORE)).await.unwrap();
    assert!(matches!(answer, Ok(Answer::Completed(_))), "{answer:?}");

    let queue = store.attention(Attention { limit: 10 }).await.unwrap();
    let mut ids: Vec<_> = queue.iter().map(|item| item.id.to_string()).collect();
    ids.sort();
    assert_eq!(ids, [NEWER, SPOILED]);
    let newer = queue.iter().find(|item| item.id.to_string() == NEWER).unwrap();
    assert!(newer.reason.contains("newer") && newer.amount == Some(Money::gbp(1998)), "{newer:?}");
    assert!(store.complete(&once(NEWER), complete(NEWER)).await.is_err(), "nothing is made up about what it holds");
    store.nudge(Nudge { operation: NEWER.parse().unwrap() }).await.unwrap();
    assert!(due().await.is_empty(), "looked at again, and still a person's");
    assert_eq!(store.attention(Attention { limit: 10 }).await.unwrap().len(), 2);
    // A person can close it even so: nothing that must be read is needed for that.
    let id = NEWER.parse().unwrap();
    let (operator, note) = ("ada".to_owned(), "no charge at the provider".to_owned());
    let closed = Resolve { id, action: Action::NotCharged, operator, note };
    assert_eq!(store.resolve(&once(NEWER), closed).await.unwrap(), Ok(Some(OrderState::Refused)));
    let detail = store.inspect(Inspect { id }).await.unwrap().unwrap();
    assert_eq!((detail.state, detail.actions.len()), (Some(OrderState::Refused), 1));

    let events = store.events(Events { limit: 10 }).await.unwrap();
    assert!(events.iter().any(|event| event.id.to_string() == BEFORE), "{events:?}");
    assert!(events.iter().all(|event| event.id.to_string() != NEWER), "{events:?}");
}
