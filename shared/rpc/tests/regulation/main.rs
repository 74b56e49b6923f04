//! What the client does when those it calls are slow, failing, gone or overloaded: figures F5, F8 and F9 of the plan, in
//! paused time, beside what the same calls meet without protection.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod below;
mod town;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use overload::{Class, Settings};
use rpc::Transport as _;
use tokio::time::Instant;
use town::{State, Town, WELL, Went, customers, offer};

/// Half of what four nodes can do.
const RATE: u32 = 400;

fn unprotected() -> Settings {
    r#"{"protection":false}"#.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_ten_times_slower_gets_few_calls_and_its_share_when_it_is_well_again() {
    let town = Town::new(4);
    let (client, node) = town.caller();
    let healthy = customers(&client, Class::Normal, RATE, 10).await;
    assert!((20.0..30.0).contains(&town.share("node:0").0), "evenly while all are well");
    town.set("node:0", State::Slow(10));
    customers(&client, Class::Normal, RATE, 2).await;
    town.share("node:0");
    let slowed = customers(&client, Class::Normal, RATE, 20).await;
    let (share, _) = town.share("node:0");
    node.limits.set(unprotected()).unwrap();
    let bare = customers(&client, Class::Normal, RATE, 20).await;
    let (bare_share, _) = town.share("node:0");
    let in_turn = offer(RATE, Duration::from_secs(20), |number| {
        let (town, address) = (town.clone(), format!("node:{}", number % 4));
        async move {
            let request = client_request();
            tokio::time::timeout(Duration::from_secs(1), town.send(&address, request)).await.is_ok()
        }
    })
    .await;
    let ratio = |went: &Went| went.p99_ms() as f64 / healthy.p99_ms() as f64;
    println!("F8 in process: p99 healthy {} ms; one of four ten times slower:", healthy.p99_ms());
    println!("  protected: {:.1} x, share {share:.1} %", ratio(&slowed));
    println!("  choice of two by calls in flight: {:.1} x, share {bare_share:.1} %", ratio(&bare));
    println!("  in turn: {} of {} take more than a second", in_turn.calls - in_turn.good, in_turn.calls);
    assert!(ratio(&slowed) <= 1.5, "F8 wants 1.5 and must have 3: {:.2}", ratio(&slowed));
    assert!(share < 1.0 && slowed.good == slowed.calls, "{share} %, {} of {}", slowed.good, slowed.calls);
    assert!(ratio(&bare) > 3.0 && in_turn.calls - in_turn.good > 1_000, "or the test shows nothing");

    node.limits.set(Settings::default()).unwrap();
    town.set("node:0", WELL);
    customers(&client, Class::Normal, RATE, 5).await;
    town.share("node:0");
    customers(&client, Class::Normal, RATE, 5).await;
    let (share, _) = town.share("node:0");
    assert!((18.0..32.0).contains(&share), "well again for 5 s, and has {share} %");
}

