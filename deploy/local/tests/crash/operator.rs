//! An operator who decides what the machine cannot, by the call that `trestle attention` makes to a logic node. The call is
//! made here by hand, because a repeat must carry the id of the first.

use serde_json::{Value, json};

use crate::{case::Client, cluster::Shop};

/// Gives a decision until it is done. An operator who is gone gives it once; another comes later and gives it anew.
pub(crate) async fn decide(shop: &Shop, order: &str, decision: &Value, client: Client) {
    let ids = [format!("operator-of-{order}"), format!("another-of-{order}")];
    let mut told = String::from("nothing");
    for attempt in 0..400 {
        let id = match client {
            Client::Repeats => &ids[0],
            Client::Gone => &ids[attempt.min(1)],
        };
        match give(shop, order, decision, id).await {
            Ok(()) => return,
            Err(reason) => told = reason,
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the operator's decision {decision} on {order} is not done; last told: {told}");
}

async fn give(shop: &Shop, order: &str, decision: &Value, id: &str) -> Result<(), String> {
    let nodes = shop.nodes();
    let logic = nodes.iter().find(|node| node["family"] == "logic" && node["state"] == "ready");
    let address = logic.ok_or("no logic node is ready")?["address"].as_str().unwrap_or_default().to_owned();
    let secret = std::fs::read_to_string(shop.data().join("cluster.secret")).map_err(|error| error.to_string())?;
    let body = json!({"id": order, "decision": decision, "operator": "test", "note": "seen at the provider's"});
    let call = shop.http.post(format!("http://{address}/op/shop.resolve"));
    let call = call.bearer_auth(secret.trim()).header("idempotency-key", id).header("x-deadline-ms", 6_500);
    let answer = call.json(&body).send().await.map_err(|error| error.to_string())?;
    let (status, outcome) = (answer.status(), answer.headers().get("x-outcome").cloned());
    let text = answer.text().await.map_err(|error| error.to_string())?;
    // The machine or the operator before was faster: what came of it is checked, not who did it.
    let done_before = text.contains("is completed: only a refund fits") || text.contains("is refunded already");
    if status.is_success() || done_before { Ok(()) } else { Err(format!("{status} {outcome:?} {text}")) }
}
