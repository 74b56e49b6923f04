//! The list of all data sets: who owns each, how it is shared, and what that keeps and loses. `docs/data-sets.md` is
//! rendered from it, and `trestle up --sharing` refuses to change what must not be changed (MEM-8).

use std::fmt::Write as _;

use crate::Family;

/// What is known about a set of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSetInfo {
    /// Its name in configuration and documents.
    pub name: &'static str,
    /// Who owns it: no other family touches its store.
    pub family: Family,
    /// How it is shared unless told otherwise.
    pub sharing: &'static str,
    /// Whether another sharing may be chosen.
    pub is_choosable: bool,
    /// What it can be kept in, by the scheme of the URI; the first is the default.
    pub stores: &'static str,
    /// How much there may be, and how long it is kept.
    pub bounds: &'static str,
    /// What is lost when, and what is never.
    pub loses: &'static str,
    /// Why it is shared like this.
    pub why: &'static str,
}

/// Every data set, by family.
pub const DATA_SETS: &[DataSetInfo] = &[
    DataSetInfo {
        name: "sessions",
        family: Family::Sessions,
        sharing: "everything",
        is_choosable: true,
        stores: "memory, redis",
        bounds: "1,000,000 entries a node; until an hour after they expire",
        loses: "everything: only when all nodes die; something(n): only when n holders die within one repair; nothing: those of \
                the dead node, whose customers get a new session",
        why: "every request looks its session up, so every node has it; a join in which revocation wins",
    },
    DataSetInfo {
        name: "accounts",
        family: Family::Sessions,
        sharing: "everything",
        is_choosable: false,
        stores: "sqlite, postgres",
        bounds: "unbounded; for ever",
        loses: "nothing that was acknowledged, as far as the disk keeps it",
        why: "two customers must not own one address, so it needs one order of changes",
    },
    DataSetInfo {
        name: "carts",
        family: Family::Carts,
        sharing: "something(3)",
        is_choosable: true,
        stores: "memory, redis",
        bounds: "1,000,000 carts a node, 2,000 changes an epoch and cart; 30 days after the last change",
        loses: "something(n): only when n holders die within one repair; everything: only when all nodes die; nothing: those of \
                the dead node",
        why: "an add must never be refused because a node or a site is away; carts merge, so copies may differ for a while",
    },
    DataSetInfo {
        name: "products",
        family: Family::Catalogue,
        sharing: "everything",
        is_choosable: false,
        stores: "sqlite, postgres",
        bounds: "seeded at the first start; a page has at most 100",
        loses: "nothing; another site reads a copy, which may be some seconds old",
        why: "read by everybody, changed by nobody but the shop",
    },
    DataSetInfo {
        name: "stock",
        family: Family::Catalogue,
        sharing: "everything",
        is_choosable: false,
        stores: "sqlite, postgres",
        bounds: "a level for each product, a reservation for each checkout; the ledger outlives the keys",
        loses: "nothing that was acknowledged, as far as the disk keeps it",
        why: "the last piece must not be sold twice: one order of changes, compare-and-set",
    },
    DataSetInfo {
        name: "orders",
        family: Family::Orders,
        sharing: "everything",
        is_choosable: false,
        stores: "sqlite, postgres",
        bounds: "answers by key for as long as `docs/exactly-once.md` says; orders for ever",
        loses: "nothing that was acknowledged, as far as the disk keeps it",
        why: "one key is one order: the claim is an insert that one caller wins; with the outbox in the same transaction",
    },
    DataSetInfo {
        name: "charges",
        family: Family::Payments,
        sharing: "everything",
        is_choosable: false,
        stores: "sqlite, postgres",
        bounds: "a row for each checkout, and the shares of the permits; for ever",
        loses: "nothing that was acknowledged, as far as the disk keeps it",
        why: "money: what may have been sent to the provider must be known before it is sent",
    },
    DataSetInfo {
        name: "price and page caches",
        family: Family::Logic,
        sharing: "nothing",
        is_choosable: false,
        stores: "memory",
        bounds: "one for each node; seconds",
        loses: "all of it with its node, which nobody notices",
        why: "a cache is made again; a checkout reads the prices themselves",
    },
    DataSetInfo {
        name: "rate counters",
        family: Family::Sessions,
        sharing: "nothing",
        is_choosable: false,
        stores: "memory",
        bounds: "failed passwords of one node; minutes",
        loses: "all of it with its node: a guesser gets as many tries again",
        why: "counting them together would make every login wait for every node",
    },
];

/// `docs/data-sets.md`, rendered from the list; a test fails when the file is stale.
#[must_use]
pub fn data_sets_page() -> String {
    let mut page = String::from(
        "# Data sets\n\n\
         Generated from `shared/contract` (`UPDATE_DOCS=1 cargo test -p contract`); do not edit. What the sharing strategies\n\
         mean, and how to watch each fail, is in [sharing-strategies.md](sharing-strategies.md).\n\n\
         | data set | owner | sharing | kept in | bounds | what is lost | why |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for set in DATA_SETS {
        let sharing = if set.is_choosable {
            format!("{} (`trestle up --sharing {}=...`)", set.sharing, set.name)
        } else {
            format!("{}, always", set.sharing)
        };
        let DataSetInfo { name, family, stores, bounds, loses, why, .. } = set;
        let _ = writeln!(page, "| {name} | {family} | {sharing} | {stores} | {bounds} | {loses} | {why} |");
    }
    page
}
