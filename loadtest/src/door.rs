//! The way in for customers who do not try again: what a load balancer in front of the storefronts does, and nothing more.
//!
//! It asks each storefront four times a second whether it wants work, and gives requests to those that do, in turn. It resends
//! nothing: a request that fails has failed (DR-7).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use reqwest::Url;
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};

/// How often each storefront is asked. The balancer of docker-compose asks twice a second, and its drain delay is longer.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// A storefront that answers no sooner gets nothing new.
const PROBE_WITHIN: Duration = Duration::from_millis(500);

/// Which storefronts want work, and how many requests were sent.
#[derive(Debug)]
pub(crate) struct Door {
    ready: Vec<AtomicBool>,
    next: AtomicUsize,
    sent: AtomicU64,
}

impl Door {
    /// All of them want work, until a probe says otherwise.
    pub(crate) fn new(storefronts: usize) -> Self {
        let ready = (0..storefronts).map(|_| AtomicBool::new(true)).collect();
        Self { ready, next: AtomicUsize::new(0), sent: AtomicU64::new(0) }
    }

    /// Begins to ask, until the result is dropped. Each probe has a task of its own: one that is silent delays no other.
    pub(crate) fn watch(self: &Arc<Self>, http: &reqwest::Client, storefronts: &[Url]) -> JoinSet<()> {
        let mut probing = JoinSet::new();
        for (number, url) in storefronts.iter().enumerate() {
            let (door, http) = (Arc::clone(self), http.clone());
            let url = format!("{}/health/ready", url.as_str().trim_end_matches('/'));
            probing.spawn(async move {
                let mut ticks = interval(PROBE_EVERY);
                loop {
                    ticks.tick().await;
                    let answer = timeout(PROBE_WITHIN, http.get(&url).send()).await;
                    let is_ready = answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()));
                    door.ready[number].store(is_ready, Relaxed);
                }
            });
        }
        probing
    }

    /// Where the next request goes: to the next that wants work, or just the next if none does.
    pub(crate) fn pick(&self) -> usize {
        self.sent.fetch_add(1, Relaxed);
        let all = self.ready.len();
        let first = self.next.fetch_add(1, Relaxed) % all;
        let mut from_there = (0..all).map(|step| (first + step) % all);
        from_there.find(|number| self.ready[*number].load(Relaxed)).unwrap_or(first)
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_in_turn_to_those_that_want_them() {
        let door = Door::new(3);
        let picks: Vec<_> = (0..4).map(|_| door.pick()).collect();
        assert_eq!(picks, [0, 1, 2, 0]);
        door.ready[1].store(false, Relaxed);
        assert!((0..12).all(|_| door.pick() != 1));
        door.ready.iter().for_each(|ready| ready.store(false, Relaxed));
        assert_eq!((0..3).map(|_| door.pick()).max(), Some(2), "then any, which will tell");
        assert_eq!(door.sent(), 19);
    }
}
