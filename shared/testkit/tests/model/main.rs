//! L0: the checkout protocol of our chain of owners as a model, its whole space explored, and a variant for every rule
//! that must turn out to be needed.
//!
//! One client key, one product. Every process may crash in any step, any number of times, and every request between our
//! tiers may be lost, late, doubled or overtaken, so none of these is counted. Counted are what the client sends, what
//! the gateways send, and the nodes; `TRESTLE_PROOF=nightly` has one more node and one more request of the client.
//!
//! Where it abstracts: `accepted` and `needs_attention` are one state, as they are to every guard. A lease may lapse at
//! any time. All clocks are one, of three values: the window is open, over, or so long over that the provider forgets.
//! A transaction is one step. Permits, refunds, carts, the expiry of keys and the receipt are not in it.

mod model;
mod owners;
mod properties;
mod quotient;
mod recovery;
mod state;
mod steps;
mod table;
mod variant;

use std::time::Duration;

use stateright::{Checker as _, DiscoveryClassification, HasDiscoveries, Model as _};
use tokio::time::Instant;

use crate::{
    model::Checkout,
    variant::{Size, Variant},
};

/// Fewer reachable states mean that something can happen no more.
const STATES_MIN: usize = 140_000;

/// What the checker found.
struct Found {
    states: usize,
    /// Violated, by name.
    violated: Vec<&'static str>,
    /// Never happened, by name.
    missed: Vec<&'static str>,
    /// How a violation comes about.
    story: String,
    took: Duration,
}

fn is_nightly() -> bool {
    std::env::var("TRESTLE_PROOF").is_ok_and(|size| size == "nightly")
}

fn size() -> Size {
    let more = u8::from(is_nightly());
    Size { workers: 2 + more, requests: 2 + more, sends: 3 }
}

/// Explores the whole space, or until all that should be violated is.
fn explore(variant: Variant, size: Size) -> Found {
    let started = Instant::now();
    let until = match variant.caught_by {
        [] => HasDiscoveries::AnyFailures,
        properties => HasDiscoveries::AllOf(properties.iter().copied().collect()),
    };
    let model = Checkout { variant, size };
    let checker = model.checker().threads(2).finish_when(until).spawn_bfs().join();
    let found = checker.discoveries();
    let (mut violated, mut story) = (Vec::new(), String::new());
    for (name, path) in &found {
        if matches!(checker.discovery_classification(name), DiscoveryClassification::Counterexample) {
            violated.push(*name);
            let steps: Vec<_> = path.clone().into_actions().iter().map(|action| format!("{action:?}")).collect();
            story = format!("{story}\n  {name}: {}", steps.join(", "));
        }
    }
    let names = checker.model().properties().into_iter().map(|property| property.name);
    let missed = names.filter(|name| properties::is_sometimes(name) && !found.contains_key(name)).collect();
    Found { states: checker.unique_state_count(), violated, missed, story, took: started.elapsed() }
}

fn row(variant: Variant, found: &Found, result: &str) -> String {
    format!("{:<52} {:>9} {:>6.2} s  {result}", variant.name, found.states, found.took.as_secs_f64())
}

#[test]
fn the_protocol_holds_in_its_whole_space() {
    for variant in table::sound() {
        let found = explore(variant, size());
        println!("{}", row(variant, &found, if found.violated.is_empty() { "holds" } else { "VIOLATED" }));
        assert!(found.violated.is_empty(), "{}: {}", variant.name, found.story);
        assert!(found.missed.is_empty(), "{}: the model never gets to: {:?}", variant.name, found.missed);
        assert!(found.states >= STATES_MIN, "{}: {} states: the model has shrunk", variant.name, found.states);
    }
}

#[test]
fn every_mutant_is_caught() {
    // Found sooner with fewer sends; a mutant needs no whole space.
    let size = Size { workers: 2, requests: 2, sends: 2 };
    for variant in table::mutants() {
        let found = explore(variant, size);
        println!("{}", row(variant, &found, &variant.caught_by.join("; ")));
        for property in variant.caught_by {
            assert!(found.violated.contains(property), "{}: not caught by \"{property}\"", variant.name);
        }
    }
}
