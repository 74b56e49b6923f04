//! Every figure that load regulation goes by, in one value that can be read and replaced while a node runs (O15): by
//! `GET` and `PUT /limits` on the operations listener, and by `--limits` at the start.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use serde::{Deserialize, Serialize};

mod client;

pub use client::ClientSettings;

/// What a node's regulation goes by. What a text leaves out keeps its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// False takes all protection away, on both sides of every call: for showing what it is good for, and for nothing
    /// else.
    pub protection: bool,
    /// What is let in.
    pub admission: AdmissionSettings,
    /// What calls to other nodes go by.
    pub client: ClientSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self { protection: true, admission: AdmissionSettings::default(), client: ClientSettings::default() }
    }
}

/// What a node lets in. All durations are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Whether the two limits are looked for between their bounds, by what queues further in; else they are the maxima.
    pub adaptive: bool,
    /// Fewest requests under work at a time, checkouts apart, that the limit may fall to.
    pub work_min: u32,
    /// Most requests under work at a time, checkouts apart.
    pub work_max: u32,
    /// Fewest checkouts under work at a time that their limit may fall to.
    pub checkout_min: u32,
    /// Most checkouts under work at a time. They wait for the payment provider, so they have places of their own.
    pub checkout_max: u32,
    /// Places in the queue for a hundred places under work.
    pub queue_percent: u32,
    /// Longest wait in a queue that stands, at the edge. Below the 20 ms within which a refusal must come (F3).
    pub queue_target_ms: u32,
    /// Longest wait in any other queue, those of nodes that other nodes call among them, and how long one must not have been empty to stand.
    pub queue_interval_ms: u32,
    /// Mean wait in the queues of other nodes above which the limit falls (DAGOR's 20 ms).
    pub inner_queue_ms: u32,
    /// Mean lateness of the event loop above which the limit falls.
    pub lag_ms: u32,
    /// Requests a second that one session may send to a frontend; 0 for any number.
    pub session_per_s: u32,
    /// Requests that one session may send at once.
    pub session_burst: u32,
    /// Most open connections; never more than half of the process's file descriptors.
    pub connections_max: u32,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            adaptive: true,
            // Enough for a node to use all processors of a small machine, so that a loop that is late for another reason
            // (a neighbour that compiles, say) closes no shop.
            work_min: 32,
            work_max: 512,
            checkout_min: 32,
            checkout_max: 256,
            queue_percent: 200,
            queue_target_ms: 10,
            queue_interval_ms: 100,
            inner_queue_ms: 20,
            lag_ms: 50,
            // A hundred times what a person with many tabs needs; a program that polls too fast meets it.
            session_per_s: 1_000,
            session_burst: 2_000,
            connections_max: 8_000,
        }
    }
}

impl AdmissionSettings {
    fn bounded(&self) -> [(&'static str, u32, u32, u32); 12] {
        [
            ("work_min", self.work_min, 1, 65_536),
            ("work_max", self.work_max, 1, 65_536),
            ("checkout_min", self.checkout_min, 1, 65_536),
            ("checkout_max", self.checkout_max, 1, 65_536),
            ("queue_percent", self.queue_percent, 0, 10_000),
            ("queue_target_ms", self.queue_target_ms, 1, 60_000),
            ("queue_interval_ms", self.queue_interval_ms, 1, 60_000),
            ("inner_queue_ms", self.inner_queue_ms, 1, 60_000),
            ("lag_ms", self.lag_ms, 1, 60_000),
            ("session_per_s", self.session_per_s, 0, 1_000_000),
            ("session_burst", self.session_burst, 1, 1_000_000),
            ("connections_max", self.connections_max, 1, 1_000_000),
        ]
    }
}

/// Settings that cannot be used; the text names the setting and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub(crate) String);

impl std::error::Error for SettingsError {}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingsError> {
        let of = |side: &'static str, all: &[(&'static str, u32, u32, u32)]| {
            let wrong = all.iter().find(|(_, value, least, most)| !(least..=most).contains(&value))?;
            let (name, value, least, most) = wrong;
            Some(SettingsError(format!("{side}.{name} is {value}; possible are {least} to {most}")))
        };
        if let Some(error) = of("admission", &self.admission.bounded()).or_else(|| of("client", &self.client.bounded()))
        {
            return Err(error);
        }
        Ok(())
    }
}

impl FromStr for Settings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = serde_json::from_str(text)
            .map_err(|error| SettingsError(format!("limits cannot be read: {error}; GET /limits shows the form")))?;
        settings.check().map(|()| settings)
    }
}

/// The settings of one node; clones share them. Reading costs an atomic load, so every layer looks each time.
#[derive(Clone, Debug, Default)]
pub struct Limits(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    now: ArcSwap<Settings>,
    /// Serialises changes, so that each is recorded against what it replaced.
    change: Mutex<()>,
}

impl Limits {
    /// As they are now.
    #[must_use]
    pub fn now(&self) -> Guard<Arc<Settings>> {
        self.0.now.load()
    }

    /// Replaces all of them, and records the change.
    ///
    /// # Errors
    /// When one is out of bounds; nothing is changed then.
    pub fn set(&self, settings: Settings) -> Result<(), SettingsError> {
        settings.check()?;
        let _change = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.now.load_full();
        if *before != settings {
            tracing::warn!(target: "notify", kind = "limits-changed", before = ?before, after = ?settings, "limits were changed");
            self.0.now.store(Arc::new(settings));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_leave_out_what_stays_and_nonsense_changes_nothing() {
        let limits = Limits::default();
        limits.set(r#"{"admission":{"work_max":7}}"#.parse().unwrap()).unwrap();
        assert_eq!((limits.now().admission.work_max, limits.now().protection), (7, true));
        for (bad, names) in [
            (r#"{"admission":{"work_max":0}}"#, "admission.work_max is 0"),
            (r#"{"client":{"throttle_floor":0}}"#, "client.throttle_floor is 0; possible are 1 to 1000"),
            (r#"{"admission":{"work_mux":1}}"#, "work_mux"),
            ("7", "GET /limits"),
        ] {
            let error = bad.parse::<Settings>().unwrap_err().to_string();
            assert!(error.contains(names), "{bad}: {error}");
        }
        let text = serde_json::to_string(&**limits.now()).unwrap();
        assert_eq!(text.parse::<Settings>().unwrap(), **limits.now());
    }
}
