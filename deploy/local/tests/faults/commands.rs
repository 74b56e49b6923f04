//! What `cut`, `slow`, `lose-replies` and `heal` say and refuse, who may change a node's rules, and that a node which is
//! started again has them before its first call.

use serde_json::{Value, json};

use crate::cluster::Shop;

/// Runs a command against this shop; answers whether it succeeded, and what it said.
pub(crate) fn ask(shop: &Shop, args: &[&str]) -> (bool, String) {
    let output = shop.trestle(args);
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn faults(shop: &Shop) -> Value {
    let (ok, text) = ask(shop, &["status", "--json"]);
    assert!(ok, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["faults"].clone()
}

fn rules_url(shop: &Shop, id: &str) -> String {
    format!("http://{}/faults", shop.node(id)["ops_address"].as_str().unwrap())
}

/// The addresses that a node reaches badly.
async fn bad(shop: &Shop, id: &str) -> Vec<String> {
    shop.get_json(&rules_url(shop, id)).await["rules"].as_object().unwrap().keys().cloned().collect()
}

fn address(shop: &Shop, id: &str) -> String {
    shop.node(id)["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_shown_and_what_cannot_be_is_refused_with_what_can() {
    let shop = Shop::start().await;
    assert_eq!(faults(&shop), json!([]));
    for (args, expected) in [
        (&["cut", "logic", "order"][..], &["\"order\"", "orders, payments", "local", "orders-1, orders-2"][..]),
        (&["cut", "orders-1", "orders-1"], &["no call goes from orders-1 to orders-1"]),
        (&["lose-replies", "provider", "frontend"], &["the provider, not being ours, obeys nothing"]),
        (&["slow", "logic", "orders", "--ms", "60001"], &["60001 is not in 1..=60000"]),
        (&["heal", "logic", "orders"], &["there is no fault between logic and orders"]),
    ] {
        let (ok, said) = ask(&shop, args);
        assert!(!ok && expected.iter().all(|part| said.contains(part)), "{args:?}: {said}");
    }
    assert_eq!((faults(&shop), bad(&shop, "logic-1").await), (json!([]), Vec::new()), "refused is not done");

    let (ok, said) = ask(&shop, &["cut", "logic-1", "orders"]);
    assert!(ok && said.contains("cut           logic-1 <-> orders"), "{said}");
    assert!(ask(&shop, &["slow", "logic", "carts-2", "--ms", "5"]).0);
    let cut = json!({"kind": "cut", "a": "logic-1", "b": "orders"});
    let slow = json!({"kind": "slow", "a": "logic", "b": "carts-2", "ms": 5});
    assert_eq!(faults(&shop), json!([cut, slow]));
    let (_, table) = ask(&shop, &["status"]);
    assert!(table.contains("Faults") && table.contains("slow 5 ms     logic <-> carts-2"), "{table}");
    assert_eq!(bad(&shop, "orders-2").await, [address(&shop, "logic-1")], "the other direction");
    assert_eq!(bad(&shop, "logic-2").await, [address(&shop, "carts-2")]);

    let (ok, said) = ask(&shop, &["heal", "logic-1", "orders-1"]);
    assert!(!ok && said.contains("`trestle heal logic-1 orders`"), "a part cannot be healed: {said}");
    let (ok, said) = ask(&shop, &["heal", "logic", "orders"]);
    assert!(ok && said.contains("1 fault has ended"), "{said}");
    assert_eq!(faults(&shop), json!([slow]));
    assert!(ask(&shop, &["heal"]).0);
    assert_eq!((faults(&shop), bad(&shop, "logic-2").await), (json!([]), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_has_its_rules_before_its_first_call_and_a_paused_one_before_it_is_ready() {
    let shop = Shop::start().await;
    let orders = ["orders-1", "orders-2"].map(|id| address(&shop, id));
    assert!(ask(&shop, &["cut", "logic-1", "orders"]).0);
    assert_eq!(bad(&shop, "logic-1").await, orders);
    let pid = shop.node("logic-1")["pid"].clone();
    assert!(ask(&shop, &["kill", "logic-1"]).0);
    shop.until("logic-1 is back", async || {
        let node = shop.node("logic-1");
        node["state"] == "ready" && node["pid"] != pid
    })
    .await;
    assert_eq!(bad(&shop, "logic-1").await, orders);
    let log = std::fs::read_to_string(shop.data().join("logs/logic-1.log")).unwrap();
    let of_this_life = log.rsplit("\"node ended\"").next().unwrap();
    let told = of_this_life.rfind("faults between nodes are injected as asked").unwrap();
    assert!(told < of_this_life.rfind("node started").unwrap(), "told after it had started: {log}");

    assert!(ask(&shop, &["pause", "logic-2"]).0);
    let (ok, said) = ask(&shop, &["cut", "logic-2", "carts"]);
    assert!(ok && said.contains("not told yet, but before they count as ready: logic-2"), "{said}");
    assert!(ask(&shop, &["resume", "logic-2"]).0);
    shop.until("logic-2 is ready", async || shop.node("logic-2")["state"] == "ready").await;
    assert_eq!(bad(&shop, "logic-2").await, ["carts-1", "carts-2"].map(|id| address(&shop, id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_secret_sets_rules_and_what_they_do_is_counted() {
    let shop = Shop::start().await;
    let url = rules_url(&shop, "logic-1");
    let rules = json!({"version": 9, "rules": {(address(&shop, "carts-1")): {"slow_ms": 1}}});
    let put = async |secret: &str| {
        let request = shop.http.put(&url).json(&rules);
        let request = if secret.is_empty() { request } else { request.bearer_auth(secret) };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((put("").await, put("a secret of somebody else").await), (401, 401));
    assert_eq!(bad(&shop, "logic-1").await, Vec::<String>::new());
    let secret = std::fs::read_to_string(shop.data().join("cluster.secret")).unwrap();
    assert_eq!(put(secret.trim()).await, 204);
    let metrics = format!("http://{}/metrics", shop.node("logic-1")["ops_address"].as_str().unwrap());
    shop.until("probes are slowed and counted", async || {
        let page = shop.http.get(&metrics).send().await.unwrap().text().await.unwrap();
        let slowed =
            page.lines().find(|line| line.starts_with("trestle_fault_calls_total") && line.contains("\"slow\""));
        let count = slowed.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default();
        count > 0.0 && page.lines().any(|line| line.starts_with("trestle_fault_rules") && line.ends_with(" 1"))
    })
    .await;
    let warned = |line: &String| line.contains("\"WARN\"") && line.contains("faults between nodes are injected");
    assert!(shop.log_lines().iter().any(warned));
}
