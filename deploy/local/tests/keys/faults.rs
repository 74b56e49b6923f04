//! What fails on the way: E11, E12, E13, E18, E19.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::postgres::CommitProxy;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::{
    cluster::Shop,
    customer::Customer,
    place::{BOOK, Place, bought_once, insist, order, orders, send, server, signal, slug, until_order},
};

const KEY: &str = "one-key-for-one-purchase";

/// Which logic node drives is not to be seen from outside, so only one is awake when the checkout comes.
#[tokio::test(flavor = "multi_thread")]
async fn e11_an_owner_that_wakes_too_late_finds_it_done() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = &Customer::arrive(shop).await;
    let total = &customer.add(BOOK, 1).await["total"].clone();
    signal(shop, "pause", "logic-1");
    let taken_over = async {
        let order = until_order(shop, customer, "accepted").await;
        assert!(charges(shop, &order).await <= 1);
        // In the middle of the call to the provider, with its lease.
        signal(shop, "pause", "logic-2");
        signal(shop, "resume", "logic-1");
        let successor = insist(shop, customer, KEY, "tok_slow", total).await;
        assert_eq!(shop.node("logic-2")["state"], "paused", "the owner slept through all of it");
        signal(shop, "resume", "logic-2");
        successor
    };
    let (first, successor) =
        tokio::join!(send(shop, 1, &customer.token, KEY, order("tok_slow", total).to_string()), taken_over);
    // Its own frontend may have heard of it from the successor, or not at all.
    let first = first.unwrap();
    assert!(first.status != 201 || first.bytes == successor.bytes, "{}", first.text());
    shop.until("both are awake", async || {
        ["logic-1", "logic-2"].iter().all(|node| shop.node(node)["state"] == "ready")
    })
    .await;
    for frontend in [1, 2, 1, 2] {
        let again = customer.checkout_for(frontend, KEY, "tok_slow", total).await;
        assert_eq!((again.status, again.replayed, &again.bytes), (201, true, &successor.bytes), "{}", again.text());
    }
    bought_once(shop, customer, total).await;
    assert_eq!(shop.ledger().await.len(), 1);
}

async fn charges(shop: &Shop, order: &Value) -> usize {
    crate::place::charges_of(shop, order).await.len()
}

/// The sweep: quick purchases are left after 0 to 59 ms, which is before, within and after every step; slow ones after
/// 0 to 2.2 s, of which 2 s are within the call to the provider.
#[tokio::test(flavor = "multi_thread")]
async fn e12_a_client_that_hangs_up_at_any_moment_has_bought_once() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let quick = (0..60).map(|ms| ("tok_ok", Duration::from_millis(ms)));
    let slow = (0..12).map(|step| ("tok_slow", Duration::from_millis(step * 200)));
    // However fast or slow the machine: these hang up before the shop can know what they want.
    let too_soon: Vec<_> = (0..8)
        .map(async |step| {
            let customer = Customer::arrive(shop).await;
            let total = customer.add(BOOK, 1).await["total"].clone();
            hang_up_in_the_body(shop, &customer, &order("tok_ok", &total).to_string(), step).await;
            (customer, "tok_ok", total, false)
        })
        .collect();
    let leavers = quick.chain(slow).map(async |(token, after)| {
        let customer = Customer::arrive(shop).await;
        let total = customer.add(BOOK, 1).await["total"].clone();
        let body = order(token, &total).to_string();
        // Dropping the call closes its connection.
        let heard = timeout(after, send(shop, 1, &customer.token, KEY, body)).await.is_ok();
        (customer, token, total, heard)
    });
    let mut left = join_all(too_soon).await;
    let leavers: Vec<_> = leavers.collect();
    // A few at a time, so that a delay means about the same moment for each.
    for some in in_groups(leavers, 6) {
        left.extend(join_all(some).await);
    }
    let (mut unheard, mut done_alone) = (0, 0);
    for (customer, token, total, heard) in &left {
        // Nobody asks for it: it completes by itself if it ever came in.
        let mut shown = Vec::new();
        shop.until("what was begun is done", async || {
            shown = orders(customer).await;
            shown.iter().all(|order| order["state"] == "completed")
        })
        .await;
        unheard += u32::from(!heard);
        done_alone += u32::from(!heard && shown.len() == 1);
        let bought = insist(shop, customer, KEY, token, total).await;
        assert_eq!(bought.replayed, !shown.is_empty(), "a fresh one only if the first never came in");
        bought_once(shop, customer, total).await;
    }
    assert_eq!(shop.ledger().await.len(), left.len());
    println!("{} hung up, {unheard} before the answer; {done_alone} of these were bought without them", left.len());
    assert!(done_alone >= 10 && done_alone < unheard, "the sweep is to cover both sides of the claim");
}

