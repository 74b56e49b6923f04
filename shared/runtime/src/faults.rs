//! Faults between nodes, put in on purpose: links that are cut, slow or lose replies. For demonstrations and drills on one
//! machine without root; real partitions need the kernel (`deploy/local/tests/netns`).
//!
//! A node holds rules for the addresses it calls, and every call to another node goes through [`Faults::pass`] (in
//! `rpc::HttpTransport` and the payments family's provider client). Rules come over the operations listener, by whoever
//! knows the cluster's secret, and as `--faults` at the start, so that a restarted node never makes a call without them.
//! Without rules a call costs two atomic loads.
//!
//! A cut is silence: nothing is refused and nothing is reset, because a refused connection would prove that nothing was
//! executed, which is more than a network that swallows packets tells.

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use opentelemetry::KeyValue;
use serde::{Deserialize, Serialize};

use crate::Metrics;

/// Most addresses with a rule: more than the nodes of the largest cluster that one supervisor starts.
const RULES_MAX: usize = 512;
/// Longest delay: longer than any caller's patience.
pub const SLOW_MS_MAX: u32 = 60_000;
/// Longest address in bytes (a host name and a port).
const ADDRESS_BYTES_MAX: usize = 260;

/// What happens to calls to one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRule {
    /// Requests are not sent, and replies of those that were sent before do not arrive.
    pub cut: bool,
    /// Requests arrive, their replies do not.
    pub lose_replies: bool,
    /// Each call takes this much longer.
    pub slow_ms: u32,
}

/// Every rule of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRules {
    /// Higher for a later list: one that was overtaken on its way must not undo a newer one.
    pub version: u64,
    /// By the address that is called.
    pub rules: BTreeMap<String, FaultRule>,
}

/// Rules that cannot be taken.
#[derive(Debug)]
pub enum FaultRulesError {
    /// No JSON, or another form.
    Unreadable(String),
    /// More than [`RULES_MAX`].
    TooMany(usize),
    /// An address or a delay out of bounds; the text names it.
    OutOfBounds(String),
    /// A later list is known.
    Overtaken(u64),
}

impl std::error::Error for FaultRulesError {}

impl std::fmt::Display for FaultRulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(reason) => {
                write!(
                    f,
                    "fault rules cannot be read ({reason}); expected {{\"version\":1,\"rules\":{{\"host:port\":{{\"cut\":true}}}}}}"
                )
            }
            Self::TooMany(count) => write!(f, "{count} fault rules; at most {RULES_MAX} are kept"),
            Self::OutOfBounds(what) => write!(f, "{what} is out of bounds"),
            Self::Overtaken(known) => write!(f, "version {known} of the fault rules is known already"),
        }
    }
}

impl FaultRules {
    fn check(&self) -> Result<(), FaultRulesError> {
        if self.rules.len() > RULES_MAX {
            return Err(FaultRulesError::TooMany(self.rules.len()));
        }
        for (address, rule) in &self.rules {
            if address.is_empty() || address.len() > ADDRESS_BYTES_MAX {
                return Err(FaultRulesError::OutOfBounds("an address of 0 or more than 260 bytes".to_owned()));
            }
            if rule.slow_ms > SLOW_MS_MAX {
                let what = format!("a delay of {} ms (at most {SLOW_MS_MAX})", rule.slow_ms);
                return Err(FaultRulesError::OutOfBounds(what));
            }
        }
        Ok(())
    }
}

impl FromStr for FaultRules {
    type Err = FaultRulesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rules: Self = serde_json::from_str(text).map_err(|error| FaultRulesError::Unreadable(error.to_string()))?;
        rules.check().map(|()| rules)
    }
}

/// The rules of one node; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// `None` for as long as nobody ever asked for a fault.
    now: ArcSwapOption<FaultRules>,
    /// Serialises changes, so that of two lists the later one stays.
    change: std::sync::Mutex<()>,
    cut: AtomicU64,
    lost: AtomicU64,
    slowed: AtomicU64,
}

