//! Modelled demand: what a call takes of a node besides its real work, so that a cluster of many machines can be shown on
//! one. After admission each call takes one of so many places for so long; it sleeps there, and no processor works.
//!
//! Only experiments set it (`loadtest overload`, `--demand` and `PUT /demand` on the operations listener, by whoever knows
//! the cluster's secret). Without it a call costs one atomic load.

use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::Tasks;

/// Most places: more would model nothing that one node can be.
const SLOTS_MAX: u32 = 1_024;
/// Longest time of one call, before and after `factor`.
const MS_MAX: u32 = 60_000;
/// Calls that wait at most: at any speed far more than a caller's patience, and what they wait in stays small.
const WAITING_MAX: usize = 4_096;
/// Most operations that are named.
const NAMES_MAX: usize = 64;
/// A node slowed more than this is better cut off.
const FACTOR_MAX: u32 = 1_000;

/// What calls take. What a text leaves out keeps its default, which takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemandRules {
    /// Calls that are worked on at a time; further ones wait, first come first served.
    pub slots: u32,
    /// How long an operation takes that is not named.
    pub default_ms: u32,
    /// How long others take, by the operation's name.
    pub ms: BTreeMap<String, u32>,
    /// Every time is multiplied by this: a node that has become slow.
    pub factor: u32,
    /// Every call fails at once with an unknown outcome, and nothing is executed; the node still says that it is ready.
    pub failing: bool,
}

impl Default for DemandRules {
    fn default() -> Self {
        Self { slots: 1, default_ms: 0, ms: BTreeMap::new(), factor: 1, failing: false }
    }
}

/// Rules that cannot be used; the text names the setting and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemandRulesError(String);

impl std::error::Error for DemandRulesError {}

impl std::fmt::Display for DemandRulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl DemandRules {
    fn check(&self) -> Result<(), DemandRulesError> {
        if self.ms.len() > NAMES_MAX {
            return Err(DemandRulesError(format!("ms names {} operations; possible are {NAMES_MAX}", self.ms.len())));
        }
        let named = self.ms.iter().map(|(name, ms)| (format!("ms.{name}"), *ms, 0, MS_MAX));
        let others = [
            ("slots".to_owned(), self.slots, 1, SLOTS_MAX),
            ("default_ms".to_owned(), self.default_ms, 0, MS_MAX),
            ("factor".to_owned(), self.factor, 1, FACTOR_MAX),
        ];
        for (name, value, least, most) in others.into_iter().chain(named) {
            if !(least..=most).contains(&value) {
                return Err(DemandRulesError(format!("{name} is {value}; possible are {least} to {most}")));
            }
        }
        Ok(())
    }

    fn time_of(&self, operation: &str) -> Duration {
        let ms = self.ms.get(operation).copied().unwrap_or(self.default_ms);
        Duration::from_millis(u64::from(ms.saturating_mul(self.factor).min(MS_MAX)))
    }
}

impl FromStr for DemandRules {
    type Err = DemandRulesError;

    fn from_str(text: &str) -> Result<Self, DemandRulesError> {
        let rules: Self = serde_json::from_str(text)
            .map_err(|error| DemandRulesError(format!("demand cannot be read: {error}; GET /demand shows the form")))?;
        rules.check().map(|()| rules)
    }
}

/// The call must fail without being executed, because somebody asked for that, or asked for a demand so high that
/// [`WAITING_MAX`] calls wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailsOnPurpose;

/// The modelled demand of one node; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Demand(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// `None` for as long as nobody ever asked for a demand.
    now: ArcSwapOption<Model>,
    /// Serialises changes, so that each is recorded against what it replaced.
    change: Mutex<()>,
}

#[derive(Debug)]
struct Model {
    rules: DemandRules,
    /// Kept when rules change but not their number, so that those who wait keep their turn.
    places: Arc<Semaphore>,
    /// One for each call in a place or waiting for one.
    room: Arc<Semaphore>,
}

impl Model {
    fn new(rules: DemandRules) -> Self {
        let slots = usize::try_from(rules.slots).unwrap_or(1);
        Self { rules, places: Arc::new(Semaphore::new(slots)), room: Arc::new(Semaphore::new(slots + WAITING_MAX)) }
    }
}

