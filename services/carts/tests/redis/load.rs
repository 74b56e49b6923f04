//! Customers who add to carts while servers fail, and who remember what was acknowledged to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use carts::store::CartStore as _;
use contract::{CartId, OpId};
use store::StoreError;
use testkit::redis::until;
use tokio::task::JoinSet;

use super::{Client, cart};

/// Writers, each with carts of its own.
const WRITERS: u128 = 4;
/// Carts that a writer fills in turn, which lie on all masters of a Cluster, and operations in each; then come others.
const CARTS: u128 = 12;
const OPS_PER_CART: u128 = 20;

type Acknowledged = BTreeMap<CartId, BTreeSet<OpId>>;

/// A running load.
pub(crate) struct Load {
    figures: Arc<Figures>,
    writers: JoinSet<Acknowledged>,
}

/// What is seen from outside while it runs.
#[derive(Default)]
pub(crate) struct Figures {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    not_executed: AtomicU64,
    unknown: AtomicU64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (acknowledged, errors) = (of(&self.acknowledged), [of(&self.not_executed), of(&self.unknown)]);
        write!(f, "{acknowledged} acknowledged, {} not executed, {} unknown", errors[0], errors[1])
    }
}

impl Load {
    /// Starts the writers.
    pub(crate) fn start(client: &Arc<Client>) -> Self {
        let figures = Arc::new(Figures::default());
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(client.clone(), figures.clone(), writer));
        }
        Self { figures, writers }
    }

    /// Waits until so many more operations were acknowledged.
    pub(crate) fn until_more(&self, count: u64) {
        let so_far = self.figures.acknowledged.load(Ordering::Relaxed);
        until("operations are acknowledged", || self.figures.acknowledged.load(Ordering::Relaxed) >= so_far + count);
    }

    /// Ends it and looks for everything that was acknowledged.
    pub(crate) async fn lost(self, client: &Client) -> (Arc<Figures>, usize) {
        self.figures.stop.store(true, Ordering::Relaxed);
        let mut lost = 0;
        for acknowledged in self.writers.join_all().await {
            for (cart, ops) in acknowledged {
                let kept = client.carts.cart(cart).await.unwrap();
                lost += ops.iter().filter(|op| !kept.seen.contains_key(op)).count();
            }
        }
        (self.figures, lost)
    }
}

async fn write(client: Arc<Client>, figures: Arc<Figures>, writer: u128) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for number in 0_u128.. {
        if figures.stop.load(Ordering::Relaxed) {
            break;
        }
        let group = number / (CARTS * OPS_PER_CART);
        let (cart, key) = (cart((writer << 96) | (group << 32) | (number % CARTS)), number.to_string());
        let count = match client.add(cart, &key).await {
            Ok(()) => {
                acknowledged.entry(cart).or_default().insert(OpId::new(cart, &key));
                &figures.acknowledged
            }
            Err(StoreError::NotExecuted(_)) => &figures.not_executed,
            Err(StoreError::Unknown(_)) => &figures.unknown,
            // Nobody else writes to this cart, and what we write can be read.
            Err(other) => panic!("{other}"),
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}
