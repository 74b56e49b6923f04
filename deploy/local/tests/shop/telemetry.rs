//! What an operator sees: one trace through all tiers, figures by operation, the inner doors locked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{cluster::Shop, customer::Customer};

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_through_all_tiers() {
    let shop = Shop::start_logging("access=debug,info").await;
    let customer = Customer::arrive(&shop).await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let added = shop
        .http
        .post(shop.url(1, "/api/cart/lines"))
        .bearer_auth(&customer.token)
        .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"))
        .json(&json!({"sku": "emma", "quantity": 1}))
        .send()
        .await
        .unwrap();
    assert_eq!(added.status(), 200);
    assert_eq!(added.headers()["x-trace-id"], trace_id);
    let mut seen = BTreeSet::new();
    shop.until("the trace is in the logs of all tiers", async || {
        let lines = shop.log_lines();
        let ours = lines.iter().filter(|line| line.contains(trace_id));
        let lines = ours.map(|line| serde_json::from_str::<Value>(line).unwrap());
        seen = lines.filter_map(|line| line["operation"].as_str().map(str::to_owned)).collect();
        ["shop.add_to_cart", "sessions.lookup", "carts.add"].iter().all(|operation| seen.contains(*operation))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_counted_and_strangers_kept_out() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    customer.add("emma", 1).await;
    let bought = customer.checkout(1, "a-purchase-to-count", "tok_ok").await;
    assert_eq!(bought.status, 201, "{}", bought.text());

    let mut pages = String::new();
    for node in shop.nodes().iter().filter(|node| node["family"] != "provider") {
        let ops = node["ops_address"].as_str().unwrap();
        assert_eq!(shop.http.get(format!("http://{ops}/health/live")).send().await.unwrap().status(), 200);
        assert_eq!(shop.get_json(&format!("http://{ops}/info")).await["family"], node["family"]);
        pages += &shop.http.get(format!("http://{ops}/metrics")).send().await.unwrap().text().await.unwrap();
    }
    for (operation, strategy) in
        [("carts.add", "at-least-once"), ("orders.open", "exactly-once"), ("shop.checkout", "exactly-once")]
    {
        let labels = format!("{{operation=\"{operation}\",outcome=\"ok\",strategy=\"{strategy}\"}} 1");
        assert!(pages.contains(&format!("trestle_operation_duration_seconds_count{labels}")), "{operation}");
    }

    let node = shop.node("payments-1");
    let door = format!("http://{}/op/payments.charge", node["address"].as_str().unwrap());
    for secret in [None, Some("not-the-cluster-secret")] {
        let mut request = shop.http.post(&door).header("idempotency-key", "0123456789abcdef").body("{}");
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let metrics = format!("http://{}/metrics", node["ops_address"].as_str().unwrap());
    let page = shop.http.get(metrics).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("trestle_unauthorized_total 2"), "{page}");
}
