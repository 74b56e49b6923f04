//! What a node shows of its entries: one line for each gauge and counter.

use std::sync::{Arc, atomic::Ordering};

use opentelemetry::KeyValue;
use runtime::Metrics;

use super::{Join, Replicated};

impl<V: Join> Replicated<V> {
    pub(super) fn measure(&self, metrics: &Metrics) {
        let one = |count: usize| vec![(count, Vec::new())];
        self.gauge(metrics, "entries", "entries held by this node", move |all| one(all.len()));
        self.gauge(metrics, "hints", "entries held by this node for others, until they have them", move |all| {
            one(all.hints())
        });
        self.gauge(metrics, "missed", "peers not copied yet since this node started or stood still", move |all| {
            one(all.missed())
        });
        self.gauge(metrics, "suspects", "peers that do not answer, so that writes do not wait for them", move |all| {
            one(all.suspects())
        });
        self.gauge(metrics, "outstanding", "keys that a peer has yet to acknowledge, by peer", |all| {
            let peers = all.outstanding().into_iter();
            peers.map(|(peer, keys)| (keys, vec![KeyValue::new("peer", peer)])).collect()
        });
        self.gauge(metrics, "contradictions", "keys that clients used for two changes, met in joins", move |all| {
            one(all.lock().entries.contradictions)
        });
        self.gauge(metrics, "digest_rounds", "rounds of comparing digests since the start", move |all| {
            one(all.0.rounds.load(Ordering::Relaxed))
        });
        self.gauge(metrics, "digest_differences", "virtual nodes found different since the start", move |all| {
            one(all.0.differences.load(Ordering::Relaxed))
        });
    }

    /// Read when the page is asked for. The meter must not keep the entries of a node alive that has ended.
    fn gauge(
        &self,
        metrics: &Metrics,
        name: &str,
        description: &'static str,
        read: impl Fn(&Self) -> Vec<(usize, Vec<KeyValue>)> + Send + Sync + 'static,
    ) {
        let inner = Arc::downgrade(&self.0);
        metrics
            .meter()
            .u64_observable_gauge(format!("trestle_replicated_{name}"))
            .with_description(description)
            .with_callback(move |gauge| {
                let Some(inner) = inner.upgrade() else { return };
                for (count, labels) in read(&Self(inner)) {
                    gauge.observe(u64::try_from(count).unwrap_or(u64::MAX), &labels);
                }
            })
            .build();
    }
}
