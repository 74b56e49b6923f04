//! What every back end of [`AccountStore`] and of [`SessionStore`] must do, as suites that are run on each.
#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::sync::Arc;

use contract::{
    PrincipalId, RequestId, SessionId,
    session::{Account, Session},
};
use uuid::Uuid;

use super::{AccountStore, Registered, SessionStore};

/// Everything about accounts. `make` returns two handles on one empty store, as two nodes would have them.
pub async fn accounts(make: impl AsyncFn() -> [Arc<dyn AccountStore>; 2]) {
    a_request_makes_one_account(make().await).await;
    an_address_has_one_account(make().await).await;
    registrations_at_once_make_one_account(make().await).await;
}

/// Everything about sessions, on stores that `make` returns empty.
pub async fn sessions(make: impl AsyncFn() -> Arc<dyn SessionStore>) {
    the_first_opening_stays(&*make().await).await;
    revocation_wins(&*make().await).await;
    merging_joins_and_does_not_replace(&*make().await).await;
    pages_cover_all_sessions_in_order(&*make().await).await;
}

async fn a_request_makes_one_account([one, two]: [Arc<dyn AccountStore>; 2]) {
    let (first, ada) = (request(1), account(1, "ada@example.org"));
    assert_eq!(one.registered(&first, &ada.email).await.expect("read"), None);
    assert_eq!(one.register(&first, &ada, "hash").await.expect("write"), Registered::ByThisRequest(ada.clone()));
    // A repeat has minted another id and another hash; the account is the first one.
    let again = account(2, "ada@example.org");
    assert_eq!(two.register(&first, &again, "other").await.expect("write"), Registered::ByThisRequest(ada.clone()));
    let known = two.registered(&first, &ada.email).await.expect("read");
    assert_eq!(known, Some(Registered::ByThisRequest(ada.clone())));
    let credentials = two.credentials(&ada.email).await.expect("read").expect("known");
    assert_eq!((credentials.account, credentials.password_hash.as_str()), (ada, "hash"));
    // The same id for another address is a bug of the caller, and changes nothing.
    assert!(one.register(&first, &account(3, "bob@example.org"), "hash").await.is_err());
    assert!(one.credentials("bob@example.org").await.expect("read").is_none());
}

async fn an_address_has_one_account([one, two]: [Arc<dyn AccountStore>; 2]) {
    one.register(&request(1), &account(1, "ada@example.org"), "hash").await.expect("write");
    let other = two.register(&request(2), &account(2, "ada@example.org"), "other").await.expect("write");
    assert_eq!(other, Registered::ByAnother);
    let known = two.registered(&request(2), "ada@example.org").await.expect("read");
    assert_eq!(known, Some(Registered::ByAnother));
    assert_eq!(one.credentials("ada@example.org").await.expect("read").expect("known").password_hash, "hash");
    assert!(one.credentials("ADA@example.org").await.expect("read").is_none());
}

async fn registrations_at_once_make_one_account(stores: [Arc<dyn AccountStore>; 2]) {
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..8_u128 {
        let store = stores[usize::from(number % 2 == 0)].clone();
        // Two tries of each of four requests for one address.
        let (request, account) = (request(number / 2), account(number, "ada@example.org"));
        writers.spawn(async move { (number / 2, store.register(&request, &account, "hash").await.expect("write")) });
    }
    let results = writers.join_all().await;
    let won: Vec<_> = results.iter().filter(|(_, registered)| *registered != Registered::ByAnother).collect();
    assert_eq!(won.len(), 2, "one request wins, both of its tries learn so: {results:?}");
    assert_eq!(won[0], won[1]);
}

async fn the_first_opening_stays(store: &dyn SessionStore) {
    assert_eq!(store.session(id("a")).await.expect("read"), None);
    assert_eq!(store.open(id("a"), session(1, 10)).await.expect("write"), session(1, 10));
    assert_eq!(store.open(id("a"), session(2, 20)).await.expect("write"), session(1, 10));
    assert_eq!(store.session(id("a")).await.expect("read"), Some(session(1, 10)));
}

async fn revocation_wins(store: &dyn SessionStore) {
    let mark = Session { revoked: true, ..session(0, 99) };
    store.open(id("known"), session(1, 10)).await.expect("write");
    for name in ["known", "unknown", "unknown"] {
        store.revoke(id(name), mark.clone()).await.expect("write");
        assert!(store.session(id(name)).await.expect("read").expect("kept").revoked);
        assert!(store.open(id(name), session(1, 10)).await.expect("write").revoked);
        store.merge(vec![(id(name), session(1, 10))]).await.expect("merge");
        assert!(store.session(id(name)).await.expect("read").expect("kept").revoked);
    }
    assert_eq!(store.session(id("known")).await.expect("read").expect("kept").principal, session(1, 10).principal);
}

async fn merging_joins_and_does_not_replace(store: &dyn SessionStore) {
    store.open(id("a"), session(1, 10)).await.expect("write");
    for _ in 0..2 {
        store.merge(vec![(id("a"), session(1, 20)), (id("b"), session(2, 5))]).await.expect("merge");
        store.merge(vec![(id("a"), session(1, 15))]).await.expect("merge");
    }
    assert_eq!(store.session(id("a")).await.expect("read"), Some(session(1, 20)));
    assert_eq!(store.session(id("b")).await.expect("read"), Some(session(2, 5)));
}

async fn pages_cover_all_sessions_in_order(store: &dyn SessionStore) {
    let mut ids: Vec<SessionId> = (0..700).map(|number| id(&number.to_string())).collect();
    for id in &ids {
        store.open(*id, session(1, 10)).await.expect("write");
    }
    ids.sort_unstable();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.page(after).await.expect("page");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.into_iter().map(|(id, _)| id));
        assert!(seen.len() <= ids.len(), "a page repeats sessions");
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);
}

fn request(number: u128) -> RequestId {
    format!("registration-{number:08}").parse().expect("a request id")
}

fn account(number: u128, email: &str) -> Account {
    Account { id: PrincipalId(Uuid::from_u128(number)), email: email.to_owned() }
}

fn id(token: &str) -> SessionId {
    SessionId::of_token(token)
}

fn session(principal: u128, expires_at_ms: i64) -> Session {
    Session { principal: PrincipalId(Uuid::from_u128(principal)), account: None, expires_at_ms, revoked: false }
}
