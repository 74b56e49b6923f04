//! Seeded bugs that need what only a whole shop has: a provider that keeps a key for a time and charges late (T-10). Each
//! is switched on in all nodes by `TRESTLE_BUG`, and each scenario has its twin: the same without the bug, which must hold.
//!
//! | bug | caught here by |
//! | --- | --- |
//! | final-on-timeout | `loadtest chaos`: the checker fails; L2 has caught it before |
//! | key-per-attempt | the reply is lost: charges that belong to no order (`loadtest chaos` says so too, after minutes) |
//! | late-resend | the reply is lost, the window passes, the provider forgets the key: two charges |
//! | abandon-on-not-found, close-while-maybe-sent | the provider charges after the window and the look-up: a charge without an order |
//! | greedy-reaper | not here, its period is a minute: the orders family's conformance suite |

use std::time::Duration;

use serde_json::{Value, json};

use crate::{cluster::Shop, customer::Customer, torment::Torment};

const BOOK: &str = "pride-and-prejudice";
/// The shortest time in which a charge may be sent.
const WINDOW_S: &str = "5";
/// A bit longer: the shop never sends so late, so a provider that forgets keys then is safe. If not ...
const KEY_WINDOW_MS: u64 = 6_500;

/// Whether the bugs are in this build; `.ci/test` builds them in.
fn built_in() -> bool {
    if !runtime::bugs::BUILT_IN {
        println!("skipped: built without --features logic/seeded-bugs");
    }
    runtime::bugs::BUILT_IN
}

#[test]
fn the_checker_sees_what_a_few_seconds_of_chaos_bring() {
    if !built_in() {
        return;
    }
    let report = Torment { bug: Some("final-on-timeout"), kinds: "provider", ..Torment::default() }.run();
    let anomalies = report.anomalies();
    println!("final-on-timeout: {anomalies:#?}");
    assert!(
        anomalies.iter().any(|anomaly| anomaly.starts_with("K4")),
        "final-on-timeout was not caught: {anomalies:?}"
    );
}

/// A shop with a short window, and a provider that tells nobody by itself and executes late.
async fn shop(bug: Option<&str>) -> Shop {
    let shop = Shop::start_with(|up| {
        up.env("TRESTLE_CHARGE_WINDOW_S", WINDOW_S);
        up.env("TRESTLE_BUG", bug.unwrap_or(""));
    })
    .await;
    provider(&shop, &json!({"webhook_hold": true, "enforce_not_after": false})).await;
    shop
}

