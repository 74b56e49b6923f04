//! How a shop begins and ends.

use std::{net::TcpStream, os::unix::fs::PermissionsExt as _, time::Duration};

use rustix::process::Signal;
use tokio::time::Instant;

use crate::harness::{Shop, runs, send, until};

#[test]
fn every_family_is_ready_on_the_documented_ports_and_the_output_is_plain_in_a_pipe() {
    let shop = Shop::start();
    let nodes = shop.nodes();
    assert_eq!(nodes.len(), 15);
    for node in &nodes {
        assert_eq!((&node["state"], &node["site"]), (&"ready".into(), &"local".into()), "{node}");
        TcpStream::connect(node["address"].as_str().unwrap()).unwrap();
        TcpStream::connect(node["ops_address"].as_str().unwrap()).unwrap();
    }
    for (id, offset) in [("frontend-1", 0), ("frontend-2", 1), ("provider-1", 19)] {
        assert_eq!(shop.node(id)["address"], format!("127.0.0.1:{}", shop.port + offset));
    }
    let said = shop.said();
    assert!(said.contains(&format!("http://127.0.0.1:{}/docs", shop.port)) && !said.contains('\x1b'), "{said}");
    let (_, table) = shop.ask(&["status"]);
    assert!(table.starts_with("NODE ") && table.contains("15 nodes") && !table.contains('\x1b'), "{table}");
    for file in ["cluster.secret", "control.json"] {
        let mode = std::fs::metadata(shop.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn nodes_die_with_their_supervisor_even_by_sigkill() {
    let mut shop = Shop::start();
    assert!(shop.ask(&["pause", "logic-1"]).0, "a paused node too");
    let pids = shop.pids();
    shop.child.kill().unwrap();
    shop.wait();
    until("every node has ended", || pids.iter().all(|pid| !runs(*pid)).then_some(()));
}

#[test]
fn ctrl_c_ends_everything_within_5_s() {
    let mut shop = Shop::start();
    assert!(shop.ask(&["pause", "payments-2"]).0, "a paused node too");
    let (pids, began) = (shop.pids(), Instant::now());
    send(shop.child.id(), Signal::INT);
    assert!(shop.wait().success(), "{}", shop.said());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(pids.iter().all(|pid| !runs(*pid)));
    assert!(!shop.data().join("control.json").exists());
    assert!(shop.said().contains("all nodes have ended") && !shop.said().contains("was killed"), "{}", shop.said());
}

#[test]
fn after_sigterm_the_next_start_takes_the_same_ports_and_secret() {
    let mut shop = Shop::start();
    let secret = |shop: &Shop| std::fs::read(shop.data().join("cluster.secret")).unwrap();
    let before = secret(&shop);
    send(shop.child.id(), Signal::TERM);
    assert!(shop.wait().success(), "{}", shop.said());
    shop.start_again();
    assert_eq!(secret(&shop), before);
    assert!(shop.nodes().iter().all(|node| node["state"] == "ready"));
}

#[test]
fn after_sigkill_the_next_start_takes_the_same_ports() {
    let mut shop = Shop::start();
    shop.child.kill().unwrap();
    shop.wait();
    shop.start_again();
    assert!(shop.nodes().iter().all(|node| node["state"] == "ready"));
}
