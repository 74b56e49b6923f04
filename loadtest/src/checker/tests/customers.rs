//! K8 to K11, K14 and K16: carts, answers, keys, sessions.

use serde_json::json;

use super::{
    Check, fails,
    fixture::{World, bought, good, order, refused, told},
    passes,
};
use crate::checker::history::{Reply, What};

fn set(world: &mut World, session: &str, sku: &str, quantity: i64, at_ms: u64, shows: &[(&str, i64)]) {
    let what =
        if quantity == 0 { What::Remove { sku: sku.to_owned() } } else { What::Set { sku: sku.to_owned(), quantity } };
    world.send(session, what, &format!("set-{at_ms}"), at_ms, told(200, "", &super::fixture::cart(shows), None));
}

#[test]
fn k8_an_acknowledged_add_stays_and_counts_once() {
    for (left, sentence) in [(1, "1 of A at the end, expected 2 to 2"), (4, "4 of A at the end, expected 2 to 2")] {
        let mut bad = good();
        bad.add("s7", "A", 2, 100, &[("A", 2)]);
        bad.left("s7", &[("A", left)]);
        fails(&bad, Check::K8Cart, sentence);
    }
    // The twin: an add whose answer was lost may count or not.
    for left in [2, 5] {
        let mut twin = good();
        twin.add("s7", "A", 2, 100, &[("A", 2)]);
        twin.send("s7", What::Add { sku: "A".to_owned(), quantity: 3 }, "lost", 200, Reply::Lost);
        twin.left("s7", &[("A", left)]);
        passes(&twin);
    }
}

#[test]
fn k8_what_was_removed_or_bought_stays_away() {
    let mut bad = good();
    bad.add("s7", "A", 2, 100, &[("A", 2)]);
    set(&mut bad, "s7", "A", 0, 200, &[]);
    bad.left("s7", &[("A", 2)]);
    fails(&bad, Check::K8Cart, "2 of A at the end, expected 0 to 0");
    let mut bad = good();
    bad.left("s1", &[("A", 2)]);
    fails(&bad, Check::K8Cart, "2 of A at the end, expected 0 to 0 (2 bought)");
    let mut bad = good();
    bad.view("s1", 800, &[("A", 2)]);
    fails(&bad, Check::K8Cart, "although it was gone before");
    // The twins: removed and added again; added while buying.
    let mut twin = good();
    twin.add("s7", "A", 2, 100, &[("A", 2)]);
    set(&mut twin, "s7", "A", 0, 200, &[]);
    twin.add("s7", "A", 1, 300, &[("A", 1)]);
    set(&mut twin, "s7", "A", 5, 400, &[("A", 5)]);
    twin.left("s7", &[("A", 5)]);
    twin.add("s1", "A", 1, 305, &[("A", 3)]);
    twin.0.sent.retain(|sent| sent.session != "s1" || sent.what != What::View || sent.begin_ms < 300);
    twin.left("s1", &[("A", 1)]);
    passes(&twin);
}

#[test]
fn k8_a_view_shows_what_was_acknowledged_except_while_a_node_stood_still() {
    let mut bad = good();
    bad.add("s7", "A", 2, 100, &[("A", 2)]);
    bad.view("s7", 200, &[]);
    fails(&bad, Check::K8Cart, "at 200 ms: 0 of A, expected 2 to 2");
    let mut twin = bad;
    twin.0.stale_carts_ms = vec![(150, 250)];
    assert_eq!(passes(&twin).numbers.stale_views, 1);
}

#[test]
fn k9_every_final_answer_is_the_same_bytes() {
    let mut bad = good();
    bad.checkout("s1", "k1", 2, 700, told(201, "", &json!({"id": "o1", "state": "completed"}), Some("o1")));
    fails(&bad, Check::K9Replay, "or with other bytes");
    let mut bad = good();
    bad.checkout("s3", "k3", 1, 700, bought("o3", "A", 1));
    fails(&bad, Check::K9Replay, "key k3 was answered 402 and 201");
    let mut bad = good();
    bad.send("s1", What::Order { id: "o1".to_owned() }, "", 700, told(200, "", &order("o5", "A", 2), None));
    fails(&bad, Check::K9Replay, "a look at order o1 shows another");
    // The twin: not over yet, then over.
    let mut twin = good();
    twin.checkout("s7", "k7", 1, 300, refused(202, "", Some("o7")));
    twin.checkout("s7", "k7", 1, 400, refused(409, "in-progress", Some("o7")));
    twin.checkout("s7", "k7", 1, 500, bought("o7", "A", 1));
    twin.checkout("s7", "k7", 1, 600, bought("o7", "A", 1));
    twin.row("o7", "p7", "k7", "completed", "A", 1);
    twin.add("s7", "A", 1, 100, &[("A", 1)]);
    passes(&twin);
}