impl Demand {
    /// Waits for a place and spends the call's time there.
    ///
    /// Whoever gives up is worked for all the same: neither a database nor a pool of threads notices that nobody waits for
    /// an answer any more. So work that admission let in is done, and what it let in too much is done in vain.
    ///
    /// # Errors
    /// When calls must fail.
    pub async fn spend(&self, operation: &str, tasks: &Tasks) -> Result<(), FailsOnPurpose> {
        let Some(model) = self.0.now.load_full() else { return Ok(()) };
        if model.rules.failing {
            return Err(FailsOnPurpose);
        }
        let time = model.rules.time_of(operation);
        if time.is_zero() {
            return Ok(());
        }
        let room = model.room.clone().try_acquire_owned().map_err(|_| FailsOnPurpose)?;
        let places = model.places.clone();
        let work = tasks.spawn(async move {
            // Never closed, so there is always a place in the end.
            let place = places.acquire_owned().await;
            tokio::time::sleep(time).await;
            drop((place, room));
        });
        let _ = work.await;
        Ok(())
    }

    /// The rules as they are now.
    #[must_use]
    pub fn rules(&self) -> DemandRules {
        self.0.now.load().as_ref().map_or_else(DemandRules::default, |model| model.rules.clone())
    }

    /// Replaces all rules, and records the change.
    ///
    /// # Errors
    /// When one is out of bounds; nothing is changed then.
    pub fn set(&self, rules: DemandRules) -> Result<(), DemandRulesError> {
        rules.check()?;
        let _change = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.rules();
        if before == rules {
            return Ok(());
        }
        tracing::warn!(target: "notify", kind = "demand-changed", ?before, after = ?rules, "modelled demand was changed");
        let kept = self.0.now.load_full().filter(|model| model.rules.slots == rules.slots);
        let model = match kept {
            Some(model) => Model { rules, places: model.places.clone(), room: model.room.clone() },
            None => Model::new(rules),
        };
        self.0.now.store(Some(Arc::new(model)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn demand(text: &str) -> Demand {
        let demand = Demand::default();
        demand.set(text.parse().unwrap()).unwrap();
        demand
    }

    async fn took(demand: &Demand, operation: &str) -> u128 {
        let began = Instant::now();
        demand.spend(operation, &Tasks::new()).await.unwrap();
        began.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_take_their_time_in_so_many_places() {
        let demand = demand(r#"{"slots":2,"ms":{"a":20}}"#);
        assert_eq!((took(&demand, "a").await, took(&demand, "b").await), (20, 0));
        let began = Instant::now();
        let tasks = Tasks::new();
        let calls = (0..6).map(|_| demand.spend("a", &tasks));
        assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(began.elapsed().as_millis(), 60, "six calls in two places");
        demand.set(r#"{"slots":2,"ms":{"a":20},"factor":10}"#.parse().unwrap()).unwrap();
        assert_eq!(took(&demand, "a").await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_is_worked_for_all_the_same() {
        let demand = demand(r#"{"slots":1,"default_ms":100}"#);
        let tasks = Tasks::new();
        let (began, patience) = (Instant::now(), Duration::from_millis(10));
        let (in_place, in_queue) = (demand.spend("a", &tasks), demand.spend("a", &tasks));
        let both = async { tokio::join!(in_place, in_queue) };
        assert!(tokio::time::timeout(patience, both).await.is_err());
        demand.spend("a", &tasks).await.unwrap();
        assert_eq!(began.elapsed().as_millis(), 300, "behind both, for whom nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_no_more() {
        let demand = demand(r#"{"slots":1,"default_ms":1}"#);
        let tasks = Tasks::new();
        let calls = (0..=WAITING_MAX).map(|_| demand.spend("a", &tasks));
        let all = futures_util::future::join_all(calls);
        let (all, one_more) = tokio::join!(all, demand.spend("a", &tasks));
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(one_more, Err(FailsOnPurpose));
        demand.spend("a", &tasks).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_node_fails_at_once_and_nonsense_changes_nothing() {
        let demand = demand(r#"{"failing":true,"default_ms":100}"#);
        let began = Instant::now();
        assert_eq!(demand.spend("a", &Tasks::new()).await, Err(FailsOnPurpose));
        assert!(began.elapsed().is_zero());
        let known = demand.rules();
        for (bad, names) in [
            (r#"{"slots":0}"#, "slots is 0; possible are 1 to 1024"),
            (r#"{"ms":{"a":60001}}"#, "ms.a is 60001"),
            (r#"{"factor":0}"#, "factor is 0"),
            (r#"{"slot":1}"#, "slot"),
            ("7", "GET /demand"),
        ] {
            let error = bad.parse::<DemandRules>().unwrap_err().to_string();
            assert!(error.contains(names), "{bad}: {error}");
        }
        assert!(demand.set(DemandRules { factor: 0, ..known.clone() }).is_err());
        assert_eq!(demand.rules(), known);
        assert_eq!(serde_json::to_string(&known).unwrap().parse::<DemandRules>().unwrap(), known);
    }
}
