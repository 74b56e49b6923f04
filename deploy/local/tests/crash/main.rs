//! L3 of the proof: real processes that kill themselves at named crash points. Each point x first and second hit x client
//! that repeats or is gone x SQLite and PostgreSQL, on shops with two nodes of each family; after each, from outside:
//! exactly one order and one charge, stock conserved, the bought lines out of the cart, one receipt, nothing left open.
//!
//! Two repetitions of each on each change; `TRESTLE_PROOF=nightly` makes it fifty, `TRESTLE_REPETITIONS=n` any number. A
//! point that nobody comes to fails its case: a kill that did not happen proves nothing (T-4). One table of all cases is
//! printed at the end.
#![expect(clippy::unwrap_used, reason = "tests")]

mod buyer;
mod case;
#[expect(dead_code, reason = "the tests of the shop use more of it")]
#[path = "../common/cluster.rs"]
mod cluster;
mod lane;
mod operator;
mod points;
mod report;
mod story;

use std::{collections::VecDeque, rc::Rc, sync::Mutex};

use testkit::postgres::Postgres;
use tokio::{
    task::{JoinError, LocalSet, spawn_local},
    time::Instant,
};

use case::{Case, Client};
use lane::{Lane, Window};
use points::{POINTS, Story};
use report::Row;

/// Shops that run at once: most of a case is waiting for a lease to lapse.
const LANES: usize = 3;
/// A run that fails this often has shown what it can.
const FAILURES_MAX: usize = 5;

fn repetitions() -> u32 {
    let asked = std::env::var("TRESTLE_REPETITIONS").ok();
    let nightly = std::env::var("TRESTLE_PROOF").is_ok_and(|size| size == "nightly");
    asked.map_or(if nightly { 50 } else { 2 }, |number| {
        number.parse().unwrap_or_else(|_| panic!("TRESTLE_REPETITIONS={number} is no number"))
    })
}

/// Every combination, of the points that need a short window or of the others. Neighbours differ in their point, so that no
/// node is killed so often at once that its supervisor gives up. `TRESTLE_CRASH_ONLY` keeps the points that contain it.
fn cases(window: Window) -> VecDeque<Case> {
    let only = std::env::var("TRESTLE_CRASH_ONLY").unwrap_or_default();
    let mut cases = VecDeque::new();
    for repetition in 1..=repetitions() {
        for hit in [1, 2] {
            for client in [Client::Repeats, Client::Gone] {
                let fitting = POINTS.iter().filter(|point| (point.story == Story::Lapsed) == (window == Window::Short));
                let named = fitting.filter(|point| point.name.contains(&only));
                cases.extend(named.map(|point| Case { point, hit, client, repetition }));
            }
        }
    }
    cases
}

#[derive(Debug, Default)]
struct Results {
    rows: Vec<Row>,
    failures: Vec<String>,
}

/// Works on cases until there are none. A failed case leaves a shop that is no use, so the next gets a new one.
async fn work(window: Window, server: Option<&Postgres>, cases: &Mutex<VecDeque<Case>>, results: &Mutex<Results>) {
    let mut lane = None;
    loop {
        let Some(case) = cases.lock().unwrap().pop_front() else { return };
        let here = match lane.take() {
            Some(lane) => lane,
            None => Rc::new(Lane::start(window, server).await),
        };
        lane = Some(here.clone());
        // On a task of its own, which catches its panic.
        let outcome = spawn_local(async move { case.run(&here).await }).await;
        let mut results = results.lock().unwrap();
        match outcome {
            Ok(row) => results.rows.push(row),
            Err(error) => {
                results.failures.push(format!("{case}: {}", text_of(error)));
                lane = None;
                if results.failures.len() >= FAILURES_MAX {
                    cases.lock().unwrap().clear();
                }
            }
        }
    }
}

fn text_of(error: JoinError) -> String {
    match error.into_panic().downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().copied().unwrap_or("a panic without text").to_owned(),
    }
}

/// Each shop has a thread of its own: asking for the state of its nodes blocks.
fn prove(store: &str, server: Option<&Postgres>) {
    let began = Instant::now();
    let results = Mutex::new(Results::default());
    let (short, long) = (Mutex::new(cases(Window::Short)), Mutex::new(cases(Window::Long)));
    std::thread::scope(|scope| {
        for number in 0..=LANES {
            let (window, cases) = if number == 0 { (Window::Short, &short) } else { (Window::Long, &long) };
            let results = &results;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, work(window, server, cases, results));
            });
        }
    });
    let Results { rows, failures } = results.into_inner().unwrap();
    report::print(store, &rows, began.elapsed());
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n\n"));
    assert!(!rows.is_empty(), "no case ran");
}

#[test]
fn whoever_dies_where_there_is_one_order_and_one_charge_on_sqlite() {
    prove("SQLite", None);
}

#[test]
fn whoever_dies_where_there_is_one_order_and_one_charge_on_postgresql() {
    prove("PostgreSQL", Some(&Postgres::fast()));
}
