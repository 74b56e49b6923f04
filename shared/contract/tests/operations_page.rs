//! `docs/operations.md` is what the contract says, and the contract's names are what they claim to be.

use std::{collections::BTreeSet, path::Path};

use contract::{Family, OPERATIONS, operations_page};

#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, operations_page()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == operations_page(), "docs/operations.md is stale: run UPDATE_DOCS=1 cargo test -p contract");
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