/// Sends all but the last bytes of a checkout and closes the connection.
async fn hang_up_in_the_body(shop: &Shop, customer: &Customer<'_>, body: &str, missing: usize) {
    let address = shop.url(1, "").replace("http://", "");
    let (session, length) = (&customer.token, body.len());
    let head = format!(
        "POST /api/checkout HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {session}\r\nidempotency-key: {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body.as_bytes()[..length - 1 - missing]).await.unwrap();
}

fn in_groups<T>(all: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in all {
        match groups.last_mut() {
            Some(group) if group.len() < size => group.push(item),
            _ => groups.push(vec![item]),
        }
    }
    groups
}

/// Every third commit of every family is made and its answer lost, while customers repeat until they know.
#[tokio::test(flavor = "multi_thread")]
async fn e13_commits_whose_answer_is_lost_are_found_again_on_postgresql() {
    const CUSTOMERS: usize = 16;
    let server = server().await;
    let proxy = CommitProxy::to(&server);
    let shop = &Shop::start_with(|up| _ = up.env("TRESTLE_DATABASE", proxy.uri())).await;
    let mut customers = Vec::new();
    for _ in 0..CUSTOMERS {
        let customer = Customer::arrive(shop).await;
        let total = customer.add(BOOK, 1).await["total"].clone();
        customers.push((customer, total));
    }
    proxy.lose_every(3);
    let buying = customers.iter().map(async |(customer, total)| insist(shop, customer, KEY, "tok_ok", total).await);
    let bought = join_all(buying).await;
    let lost = proxy.lost();
    proxy.lose_every(0);
    for ((customer, total), bought) in customers.iter().zip(&bought) {
        assert_eq!(customer.checkout_for(1, KEY, "tok_ok", total).await.bytes, bought.bytes);
        bought_once(shop, customer, total).await;
    }
    assert_eq!(shop.ledger().await.len(), CUSTOMERS);
    println!("{lost} commits lost their answer during {CUSTOMERS} purchases");
    assert!(lost as usize >= CUSTOMERS, "only {lost} commits were lost");
}

/// A full frontend refuses before anything is looked at, and is made full by `PUT /limits`.
#[tokio::test(flavor = "multi_thread")]
async fn e18_a_request_that_was_shed_runs_under_the_same_key() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let (customer, slow) = (Customer::arrive(shop).await, Customer::arrive(shop).await);
    let (total, slow_total) = (customer.add(BOOK, 1).await["total"].clone(), slow.add(BOOK, 1).await["total"].clone());
    // Room for one checkout and no queue: the one whose provider takes its time fills the frontend.
    let frontend = shop.node("frontend-1");
    let ops = format!("http://{}", frontend["ops_address"].as_str().unwrap());
    let secret = std::fs::read_to_string(shop.data().join("cluster.secret")).unwrap();
    let limits = json!({"admission": {"checkout_min": 1, "checkout_max": 1, "queue_percent": 0}});
    let put = shop.http.put(format!("{ops}/limits")).bearer_auth(secret.trim()).json(&limits).send().await.unwrap();
    assert_eq!(put.status(), 204);
    let under_work = async || {
        let page = shop.http.get(format!("{ops}/metrics")).send().await.unwrap().text().await.unwrap();
        let line = page.lines().find(|line| line.starts_with("trestle_limiter_in_flight{lane=\"checkout\"}"));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let paying = slow.checkout_for(1, "the-key-of-the-slow-one", "tok_slow", &slow_total);
    let meanwhile = async {
        shop.until("the slow checkout is under work", async || under_work().await == "1").await;
        let refused = customer.checkout_for(1, KEY, "tok_ok", &total).await;
        assert_eq!((refused.status, slug(&refused).as_str()), (503, "busy"), "{}", refused.text());
        assert!(refused.json()["detail"].as_str().unwrap().contains("all the requests"), "{}", refused.text());
    };
    let (paid, ()) = tokio::join!(paying, meanwhile);
    assert!([201, 202].contains(&paid.status), "{}", paid.text());
    shop.until("the frontend has room again", async || under_work().await == "0").await;
    assert_eq!(orders(&customer).await.len(), 0, "nothing began");
    let bought = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    assert_eq!((bought.status, bought.replayed), (201, false), "{}", bought.text());
    assert_eq!(orders(&customer).await.len(), 1);
    let reference = bought.json()["id"].clone();
    let charges = shop.ledger().await.into_iter().filter(|charge| charge["reference"] == reference).count();
    assert_eq!(charges, 1);
}

async fn nothing_happens_without_the_store(place: &Place) {
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    place.take_orders_away().await;
    for frontend in [1, 2] {
        let down = customer.checkout_for(frontend, KEY, "tok_ok", &total).await;
        assert_eq!(down.status, 503, "{}", down.text());
        assert_eq!(down.json()["safe_new_key"], false, "{}", down.text());
    }
    assert_eq!(shop.ledger().await.len(), 0);
    place.give_orders_back().await;
    shop.until("the shop is well", async || shop.nodes().iter().all(|node| node["state"] == "ready")).await;
    let mut shown = None;
    shop.until("orders can be read", async || {
        let answer = customer.call(1, Method::GET, "/api/orders", None).await;
        shown = (answer.status == 200).then(|| answer.json());
        shown.is_some()
    })
    .await;
    assert_eq!(shown.unwrap()["items"], json!([]), "the key was never claimed");
    insist(shop, &customer, KEY, "tok_ok", &total).await;
    bought_once(shop, &customer, &total).await;
    assert_eq!(shop.ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e19_without_the_store_nothing_happens_on_sqlite() {
    nothing_happens_without_the_store(&Place::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e19_without_the_store_nothing_happens_on_postgresql() {
    nothing_happens_without_the_store(&Place::on_postgresql().await).await;
}
