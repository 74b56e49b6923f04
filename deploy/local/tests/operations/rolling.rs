//! DR-7 (L5 of the proof): `loadtest rolling`, as anybody would run it. Every node of every family is restarted in turn by
//! SIGTERM, under customers who send nothing twice, and no request fails. One round on each change;
//! `TRESTLE_PROOF=nightly` makes it twenty, with 100,000 requests at least. And for comparison one node that dies.

use std::process::Command;

use serde_json::Value;
use testkit::{ports::Ports, postgres::Postgres};

use crate::loadtest;

fn rolling(arguments: &[&str], database: Option<&str>) -> (bool, Value, String) {
    let figures = tempfile::NamedTempFile::new().unwrap();
    let ports = Ports::claim();
    let mut rolling = Command::new(loadtest());
    rolling.args(["rolling", "--port", &ports.first().to_string(), "--trestle", env!("CARGO_BIN_EXE_trestle")]);
    rolling.args(arguments).arg("--json").arg(figures.path()).env_remove("TRESTLE_DATABASE");
    rolling.envs(database.map(|uri| ("TRESTLE_DATABASE", uri)));
    let output = rolling.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    println!("{}", text.trim_end().lines().last().unwrap_or_default());
    let json = serde_json::from_slice(&std::fs::read(figures.path()).unwrap()).unwrap_or_default();
    (output.status.success(), json, text)
}

/// On PostgreSQL: what nodes of several machines have in common.
#[test]
fn a_restart_of_every_node_in_turn_fails_no_request() {
    let postgres = Postgres::start();
    let nightly = std::env::var("TRESTLE_PROOF").is_ok_and(|proof| proof == "nightly");
    let size = if nightly { ["--rounds", "20", "--requests", "100000"] } else { ["--rounds", "1", "--requests", "0"] };
    let (passed, figures, text) = rolling(&size, Some(&postgres.uri()));
    assert!(passed && figures["failed"] == 0, "{text}");
    // It was no empty run.
    assert!(figures["restarts"].as_u64() >= Some(14) && figures["requests"].as_u64() > Some(500), "{text}");
}

/// Customers, 8 of them, have one request each under way: no more can be in flight on the node.
#[test]
fn of_a_node_that_dies_only_what_was_in_flight_fails() {
    let (passed, figures, text) = rolling(&["--kill", "logic"], None);
    assert!(passed && figures["failed"].as_u64() <= Some(8), "{text}");
}