#[test]
fn k10_another_body_is_refused_without_effect() {
    let poison = |world: &mut World, at_ms: u64, reply: Reply| world.checkout("s1", "k1", 7, at_ms, reply);
    let mut bad = good();
    poison(&mut bad, 700, bought("o1", "A", 2));
    fails(&bad, Check::K10Misuse, "key k1 with another body was answered 201");
    let mut bad = good();
    poison(&mut bad, 700, refused(409, "total-changed", None));
    fails(&bad, Check::K10Misuse, "with another body was answered 409 total-changed");
    let mut bad = good();
    bad.checkout("s1", "k1", 2, 700, refused(422, "key-reused", None));
    fails(&bad, Check::K10Misuse, "was refused as another");
    // The twins: 422; and before the key was claimed, any refusal that leaves it unused.
    let mut twin = good();
    poison(&mut twin, 700, refused(422, "key-reused", None));
    poison(&mut twin, 305, refused(409, "total-changed", None));
    poison(&mut twin, 800, refused(503, "busy", None));
    passes(&twin);
}

#[test]
fn k11_nobody_gets_anothers_order() {
    let mut bad = good();
    bad.send("s2", What::Order { id: "o1".to_owned() }, "", 700, told(200, "", &order("o1", "A", 2), None));
    fails(&bad, Check::K11Isolation, "a customer was shown order o1 of another customer");
    let mut bad = good();
    bad.checkout("s2", "k1", 2, 700, bought("o1", "A", 2));
    fails(&bad, Check::K11Isolation, "a checkout was answered with order o1 of another customer");
    let mut bad = good();
    bad.operation("o5").principal = "p1".to_owned();
    fails(&bad, Check::K11Isolation, "two sessions are one principal, p1");
    // The twins: 404; and the same key of another session is another operation.
    let mut twin = good();
    twin.send("s2", What::Order { id: "o1".to_owned() }, "", 700, refused(404, "unknown-order", None));
    twin.add("s7", "A", 1, 100, &[("A", 1)]);
    twin.checkout("s7", "k5", 1, HIS_MS, bought("o7", "A", 1));
    twin.row("o7", "p7", "k5", "completed", "A", 1);
    passes(&twin);
}

/// Some time in the control phase.
const HIS_MS: u64 = 13_500;

#[test]
fn k14_the_answers_to_a_key_have_an_order() {
    let mut bad = good();
    bad.checkout("s1", "k1", 2, 700, refused(409, "in-progress", Some("o1")));
    fails(&bad, Check::K14Linearizable, "no order of events explains the answers to key k1");
    let mut bad = good();
    bad.checkout("s1", "k1", 2, 700, refused(409, "cart-empty", None));
    fails(&bad, Check::K14Linearizable, "the answers to key k1");
    // The twins: before the end, or at the same time, that is right.
    let mut twin = good();
    twin.checkout("s1", "k1", 2, 305, refused(409, "in-progress", Some("o1")));
    twin.checkout("s1", "k1", 2, 299, refused(409, "total-changed", None));
    passes(&twin);
}

#[test]
fn k14_out_of_stock_is_said_only_of_what_is_out_of_stock() {
    let says = |available: i64| {
        let mut world = good();
        let body = json!({"operation_ref": "o4", "sku": "B", "available": available});
        let sent = world.0.sent.iter_mut().find(|sent| sent.key.as_deref() == Some("k4")).unwrap();
        sent.reply = told(409, "out-of-stock", &body, Some("o4"));
        world
    };
    fails(&says(9), Check::K14Linearizable, "no order of purchases explains what was said about the stock of B");
    fails(&says(10), Check::K14Linearizable, "about the stock of B");
    fails(&says(4), Check::K14Linearizable, "about the stock of B");
    passes(&says(7));
}

#[test]
fn k16_a_session_is_known_until_the_end() {
    let mut bad = good();
    bad.send("s1", What::View, "", 700, refused(401, "unauthenticated", None));
    fails(&bad, Check::K16Sessions, "at 700 ms a customer's session was not known any more");
    let mut bad = good();
    bad.0.forgotten.insert("s3".to_owned());
    fails(&bad, Check::K16Sessions, "was not known at the end");
    let mut bad = good();
    bad.send("s1", What::View, "", 700, refused(401, "unauthenticated", None));
    bad.0.stale_sessions_ms = vec![(650, 750)];
    bad.0.forgotten.insert("s1".to_owned());
    fails(&bad, Check::K16Sessions, "was not known at the end");
    // Its twin: a node of sessions woke at that moment, and knew the customer later.
    bad.0.forgotten.clear();
    passes(&bad);
    // The twin: a busy shop forgets nobody.
    let mut twin = good();
    twin.send("s1", What::View, "", 700, refused(503, "busy", None));
    passes(&twin);
}
