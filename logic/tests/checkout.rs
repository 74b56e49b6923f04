//! Checkouts of one key that overtake each other between two steps.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use clap::Parser as _;
use contract::{
    CallError, Fingerprint, Money, NoKey, OperationId, Outcome, PrincipalId, Repeatable, SessionId,
    carts::{CartContents, View},
    orders::{Answer, Find, Found},
    payments::PaymentToken,
    session::Session,
    sessions::Lookup,
    shop::{Checkout, CheckoutRefusal, CheckoutReply, ShowCart},
};
use rpc::{Client, ClientOptions, InProcess, Ops};
use runtime::{Node, Seams, Secret};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    options: logic::Options,
}

fn node(family: &'static str) -> Node {
    Node::assemble(family, "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap()
}

/// The other families, as they are once another request has bought the cart: all but the first look at the key find it.
#[derive(Clone)]
struct Fakes {
    looks: Arc<AtomicU32>,
    later: Found,
}

async fn lookup(_: Fakes, _: Lookup, _: Repeatable) -> Outcome<Lookup> {
    Ok(Session {
        principal: PrincipalId(Seams::system().uuid()),
        account: None,
        expires_at_ms: i64::MAX,
        revoked: false,
    })
}

async fn view(_: Fakes, _: View, _: Repeatable) -> Outcome<View> {
    Ok(CartContents { epoch: 1, lines: Vec::new() })
}

async fn find(fakes: Fakes, _: Find, _: Repeatable) -> Outcome<Find> {
    let is_first = fakes.looks.fetch_add(1, Ordering::SeqCst) == 0;
    Ok(if is_first { Found::Nothing } else { fakes.later })
}

async fn check_out(later: Found) -> Outcome<Checkout> {
    let network = InProcess::default();
    let fakes = Fakes { looks: Arc::default(), later };
    let server = Ops::new(fakes).serve(lookup).serve(view).serve(find).build(&node("fakes"));
    network.add("fakes:1", server);
    let mut arguments = vec!["logic", "--secret-file", "unused"];
    for family in ["--sessions", "--carts", "--catalogue", "--orders", "--payments"] {
        arguments.extend([family, "static://fakes:1"]);
    }
    let options = Cli::parse_from(arguments).options;
    let logic = node("logic");
    let app = logic::App::new(&logic, &(Arc::new(network.clone()) as Arc<dyn rpc::Transport>), &options);
    network.add("logic:1", logic::ops(app).build(&logic));
    let discovery = "static://logic:1".parse().unwrap();
    let client = Client::new(&node("caller"), Arc::new(network), discovery, ClientOptions::default());
    let session = SessionId::of_token("customer");
    assert!(client.call(&ShowCart { session }, NoKey).await.unwrap().lines.is_empty());
    let request = Checkout {
        session,
        fingerprint: Fingerprint::of(b"one"),
        payment: PaymentToken("tok_ok".to_owned()),
        expected_total: Money::gbp(1999),
        address: None,
    };
    client.call(&request, "0123456789abcdef".parse().unwrap()).await
}

#[tokio::test]
async fn a_cart_emptied_by_the_same_key_is_its_order_and_not_an_empty_cart() {
    let answer = Answer::Closed { order: OperationId(Seams::system().uuid()) };
    let reply = check_out(Found::Ended(answer.clone())).await;
    assert_eq!(reply, Ok(CheckoutReply::Ended { answer, replayed: true }));
}

#[tokio::test]
async fn a_cart_emptied_by_another_is_empty() {
    assert_eq!(check_out(Found::Nothing).await, Err(CallError::Refused(CheckoutRefusal::CartEmpty)));
}
