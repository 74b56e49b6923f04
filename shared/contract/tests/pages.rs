//! `docs/operations.md` and `docs/data-sets.md` are what the contract says, and its names are what they claim to be.

use std::{collections::BTreeSet, path::Path};

use contract::{DATA_SETS, Family, OPERATIONS, carts, data_sets_page, operations_page, sessions};

#[test]
fn the_pages_are_fresh() {
    for (name, rendered) in [("operations.md", operations_page()), ("data-sets.md", data_sets_page())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &rendered).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(page == rendered, "docs/{name} is stale: run UPDATE_DOCS=1 cargo test -p contract");
    }
}

/// MEM-8: what must not be sold twice is never available under a partition.
#[test]
fn only_what_merges_may_be_shared_otherwise() {
    let choosable: Vec<_> = DATA_SETS.iter().filter(|set| set.is_choosable).map(|set| set.name).collect();
    assert_eq!(choosable, ["sessions", "carts"]);
    // The page says what nodes do by default.
    let shown = |name| DATA_SETS.iter().find(|set| set.name == name).unwrap().sharing.parse();
    assert_eq!((shown("sessions"), shown("carts")), (Ok(sessions::SHARING), Ok(carts::SHARING)));
}

#[test]
fn names_are_unique_and_say_who_serves() {
    let names: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        let prefix = if operation.family == Family::Logic { "shop" } else { operation.family.name() };
        assert!(operation.name.starts_with(&format!("{prefix}.")), "{}", operation.name);
        assert!(!operation.why.is_empty());
    }
}
