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

/// What a node lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Most requests under work at a time, checkouts apart.
    pub work_max: u32,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self { work_max: 1_024 }
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
        let admission = [("admission.work_max", self.admission.work_max, 1, 65_536)];
        for (name, value, least, most) in admission.into_iter().chain(self.client.bounds()) {
            if !(least..=most).contains(&value) {
                return Err(SettingsError(format!("{name} is {value}; possible are {least} to {most}")));
            }
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