impl Faults {
    /// Makes a call to another node, or what the rules leave of it. Never resolves when the network would stay silent: the
    /// caller's patience ends it.
    pub async fn pass<T>(&self, address: &str, call: impl Future<Output = T>) -> T {
        let slow_ms = self.rule(address).slow_ms;
        if slow_ms > 0 {
            self.0.slowed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(slow_ms.into())).await;
        }
        if self.rule(address).cut {
            self.0.cut.fetch_add(1, Ordering::Relaxed);
            return pending().await;
        }
        let answer = call.await;
        // As it is now: a link that was cut while the callee worked does not carry the reply.
        let rule = self.rule(address);
        if rule.cut || rule.lose_replies {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            drop(answer);
            return pending().await;
        }
        answer
    }

    /// Replaces all rules.
    ///
    /// # Errors
    /// When they are out of bounds, or older than those known.
    pub fn set(&self, rules: FaultRules) -> Result<(), FaultRulesError> {
        rules.check()?;
        let _change = self.0.change.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = self.0.now.load().as_ref().filter(|known| known.version > rules.version) {
            return Err(FaultRulesError::Overtaken(known.version));
        }
        if self.rules() != rules {
            tracing::warn!(version = rules.version, rules = ?rules.rules, "faults between nodes are injected as asked");
            self.0.now.store(Some(Arc::new(rules)));
        }
        Ok(())
    }

    /// All rules.
    #[must_use]
    pub fn rules(&self) -> FaultRules {
        self.0.now.load().as_deref().cloned().unwrap_or_default()
    }

    fn rule(&self, address: &str) -> FaultRule {
        let now = self.0.now.load();
        now.as_ref().and_then(|now| now.rules.get(address).copied()).unwrap_or_default()
    }

    /// Shows how many rules there are and what they have done.
    pub(crate) fn observe(&self, metrics: &Metrics) {
        let shared = self.clone();
        let _rules = metrics
            .meter()
            .u64_observable_gauge("trestle_fault_rules")
            .with_description("addresses that calls from this node reach badly because somebody asked for it")
            .with_callback(move |observer| {
                let count = shared.0.now.load().as_ref().map_or(0, |now| now.rules.len());
                observer.observe(u64::try_from(count).unwrap_or(u64::MAX), &[]);
            })
            .build();
        let shared = self.clone();
        let _calls = metrics
            .meter()
            .u64_observable_counter("trestle_fault_calls")
            .with_description("calls from this node that an injected fault has hit, by kind")
            .with_callback(move |observer| {
                let Shared { cut, lost, slowed, .. } = &*shared.0;
                for (kind, count) in [("cut", cut), ("lost_reply", lost), ("slow", slowed)] {
                    observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("kind", kind)]);
                }
            })
            .build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn rules(version: u64, rule: FaultRule) -> FaultRules {
        FaultRules { version, rules: [("a:1".to_owned(), rule)].into() }
    }

    async fn called(faults: &Faults, address: &str, executed: &AtomicU64) -> bool {
        let call = async { executed.fetch_add(1, Ordering::Relaxed) };
        tokio::time::timeout(PATIENCE, faults.pass(address, call)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_swallows_requests_and_the_replies_of_those_before() {
        let (faults, executed) = (Faults::default(), AtomicU64::new(0));
        assert!(called(&faults, "a:1", &executed).await);
        let cut = FaultRule { cut: true, ..FaultRule::default() };
        let (answer, caught) = tokio::sync::oneshot::channel::<()>();
        let in_flight = tokio::time::timeout(PATIENCE, faults.pass("a:1", caught));
        let cutting = async {
            faults.set(rules(1, cut)).unwrap();
            answer.send(()).unwrap();
        };
        assert!(tokio::join!(in_flight, cutting).0.is_err(), "the reply came after the cut");
        assert!(!called(&faults, "a:1", &executed).await);
        assert!(called(&faults, "b:1", &executed).await, "other links are whole");
        assert_eq!(executed.load(Ordering::Relaxed), 2, "nothing was sent over the cut link");
        faults.set(FaultRules { version: 2, ..FaultRules::default() }).unwrap();
        assert!(called(&faults, "a:1", &executed).await);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_replies_are_executed_and_slow_calls_arrive_late() {
        let (faults, executed) = (Faults::default(), AtomicU64::new(0));
        faults.set(rules(1, FaultRule { lose_replies: true, ..FaultRule::default() })).unwrap();
        assert!(!called(&faults, "a:1", &executed).await);
        assert_eq!(executed.load(Ordering::Relaxed), 1);
        faults.set(rules(2, FaultRule { slow_ms: 300, ..FaultRule::default() })).unwrap();
        let began = tokio::time::Instant::now();
        assert!(called(&faults, "a:1", &executed).await);
        assert_eq!(began.elapsed(), Duration::from_millis(300));
    }

    #[test]
    fn an_overtaken_list_and_one_out_of_bounds_change_nothing() {
        let faults = Faults::default();
        let newest = rules(3, FaultRule { cut: true, ..FaultRule::default() });
        faults.set(newest.clone()).unwrap();
        assert!(matches!(
            faults.set(FaultRules { version: 2, ..FaultRules::default() }),
            Err(FaultRulesError::Overtaken(3))
        ));
        let late = rules(4, FaultRule { slow_ms: SLOW_MS_MAX + 1, ..FaultRule::default() });
        assert!(faults.set(late).unwrap_err().to_string().contains("60001 ms"));
        let many = (0..=RULES_MAX).map(|number| (format!("a:{number}"), FaultRule::default())).collect();
        assert!(faults.set(FaultRules { version: 4, rules: many }).unwrap_err().to_string().contains("513"));
        assert_eq!(faults.rules(), newest);
        let text = serde_json::to_string(&newest).unwrap();
        assert_eq!(text.parse::<FaultRules>().unwrap(), newest);
        assert!("{}".parse::<FaultRules>().unwrap_err().to_string().contains("version"));
    }
}
