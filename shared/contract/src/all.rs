//! The list of all operations: what metrics, documents and coverage tests are checked against.

use std::fmt::Write as _;

use serde_json::Result;

use crate::{Family, Operation, Strategy, carts, catalogue, orders, payments, sessions, shop};

/// What is known about an operation without its types.
#[derive(Clone, Copy, Debug)]
pub struct OperationInfo {
    /// Its name.
    pub name: &'static str,
    /// Who serves it.
    pub family: Family,
    /// The label of its strategy.
    pub strategy: &'static str,
    /// What it does and why this strategy is the weakest that is right.
    pub why: &'static str,
    /// The body of its example.
    pub example: fn() -> Result<Vec<u8>>,
    /// Reads a body as its request and writes it again: what a node of this version makes of another's (DR-8).
    pub reread: fn(&[u8]) -> Result<Vec<u8>>,
}

fn example<O: Operation>() -> Result<Vec<u8>> {
    serde_json::to_vec(&O::example())
}

fn reread<O: Operation>(body: &[u8]) -> Result<Vec<u8>> {
    serde_json::to_vec(&serde_json::from_slice::<O>(body)?)
}

const fn info<O: Operation>() -> OperationInfo {
    OperationInfo {
        name: O::NAME,
        family: O::FAMILY,
        strategy: <O::Retry as Strategy>::LABEL,
        why: O::WHY,
        example: example::<O>,
        reread: reread::<O>,
    }
}

/// Every operation between tiers, by family.
pub const OPERATIONS: &[OperationInfo] = &[
    info::<shop::Products>(),
    info::<shop::Categories>(),
    info::<shop::ShowProduct>(),
    info::<shop::Viewed>(),
    info::<shop::Register>(),
    info::<shop::Login>(),
    info::<shop::OpenSession>(),
    info::<shop::WhoAmI>(),
    info::<shop::Logout>(),
    info::<shop::ShowCart>(),
    info::<shop::AddToCart>(),
    info::<shop::SetLine>(),
    info::<shop::RemoveLine>(),
    info::<shop::Checkout>(),
    info::<shop::Orders>(),
    info::<shop::ShowOrder>(),
    info::<shop::Attention>(),
    info::<shop::Inspect>(),
    info::<shop::Resolve>(),
    info::<shop::Reconcile>(),
    info::<shop::ProviderEvent>(),
    info::<sessions::Register>(),
    info::<sessions::Login>(),
    info::<sessions::Open>(),
    info::<sessions::Admit>(),
    info::<sessions::Lookup>(),
    info::<sessions::Revoke>(),
    info::<sessions::Merge>(),
    info::<sessions::Page>(),
    info::<sessions::Digest>(),
    info::<sessions::Fetch>(),
    info::<carts::View>(),
    info::<carts::Add>(),
    info::<carts::Set>(),
    info::<carts::Remove>(),
    info::<carts::Clear>(),
    info::<carts::Adopt>(),
    info::<carts::Merge>(),
    info::<carts::Page>(),
    info::<carts::Digest>(),
    info::<carts::Fetch>(),
    info::<catalogue::List>(),
    info::<catalogue::Categories>(),
    info::<catalogue::Products>(),
    info::<catalogue::Reserve>(),
    info::<catalogue::Release>(),
    info::<catalogue::Settle>(),
    info::<catalogue::Viewed>(),
    info::<orders::Find>(),
    info::<orders::Open>(),
    info::<orders::Take>(),
    info::<orders::Heartbeat>(),
    info::<orders::Postpone>(),
    info::<orders::Nudge>(),
    info::<orders::Complete>(),
    info::<orders::Refuse>(),
    info::<orders::Due>(),
    info::<orders::Events>(),
    info::<orders::Ack>(),
    info::<orders::Attention>(),
    info::<orders::Inspect>(),
    info::<orders::Resolve>(),
    info::<orders::Flag>(),
    info::<orders::Get>(),
    info::<orders::List>(),
    info::<payments::Outlook>(),
    info::<payments::Charge>(),
    info::<payments::Close>(),
    info::<payments::Attest>(),
    info::<payments::Refund>(),
    info::<payments::Observe>(),
    info::<payments::Inspect>(),
    info::<payments::Reconcile>(),
];

/// `docs/operations.md`, rendered from the list; a test fails when the file is stale.
#[must_use]
pub fn operations_page() -> String {
    let mut page = String::from(
        "# Operations between tiers\n\n\
         Generated from `shared/contract` (`UPDATE_DOCS=1 cargo test -p contract`); do not edit.\n\n\
         Every operation is `POST /op/<name>`. Its retry strategy is a type: see `shared/contract/src/retry.rs`.\n",
    );
    for family in Family::ALL.into_iter().rev() {
        let served: Vec<_> = OPERATIONS.iter().filter(|operation| operation.family == family).collect();
        if served.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {family}\n\n| operation | strategy | why |\n| --- | --- | --- |\n");
        for operation in served {
            let _ = writeln!(page, "| `{}` | {} | {} |", operation.name, operation.strategy, operation.why);
        }
    }
    page
}
