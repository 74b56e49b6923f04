//! What goes wrong. Each seed switches a random part of it on (swarm testing, Groce et al. 2012): a fault that always
//! comes with all others hides what it does alone.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::sleep;

use crate::{
    counts::Counts,
    network::Weather,
    world::{PROCESSES, World},
};

/// What this seed may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kills: bool,
    pub(crate) pauses: bool,
    pub(crate) weather: Weather,
    pub(crate) stores: bool,
    pub(crate) provider: bool,
    pub(crate) black_hole: bool,
}

impl Plan {
    pub(crate) fn of(world: &World) -> Self {
        let chance = &world.chance;
        let half = || chance.permille(500);
        let share = |most: u64| if half() { chance.below(most) } else { 0 };
        let weather = Weather {
            refused: share(40),
            request_lost: share(30),
            reply_lost: share(40),
            late: share(20),
            twice: share(60),
        };
        Self {
            kills: half(),
            pauses: half(),
            weather,
            stores: half(),
            provider: half(),
            black_hole: chance.permille(250),
        }
    }
}

/// Works until it is dropped.
pub(crate) async fn rage(world: &World, plan: Plan) {
    world.network.set_weather(plan.weather);
    world.store_trouble.store(if plan.stores { 15 } else { 0 }, Ordering::Relaxed);
    world.provider.trouble.store(if plan.provider { 150 } else { 0 }, Ordering::Relaxed);
    loop {
        sleep(Duration::from_millis(world.chance.between(100, 1_500))).await;
        let address = *world.chance.pick(PROCESSES);
        match world.chance.below(4) {
            0 | 1 if plan.kills && world.is_safe_to_kill(address) => {
                world.chance.note(&format!("kill {address}"));
                Counts::add(&world.counts.kills);
                world.kill(address);
                sleep(Duration::from_millis(world.chance.between(50, 1_000))).await;
                world.start(address).await;
            }
            2 if plan.pauses && world.is_safe_to_kill(address) => {
                world.chance.note(&format!("pause {address}"));
                Counts::add(&world.counts.pauses);
                world.pause(address, true);
                sleep(Duration::from_millis(world.chance.between(500, 8_000))).await;
                world.pause(address, false);
            }
            3 if plan.black_hole => {
                world.chance.note("black hole");
                world.provider.black_hole.store(true, Ordering::Relaxed);
                sleep(Duration::from_millis(world.chance.between(500, 6_000))).await;
                world.provider.black_hole.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// Ends all faults.
pub(crate) fn heal(world: &World) {
    world.chance.note("heal");
    world.network.set_weather(Weather::default());
    world.store_trouble.store(0, Ordering::Relaxed);
    world.provider.trouble.store(0, Ordering::Relaxed);
    world.provider.black_hole.store(false, Ordering::Relaxed);
    world.provider.is_moody.store(false, Ordering::Relaxed);
    for address in PROCESSES {
        world.pause(address, false);
    }
}