fn client_request() -> rpc::WireRequest {
    rpc::WireRequest {
        operation: "test.look",
        secret: runtime::Secret::new("the-cluster-secret").unwrap(),
        deadline_ms: 1_000,
        traceparent: String::new(),
        class: Class::Normal,
        key: None,
        attempt: 1,
        body: "{}".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_at_once_draws_no_calls_and_is_found_well_again() {
    let town = Town::new(4);
    let (client, node) = town.caller();
    customers(&client, Class::Normal, RATE, 5).await;
    town.share("node:1");
    town.set("node:1", State::Failing);
    customers(&client, Class::Normal, RATE, 5).await;
    let (during, _) = town.share("node:1");
    let after = customers(&client, Class::Normal, RATE, 10).await;
    let (share, all) = town.share("node:1");
    println!("F9 in process: share of the failing node {during:.2} % in the first 5 s, {share:.2} % of {all} after");
    assert!(share <= 2.0, "F9 wants 2 % and must have 10 %: {share}");
    assert!(after.calls - after.good < after.calls / 200, "{} of {} failed", after.calls - after.good, after.calls);

    town.set("node:1", WELL);
    // The breaker's wait has doubled up to 8 s by now, plus jitter.
    customers(&client, Class::Normal, RATE, 11).await;
    town.share("node:1");
    customers(&client, Class::Normal, RATE, 5).await;
    let (share, _) = town.share("node:1");
    assert!((18.0..32.0).contains(&share), "well again, and has {share} %");

    node.limits.set(unprotected()).unwrap();
    town.set("node:1", State::Failing);
    customers(&client, Class::Normal, RATE, 10).await;
    let (share, _) = town.share("node:1");
    assert!(share > 30.0, "without protection it draws the calls: {share} %");
}

#[tokio::test(start_paused = true)]
async fn in_a_total_outage_attempts_are_few_and_its_end_is_noticed() {
    for (how, least) in [(State::Gone, 0.0), (State::Breaking, 0.9), (State::Failing, 0.9)] {
        let town = Town::new(2);
        let (client, _node) = town.caller();
        customers(&client, Class::Normal, 100, 20).await;
        town.share("node:0");
        town.set_all(how);
        let during = customers(&client, Class::Normal, 100, 30).await;
        let (_, attempts) = town.share("node:0");
        let ratio = attempts as f64 / during.calls as f64;
        println!("F5 in process: all nodes {how:?} for 30 s: {ratio:.2} attempts a call");
        assert_eq!(during.good, 0);
        assert!(ratio <= 1.1, "F5 wants 1.1 and must have 1.2: {ratio}");
        assert!(ratio >= least, "{ratio}: nodes that answer are asked");

        town.set_all(WELL);
        let ended = Instant::now();
        let back = Arc::new(AtomicBool::new(false));
        while !back.load(Ordering::Relaxed) {
            assert!(ended.elapsed() <= Duration::from_secs(1), "the end was not noticed within a second");
            let went = customers(&client, Class::Normal, 1, 1);
            back.store(
                tokio::time::timeout(Duration::from_millis(100), went).await.is_ok_and(|went| went.good > 0),
                Ordering::Relaxed,
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("  end noticed after {} ms", ended.elapsed().as_millis());
        let after = customers(&client, Class::Normal, 100, 10).await;
        assert_eq!(after.good, after.calls, "and all calls succeed from then on");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_overload_is_resent_only_if_it_sells_and_once() {
    let town = Town::new(3);
    let (client, node) = town.caller();
    town.set_all(State::Shedding);
    for (class, attempts) in [(Class::Emergency, 1), (Class::Critical, 2), (Class::Normal, 1), (Class::Sheddable, 1)] {
        let _ = node.pressure.take();
        assert_eq!(customers(&client, class, 1, 1).await.good, 0);
        assert_eq!(town.share("node:0").1, attempts, "{class}");
        let pressure = node.pressure.take();
        let refused = if class == Class::Critical { pressure.refused_critical } else { pressure.refused };
        assert_eq!(refused, attempts, "{class}");
    }
    town.set("node:2", WELL);
    let critical = customers(&client, Class::Critical, 50, 2).await;
    assert!(critical.good >= 95, "the one that has room is found: {}", critical.good);
    let page = node.metrics.page();
    assert!(
        !page.lines().any(|line| line.starts_with("trestle_breaker_transitions")),
        "shedding opens nothing: {page}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_nodes_that_shed_sheds_itself_and_forgets_it_soon() {
    let town = Town::new(2);
    let (client, node) = town.caller();
    town.set_all(State::Shedding);
    customers(&client, Class::Sheddable, 500, 5).await;
    town.share("node:0");
    customers(&client, Class::Sheddable, 500, 5).await;
    let (_, attempts) = town.share("node:0");
    assert!((50..80).contains(&attempts), "of 2500 calls ten a second are let through: {attempts}");
    customers(&client, Class::Critical, 100, 1).await;
    assert!(town.share("node:0").1 >= 100, "what sells is not throttled");
    let page = node.metrics.page();
    for shown in
        ["trestle_client_throttled_total{class=\"sheddable\",target=\"logic\"}", "trestle_client_throttle_permille"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    town.set_all(WELL);
    customers(&client, Class::Sheddable, 200, 1).await;
    let after = customers(&client, Class::Sheddable, 200, 5).await;
    assert_eq!(after.good, after.calls, "a second after");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_decides_is_shown() {
    let town = Town::new(2);
    let (client, node) = town.caller();
    // Two clients of one node, as in every logic node.
    let discovery = "static://node:0".parse().unwrap();
    let _other = rpc::Client::new(&node, town.clone(), discovery, rpc::ClientOptions::default());
    customers(&client, Class::Normal, 10, 1).await;
    town.set("node:0", State::Breaking);
    customers(&client, Class::Normal, 100, 2).await;
    town.set_all(State::Gone);
    customers(&client, Class::Normal, 100, 4).await;
    let page = node.metrics.page();
    for line in [
        "trestle_client_attempts_total{attempt=\"1\",target=\"logic\"}",
        "trestle_client_attempts_total{attempt=\"2\",target=\"logic\"}",
        "trestle_client_budget{target=\"logic\"}",
        "trestle_client_budget_exhausted_total{target=\"logic\"}",
        "trestle_client_fail_fast_total{target=\"logic\"}",
        "trestle_client_gate_shut{target=\"logic\"} 1",
        "trestle_breaker_state{endpoint=\"node:0\",target=\"logic\"} 2",
        "trestle_breaker_transitions_total{change=\"opened_by_run\",endpoint=\"node:0\",target=\"logic\"}",
        "trestle_client_endpoints{state=\"unready\",target=\"logic\"} 2",
        "trestle_client_cost_permille{bound=\"max\",target=\"logic\"}",
    ] {
        assert!(page.contains(line), "{line} is missing:\n{page}");
    }
}
