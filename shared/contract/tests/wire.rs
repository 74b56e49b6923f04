//! Versions side by side (DR-8): today's types read what earlier versions wrote, skip what later ones may add, and spell a
//! request as before, because the fingerprint of a repeated one must be the same (IK-4).
//!
//! `tests/wire/VERSION.json` is what that version said: one body of every operation, and some answers. Recorded once, with
//! `RECORD_WIRE=1 cargo test -p contract --test wire`, when a version is released; never changed after.
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

use std::{collections::BTreeMap, path::PathBuf};

use contract::{OPERATIONS, OperationInfo, carts, catalogue, orders, payments, session::Session, shop};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// What no version knows.
const LATER: &str = "added_by_a_later_version";

#[derive(serde::Serialize, serde::Deserialize)]
struct Recorded {
    /// By name of the operation. As text, since the spelling counts.
    requests: BTreeMap<String, String>,
    /// By name of the type.
    answers: BTreeMap<String, Value>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn recorded() -> Vec<(String, Recorded)> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let version = path.file_stem().unwrap().to_string_lossy().into_owned();
        (version, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
    };
    let all: Vec<_> = files.map(read).collect();
    assert!(!all.is_empty(), "nothing is recorded");
    all
}

fn operation(name: &str) -> &'static OperationInfo {
    OPERATIONS.iter().find(|operation| operation.name == name).unwrap_or_else(|| {
        panic!("{name} is gone, and nodes of an earlier version call it: an operation goes one version after its last caller")
    })
}

/// The same with a field more in the object itself.
fn grown(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.insert(LATER.to_owned(), json!({"any": [1, null, "thing"]}));
    }
    value
}

/// Reads it, and again with something more in it, at the top and in what lies inside `at`.
fn reads<T: DeserializeOwned + Serialize>(version: &str, name: &str, answer: &Value, at: &[&str]) {
    let plain: T = serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{version} {name}: {error}"));
    let plain = serde_json::to_value(&plain).unwrap();
    for pointer in at {
        let mut more = answer.clone();
        let inside = more.pointer_mut(pointer).unwrap_or_else(|| panic!("{name}: nothing at {pointer:?}"));
        *inside = grown(inside);
        let read: T = serde_json::from_value(more).unwrap_or_else(|error| panic!("{name} at {pointer:?}: {error}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), plain, "{name} at {pointer:?}");
    }
}

#[test]
fn requests_of_earlier_versions_are_read_and_spelled_as_then() {
    for (version, recorded) in recorded() {
        for (name, body) in recorded.requests {
            let again = (operation(&name).reread)(body.as_bytes());
            let again = again.unwrap_or_else(|error| panic!("{version} {name}: {error}"));
            assert_eq!(String::from_utf8(again).unwrap(), body, "{version} {name}: its fingerprint would be another");
        }
    }
}

#[test]
fn what_a_later_version_adds_to_a_request_is_skipped() {
    let mut grew = 0;
    for operation in OPERATIONS {
        let body: Value = serde_json::from_slice(&(operation.example)().unwrap()).unwrap();
        let more = serde_json::to_vec(&grown(&body)).unwrap();
        let read = (operation.reread)(&more).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        let read: Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(read, body, "{}", operation.name);
        grew += usize::from(body.is_object());
    }
    assert!(grew > OPERATIONS.len() / 2, "only {grew} requests are objects: this test sees nothing");
}

#[test]
fn answers_of_earlier_versions_are_read_and_what_later_ones_add_is_skipped() {
    for (version, recorded) in recorded() {
        for (name, answer) in &recorded.answers {
            match name.as_str() {
                "carts.CartContents" => reads::<carts::CartContents>(&version, name, answer, &["", "/lines/0"]),
                "catalogue.Product" => reads::<catalogue::Product>(&version, name, answer, &[""]),
                "orders.OpenCheckout" => {
                    reads::<orders::OpenCheckout>(&version, name, answer, &["", "/snapshot", "/snapshot/lines/0"]);
                }
                "orders.Answer" => {
                    reads::<orders::Answer>(&version, name, answer, &["/completed", "/completed/lines/0"])
                }
                "orders.Event" => reads::<orders::Event>(&version, name, answer, &[""]),
                "payments.ChargeStatus" => reads::<payments::ChargeStatus>(&version, name, answer, &["/charged"]),
                "shop.CartView" => reads::<shop::CartView>(&version, name, answer, &[""]),
                // Kept, joined and written back: what was skipped would be lost, so nothing is.
                "session.Session" => {
                    reads::<Session>(&version, name, answer, &[]);
                    assert!(serde_json::from_value::<Session>(grown(answer)).is_err(), "a session would lose a field");
                }
                other => panic!("{version}: nobody reads {other} any more"),
            }
        }
    }
}

#[test]
fn this_version_is_recorded_or_records_itself() {
    let path = folder().join(format!("{}.json", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("RECORD_WIRE").is_some() && !path.exists() {
        let text = |operation: &OperationInfo| String::from_utf8((operation.example)().unwrap()).unwrap();
        let requests = OPERATIONS.iter().map(|operation| (operation.name.to_owned(), text(operation))).collect();
        let answers = BTreeMap::new();
        std::fs::write(&path, serde_json::to_vec_pretty(&Recorded { requests, answers }).unwrap()).unwrap();
    }
    assert!(path.exists(), "record this version: RECORD_WIRE=1 cargo test -p contract --test wire");
}
