//! CART-2: after full exchange the content is what an oracle says that knows nothing of merging.

use std::collections::{BTreeMap, BTreeSet};

use contract::{OpId, cart::Cart};
use proptest::prelude::*;

use crate::{Merge, SKUS, config, live, op, ours, pieces, sku};

const CASES: u32 = 5_000;

/// One request as a client sends it, also again and elsewhere: everything in it is fixed before its first send.
#[derive(Clone, Debug)]
enum Request {
    Add { number: usize, product: usize, quantity: u32 },
    Set { number: usize, product: usize, observed: Vec<OpId>, quantity: u32 },
    Remove { number: usize, product: usize, observed: Vec<OpId> },
    Clear { epoch: u64, bought: Vec<OpId> },
}

impl Request {
    /// What a client makes of the cart it sees.
    fn made(kind: u8, number: usize, product: usize, seen: &Cart) -> Self {
        let observed = live(seen, product);
        let quantity = 1 + u32::from(kind / 16);
        match kind % 8 {
            0..=3 => Self::Add { number, product, quantity },
            4 => Self::Set { number, product, observed, quantity },
            5 | 6 => Self::Remove { number, product, observed },
            _ => Self::Clear {
                epoch: seen.epoch,
                bought: seen.lines.values().flat_map(|entries| entries.keys().copied()).collect(),
            },
        }
    }

    fn send(&self, cart: &mut Cart) {
        match self {
            Self::Add { number, product, quantity } => cart.add(op(number), &sku(*product), *quantity).unwrap(),
            Self::Set { number, product, observed, quantity } => {
                cart.set(op(number), &sku(*product), observed, *quantity).unwrap();
            }
            Self::Remove { number, product, observed } => cart.remove(op(number), &sku(*product), observed).unwrap(),
            Self::Clear { epoch, bought } => cart.clear(*epoch, bought, 1 + i64::try_from(*epoch).unwrap()),
        }
    }
}

/// Every operation ever issued minus the ids named by any remove, set or clear; knows nothing of merging.
fn oracle(requests: &[Request]) -> Vec<(usize, u32)> {
    let mut named = BTreeSet::new();
    for request in requests {
        match request {
            Request::Add { .. } => {}
            Request::Set { observed: ids, .. }
            | Request::Remove { observed: ids, .. }
            | Request::Clear { bought: ids, .. } => named.extend(ids.iter().copied()),
        }
    }
    let (mut set, mut added) = (BTreeMap::new(), BTreeMap::<usize, u32>::new());
    for request in requests {
        match request {
            Request::Add { number, product, quantity } if !named.contains(&op(number)) => {
                *added.entry(*product).or_default() += quantity;
            }
            Request::Set { number, product, quantity, .. } if !named.contains(&op(number)) => {
                let largest = set.entry(*product).or_default();
                *largest = (*quantity).max(*largest);
            }
            _ => {}
        }
    }
    let products: BTreeSet<usize> = set.keys().chain(added.keys()).copied().collect();
    let total = |product: &usize| set.get(product).unwrap_or(&0) + added.get(product).unwrap_or(&0);
    products.iter().map(|product| (*product, total(product))).collect()
}

/// Three replicas; messages wait in a mailbox for as long as chance wants (a partition), are delivered in any order and
/// again; requests are repeated late on any replica. Answers what is wrong in the end, if something is.
pub(crate) fn broken(merge: Merge, events: &[[u8; 4]]) -> Option<String> {
    let mut replicas = [Cart::default(), Cart::default(), Cart::default()];
    let (mut mailbox, mut requests) = (Vec::<Cart>::new(), Vec::<Request>::new());
    for [what, kind, at, which] in events {
        let (at, which) = (usize::from(*at) % 3, usize::from(*which));
        match what % 8 {
            0..=3 => {
                // The page that the client looks at may be another replica's, and so an old one.
                let seen = if what / 8 % 4 == 0 { &replicas[which % 3] } else { &replicas[at] };
                let request = Request::made(*kind, requests.len(), which % SKUS.len(), seen);
                request.send(&mut replicas[at]);
                requests.push(request);
            }
            4 if !requests.is_empty() => requests[which % requests.len()].send(&mut replicas[at]),
            5 => mailbox.push(replicas[at].clone()),
            _ if !mailbox.is_empty() => merge(&mut replicas[at], &mailbox[which % mailbox.len()]),
            _ => {}
        }
    }
    // Healing: old messages once more, then everybody hears everybody.
    mailbox.iter().rev().enumerate().for_each(|(number, old)| merge(&mut replicas[number % 3], old));
    for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
        let from = replicas[from].clone();
        merge(&mut replicas[to], &from);
    }
    let texts: Vec<_> = replicas.iter().map(|cart| serde_json::to_string(cart).unwrap()).collect();
    if texts.iter().any(|text| *text != texts[0]) {
        return Some(format!("the replicas differ: {texts:#?}"));
    }
    let read: Cart = serde_json::from_str(&texts[0]).unwrap();
    let (found, expected) = (pieces(&read), oracle(&requests));
    (read != replicas[0] || found != expected).then(|| format!("{found:?} instead of {expected:?} after {requests:#?}"))
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn after_full_exchange_the_oracle_is_right_on_all_replicas(events in prop::collection::vec(any::<[u8; 4]>(), 1..40)) {
        prop_assert_eq!(broken(ours, &events), None);
    }
}
