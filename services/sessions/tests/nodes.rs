//! Two sessions nodes in one process over one accounts file, over the real client and server.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{sync::Arc, time::Duration};

use contract::{
    AtLeastOnce, CallError, NoKey, Operation, Outcome, PrincipalId, SessionId,
    session::Session,
    sessions::{Login, LoginRefusal, Lookup, NoSession, Open, Password, Register, RegisterRefusal, Revoke},
};
use rpc::{Client, ClientOptions, InProcess};
use runtime::{ManualClock, Node, Seams, Secret, SystemRandom};
use sessions::{App, Lives, ops, store::SqlAccounts};
use store::{Replicated, StoreUri};
use uuid::Uuid;

const EMAIL: &str = "ada@example.org";
const RIGHT: &str = "correct horse";

struct Family {
    network: InProcess,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Family {
    async fn of(addresses: &[&str]) -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let family = Self { network: InProcess::default(), clock, folder: tempfile::tempdir().unwrap() };
        for address in addresses {
            family.start(address).await;
        }
        family
    }

    fn node(&self, id: &str) -> Node {
        let seams = Seams { clock: self.clock.clone(), random: Arc::new(SystemRandom) };
        Node::assemble("sessions", id, seams, Secret::new("0123456789abcdef").unwrap()).unwrap()
    }

