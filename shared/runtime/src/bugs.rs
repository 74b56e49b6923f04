//! Seeded bugs (T-10): known mistakes that the proof must catch, built in by the feature `seeded-bugs` and switched on by
//! name at run time. A suite that has never been seen to fail proves nothing.
//!
//! Without the feature [`bug`] is the constant `false`, and what it guards is not in the binary.

/// Every seeded bug: its name, and what the code then gets wrong.
pub const BUGS: &[(&str, &str)] = &[
    ("final-on-timeout", "a charge counts as declined when the provider gives no answer"),
    ("no-guard", "orders are completed and refused whatever state they are in"),
    ("abandon-on-not-found", "a look-up that finds no charge ends the checkout without a charge"),
    ("late-resend", "a charge is sent again after the provider has forgotten its key"),
    ("key-per-attempt", "each attempt gets a provider key and reference of its own"),
    ("greedy-reaper", "the reaper deletes checkouts that are not over"),
    ("union-merge", "carts merge as plain unions, so that removed lines come back"),
    ("fail-open-store", "a key that cannot be looked up counts as unused, and the claim is skipped"),
    ("outbox-up-to-max", "delivered events are forgotten by 'id <= max' instead of by exact id"),
    ("release-leaves-no-mark", "releasing what was never reserved leaves no mark, so a late reservation is taken"),
    ("close-while-maybe-sent", "a charge is closed though an attempt may have reached the provider"),
    ("window-by-own-clock", "a charge is sent after its time, by a node whose clock is behind the database's (E20)"),
    ("permits-not-held", "a permit is given back when the caller gives up, though the provider still works"),
];

/// Whether they are in this build. Tests that wait to see one ask, because a build without them has none to show.
pub const BUILT_IN: bool = cfg!(feature = "seeded-bugs");

/// Whether a seeded bug is switched on: by `TRESTLE_BUG=name`, or on this thread by [`with`].
#[cfg(not(feature = "seeded-bugs"))]
#[must_use]
pub const fn bug(_name: &str) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
pub use switched::{bug, with};

#[cfg(feature = "seeded-bugs")]
mod switched {
    use std::{cell::Cell, sync::OnceLock};

    thread_local! {
        static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }
    static EVERYWHERE: OnceLock<Option<String>> = OnceLock::new();

    /// Whether a seeded bug is switched on: by `TRESTLE_BUG=name`, or on this thread by [`with`].
    ///
    /// # Panics
    /// When the name is not in [`super::BUGS`].
    #[must_use]
    pub fn bug(name: &str) -> bool {
        assert!(super::BUGS.iter().any(|(known, _)| *known == name), "{name} is no seeded bug");
        let everywhere = EVERYWHERE.get_or_init(|| std::env::var("TRESTLE_BUG").ok());
        HERE.get() == Some(name) || everywhere.as_deref() == Some(name)
    }

    /// Runs `work` with the bug switched on for this thread: a simulation is single-threaded.
    pub fn with<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
        HERE.set(Some(name));
        let done = work();
        HERE.set(None);
        done
    }
}
