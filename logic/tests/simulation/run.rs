//! One seed: a shop, its customers, what goes wrong, rest, and the verdict.

use std::{sync::Arc, time::Duration};

use contract::{PrincipalId, Sku, orders::Attention};
use orders::store::OrderStore as _;
use tokio::time::{Instant, sleep};

use crate::{
    checks,
    counts::Counts,
    customers::{Customer, History},
    nemesis, network, operator,
    provider::HANDLING_MAX,
    world::World,
};

/// Longest time, virtual, until everything is at rest after all faults have ended (K15, CO-15: a minute, and the longest
/// pause between two tries besides).
const REST_WITHIN: Duration = Duration::from_secs(120);

/// What a peer missed is sent to it in the next rounds.
const REPAIR_WITHIN: Duration = Duration::from_secs(2);

/// What a run has more of than chance alone would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emphasis {
    Nothing,
    /// Charges that lapse within the run, at a provider that only remembers keys.
    Windows,
}

impl Emphasis {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "windows" => Self::Windows,
            other => panic!("TRESTLE_EMPHASIS={other}: it can be windows"),
        }
    }
}

/// The seeded bugs that this layer must catch, and where they are likely to show.
#[cfg(feature = "seeded-bugs")]
pub(crate) const BUGS: &[(&str, Emphasis)] = &[
    ("final-on-timeout", Emphasis::Nothing),
    ("union-merge", Emphasis::Nothing),
    ("fail-open-store", Emphasis::Nothing),
    ("outbox-up-to-max", Emphasis::Nothing),
    ("permits-not-held", Emphasis::Nothing),
    ("late-resend", Emphasis::Windows),
    ("window-by-own-clock", Emphasis::Windows),
];

/// What came of a seed.
pub(crate) struct Done {
    pub(crate) broken: Vec<String>,
    pub(crate) trace: u64,
}

pub(crate) fn run(seed: u64, emphasis: Emphasis, counts: &Arc<Counts>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(seed, emphasis, counts.clone()))
}

async fn simulate(seed: u64, emphasis: Emphasis, counts: Arc<Counts>) -> Done {
    let world = World::new(seed, emphasis, counts).await;
    let plan = nemesis::Plan::of(&world);
    world.chance.note(&format!("{plan:?}"));
    let history = Arc::new(History::default());
    let customers: Vec<_> = (0..world.chance.between(2, 5)).map(|number| customer(&world, &history, number)).collect();
    let purchases = world.chance.between(2, 5);
    let shopping = futures_util::future::join_all(customers.iter().map(|customer| customer.shop(purchases as u32)));
    tokio::select! {
        biased;
        _ = shopping => {}
        () = nemesis::rage(&world, plan) => {}
    }
    world.revive().await;
    nemesis::heal(&world);
    // What is still on its way may open a checkout yet.
    sleep(network::LATE_MAX + HANDLING_MAX).await;
    let mut broken = rest(&world, &customers).await;
    broken.extend(checks::broken(&world, &history, &customers).await);
    world.count_attempts();
    world.network.close();
    Done { broken, trace: world.chance.trace() }
}

fn customer(world: &World, history: &Arc<History>, number: u64) -> Customer {
    let name = format!("customer-{number}");
    Customer {
        principal: world.principal(&name),
        shop: world.shop.clone(),
        chance: world.chance.clone(),
        counts: world.counts.clone(),
        history: history.clone(),
        products: world.products.clone(),
        name,
    }
}

/// Waits until no checkout is open and every event is delivered.
async fn rest(world: &World, customers: &[Customer]) -> Vec<String> {
    let principals: Vec<PrincipalId> = customers.iter().map(|customer| customer.principal).collect();
    let until = Instant::now() + REST_WITHIN;
    loop {
        let waiting = world.orders.attention(Attention { limit: 100 }).await.unwrap();
        operator::decide(world, &waiting).await;
        let orders = checks::orders(world, &principals).await;
        let open = orders.values().flatten().filter(|order| order.state != contract::orders::OrderState::Completed);
        let open = open.count();
        let events = world.orders.figures().await.unwrap().outbox.depth;
        if open == 0 && events == 0 {
            sleep(REPAIR_WITHIN).await;
            return Vec::new();
        }
        if Instant::now() >= until {
            let mut broken = vec![format!("K15: {open} checkouts and {events} events are still open")];
            broken.extend(waiting.iter().map(|item| format!("K5: for a person: {item:?}")));
            return broken;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The products of the simulated shop: few, and some scarce, so that customers meet.
pub(crate) fn products() -> Vec<(Sku, u32)> {
    [("b-1", 1_000), ("b-2", 1_000), ("b-3", 12), ("t-1", 5)].map(|(sku, stock)| (sku.parse().unwrap(), stock)).to_vec()
}