    async fn start(&self, address: &str) {
        let node = self.node(address);
        let peers = Some("static://a:1,b:1".parse().unwrap());
        let data = Replicated::<Session>::open(&node, Arc::new(self.network.clone()), peers, address, 1_000).await;
        let file = StoreUri::Sqlite(self.folder.path().join("sessions.db"));
        let accounts = Arc::new(SqlAccounts::open(&file).await.unwrap());
        let app = App::new(accounts, Arc::new(data.clone()), Lives::default(), node.seams.clone()).unwrap();
        self.network.add(address, ops(app).build(&node));
        data.start(&node);
        tokio::time::timeout(Duration::from_secs(5), async {
            while !node.readiness.is_ready() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    async fn call<O: Operation<Retry = AtLeastOnce>>(&self, address: &str, request: O) -> Outcome<O> {
        let discovery = format!("static://{address}").parse().unwrap();
        let options = ClientOptions::default();
        let client = Client::new(&self.node("caller"), Arc::new(self.network.clone()), discovery, options);
        client.call(&request, NoKey).await
    }

    async fn register(&self, address: &str, request: &str, account: u128) -> Outcome<Register> {
        let account = PrincipalId(Uuid::from_u128(account));
        let request = request.parse().unwrap();
        let register = Register { request, account, email: EMAIL.to_owned(), password: Password(RIGHT.to_owned()) };
        self.call(address, register).await
    }

    async fn login(&self, address: &str, token: &str, password: &str) -> Outcome<Login> {
        let (email, password) = (EMAIL.to_owned(), Password(password.to_owned()));
        self.call(address, Login { session: SessionId::of_token(token), email, password }).await
    }

    async fn lookup(&self, address: &str, token: &str) -> Outcome<Lookup> {
        self.call(address, Lookup { session: SessionId::of_token(token) }).await
    }
}

fn wrong<T>() -> Result<T, CallError<LoginRefusal>> {
    Err(CallError::Refused(LoginRefusal::WrongCredentials))
}

#[tokio::test]
async fn an_account_made_on_one_node_logs_in_on_the_other_and_out_everywhere() {
    let family = Family::of(&["a:1", "b:1"]).await;
    let account = family.register("a:1", "registration-one", 1).await.unwrap();
    assert_eq!(family.register("b:1", "registration-one", 2).await.unwrap(), account);
    let taken = family.register("b:1", "registration-two", 3).await;
    assert_eq!(taken, Err(CallError::Refused(RegisterRefusal::EmailTaken)));

    let session = family.login("b:1", "token", RIGHT).await.unwrap();
    assert_eq!((session.principal, session.account.as_ref()), (account.id, Some(&account)));
    assert_eq!(family.lookup("a:1", "token").await.unwrap(), session);
    // A repeat needs no password any more; another token does.
    family.clock.advance_ms(1_000);
    assert_eq!(family.login("a:1", "token", "wrong horse").await.unwrap(), session);
    assert_eq!(family.login("a:1", "another token", "wrong horse").await, wrong());

    family.call("a:1", Revoke { session: SessionId::of_token("token") }).await.unwrap();
    for address in ["a:1", "b:1"] {
        let gone = family.lookup(address, "token").await;
        assert_eq!(gone, Err(CallError::Refused(NoSession::Unauthenticated)));
        // A late repeat of the login does not bring it back.
        assert!(matches!(family.login(address, "token", RIGHT).await, Err(CallError::NotExecuted(_))));
    }
}

#[tokio::test]
async fn a_session_survives_its_node_and_ends_with_its_life() {
    let family = Family::of(&["a:1", "b:1"]).await;
    let open = Open { session: SessionId::of_token("guest"), principal: PrincipalId(Uuid::from_u128(5)) };
    let opened = family.call("a:1", open.clone()).await.unwrap();
    assert!(opened.account.is_none());
    family.network.remove("a:1");
    assert_eq!(family.lookup("b:1", "guest").await.unwrap(), opened);
    assert_eq!(family.call("b:1", open).await.unwrap(), opened, "a repeat is the same session");
    family.start("a:1").await;
    family.network.remove("b:1");
    assert_eq!(family.lookup("a:1", "guest").await.unwrap(), opened);
    family.clock.advance_ms(Lives::default().anonymous_ms);
    assert!(matches!(family.lookup("a:1", "guest").await, Err(CallError::Refused(_))));
}

#[tokio::test]
async fn an_open_that_arrives_after_its_logout_stays_out() {
    let family = Family::of(&["a:1", "b:1"]).await;
    let session = SessionId::of_token("guest");
    family.call("a:1", Revoke { session }).await.unwrap();
    let late = Open { session, principal: PrincipalId(Uuid::from_u128(5)) };
    assert!(matches!(family.call("b:1", late).await, Err(CallError::NotExecuted(_))));
    assert!(matches!(family.lookup("b:1", "guest").await, Err(CallError::Refused(_))));
}

#[tokio::test]
async fn wrong_passwords_slow_down_and_an_unknown_address_looks_the_same() {
    let family = Family::of(&["a:1"]).await;
    for _ in 0..5 {
        assert_eq!(family.login("a:1", "token", "wrong horse").await, wrong());
    }
    let throttled = Err(CallError::Refused(LoginRefusal::Throttled { retry_after_s: 1 }));
    assert_eq!(family.login("a:1", "token", RIGHT).await, throttled);
    family.register("a:1", "registration-one", 1).await.unwrap();
    family.clock.advance_ms(1_000);
    assert!(family.login("a:1", "token", RIGHT).await.is_ok());
    // Success has cleared the count.
    for number in 0..5 {
        assert_eq!(family.login("a:1", &format!("token {number}"), "wrong horse").await, wrong());
    }
}

#[tokio::test]
async fn tries_at_once_do_not_slip_past_the_count() {
    let family = Arc::new(Family::of(&["a:1"]).await);
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..20 {
        let family = family.clone();
        tries.spawn(async move { family.login("a:1", &format!("token {number}"), "wrong horse").await });
    }
    let results = tries.join_all().await;
    assert_eq!(results.iter().filter(|result| **result == wrong()).count(), 5);
}

#[tokio::test]
async fn impossible_passwords_are_stopped_before_the_hash() {
    let family = Family::of(&["a:1"]).await;
    for _ in 0..20 {
        assert_eq!(family.login("a:1", "token", "short").await, wrong(), "never throttled, since never hashed");
    }
    let (request, account) = ("registration-one".parse().unwrap(), PrincipalId(Uuid::from_u128(1)));
    let password = Password("x".repeat(129));
    let register = Register { request, account, email: EMAIL.to_owned(), password };
    assert!(matches!(family.call("a:1", register).await, Err(CallError::NotExecuted(_))));
}

#[tokio::test]
async fn every_operation_of_the_family_is_served() {
    let family = Family::of(&[]).await;
    let node = family.node("a");
    let data = Replicated::<Session>::open(&node, Arc::new(InProcess::default()), None, "a:1", 10).await;
    let file = StoreUri::Sqlite(family.folder.path().join("sessions.db"));
    let accounts = Arc::new(SqlAccounts::open(&file).await.unwrap());
    let served = ops(App::new(accounts, Arc::new(data), Lives::default(), node.seams.clone()).unwrap()).names();
    let ours = contract::OPERATIONS.iter().filter(|info| info.family == contract::Family::Sessions);
    let mut declared: Vec<_> = ours.map(|info| info.name).collect();
    declared.sort_unstable();
    assert_eq!(served, declared);
}