async fn provider(shop: &Shop, faults: &Value) {
    let url = format!("{}/admin/faults", shop.provider_url());
    let answer = shop.http.post(url).json(faults).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// What nobody may ever see: money without an order, or money twice.
async fn anomalies(shop: &Shop, order: &Value) -> Vec<String> {
    let ledger = shop.ledger().await;
    let charged = ledger.iter().filter(|charge| charge["reference"] == order["id"]).count();
    let state = order["state"].as_str().unwrap_or_default();
    let over = !["accepted", "needs_attention"].contains(&state);
    let mut found = Vec::new();
    if charged > 1 {
        found.push(format!("{charged} charges for one order, which is {state}"));
    }
    if over && (charged == 1) != (state == "completed") {
        found.push(format!("{charged} charges, and the order is {state}"));
    }
    if ledger.len() != charged {
        found.push(format!("{} charges in the ledger, {charged} under the order's name", ledger.len()));
    }
    found
}

/// Sends one checkout that is not decided at once; answers where its order is shown.
async fn begin(customer: &Customer<'_>, token: &str) -> String {
    customer.add(BOOK, 1).await;
    let first = customer.checkout(1, "one-key-for-one-purchase", token).await;
    assert_eq!(first.status, 202, "{}", first.text());
    first.location.unwrap()
}

/// The provider charged, the reply was lost, the same is sent again.
async fn reply_lost(bug: Option<&str>) -> Vec<String> {
    let shop = shop(bug).await;
    let customer = Customer::arrive(&shop).await;
    customer.add(BOOK, 1).await;
    let answer = customer.checkout(1, "one-key-for-one-purchase", "tok_charge_then_500").await;
    anomalies(&shop, &customer.get(&answer.location.unwrap()).await).await
}

/// The provider charged, the reply was lost, nobody gets through until the time is over and the key forgotten.
async fn reply_lost_until_the_key_is_forgotten(bug: Option<&str>) -> Vec<String> {
    let shop = shop(bug).await;
    provider(&shop, &json!({"key_window_ms": KEY_WINDOW_MS, "permanent_reference": false})).await;
    let customer = Customer::arrive(&shop).await;
    let buying = begin(&customer, "tok_charge_then_timeout");
    let cut_off = async {
        shop.until("it is charged", async || !shop.ledger().await.is_empty()).await;
        provider(&shop, &json!({"black_hole": true})).await;
        tokio::time::Instant::now()
    };
    let (location, charged_at) = tokio::join!(buying, cut_off);
    let forgotten = Duration::from_millis(KEY_WINDOW_MS + 500);
    shop.until("the key is forgotten", async || charged_at.elapsed() >= forgotten).await;
    provider(&shop, &json!({"black_hole": false})).await;
    let id = location.rsplit('/').next().unwrap().to_owned();
    let mut last = Vec::new();
    shop.until("somebody has tried after the window", async || {
        // What an operator does who does not want to wait for the next try.
        let _told = shop.trestle(&["attention", "retry", &id, "--operator", "ada"]);
        last = anomalies(&shop, &customer.get(&location).await).await;
        !last.is_empty() || customer.get(&location).await["state"] == "needs_attention"
    })
    .await;
    if bug.is_none() {
        // A person looks it up at the provider's, and it is bought once.
        let ledger = shop.ledger().await;
        let provider_id = ledger[0]["id"].as_str().unwrap_or("seen in the ledger");
        let charged =
            ["attention", "charged", &id, "--provider-id", provider_id, "--operator", "ada", "--note", "ledger"];
        let told = shop.trestle(&charged);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        last = anomalies(&shop, &customer.get(&location).await).await;
        assert_eq!(customer.get(&location).await["state"], "completed");
    }
    last
}

/// The provider takes the request and executes it eight seconds later, when the shop has long looked it up in vain.
async fn charged_after_the_look_up(bug: Option<&str>) -> Vec<String> {
    let shop = shop(bug).await;
    let customer = Customer::arrive(&shop).await;
    let location = begin(&customer, "tok_late").await;
    let id = location.rsplit('/').next().unwrap().to_owned();
    shop.until("it is charged after all", async || !shop.ledger().await.is_empty()).await;
    let mut last = Value::Null;
    shop.until("the checkout is over", async || {
        let _told = shop.trestle(&["attention", "retry", &id, "--operator", "ada"]);
        last = customer.get(&location).await;
        !["accepted", "needs_attention"].contains(&last["state"].as_str().unwrap_or_default())
    })
    .await;
    anomalies(&shop, &last).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attempts_together_are_one_charge() {
    let held = reply_lost(None).await;
    assert!(held.is_empty(), "{held:?}");
    if built_in() {
        let caught = reply_lost(Some("key-per-attempt")).await;
        println!("key-per-attempt: {caught:?}");
        assert!(!caught.is_empty(), "key-per-attempt was not caught");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_is_never_sent_when_its_key_may_be_forgotten() {
    let held = reply_lost_until_the_key_is_forgotten(None).await;
    assert!(held.is_empty(), "{held:?}");
    if built_in() {
        let caught = reply_lost_until_the_key_is_forgotten(Some("late-resend")).await;
        println!("late-resend: {caught:?}");
        assert!(caught.iter().any(|anomaly| anomaly.starts_with("2 charges")), "late-resend was not caught");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_in_vain_ends_nothing() {
    let held = charged_after_the_look_up(None).await;
    assert!(held.is_empty(), "{held:?}");
    if built_in() {
        for bug in ["abandon-on-not-found", "close-while-maybe-sent"] {
            let caught = charged_after_the_look_up(Some(bug)).await;
            println!("{bug}: {caught:?}");
            assert!(!caught.is_empty(), "{bug} was not caught");
        }
    }
}
