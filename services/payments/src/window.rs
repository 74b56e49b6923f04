//! How long a charge may be sent again (CO-8): the settings, and why they are safe together.
//!
//! A key that the provider has forgotten makes the same request a second charge. So the last byte of the last attempt must
//! have been worked on before the first attempt's key is forgotten, whatever stands still or runs late in between.

use std::time::Duration;

/// By how much the clocks of our own nodes and databases may differ, in milliseconds, when `not_after_ms` is judged.
pub(crate) const OWN_SKEW_MS: i64 = 60_000;

/// The settings, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far ahead a charge's `not_after_ms` may lie.
    pub window_s: u64,
    /// How long the provider remembers a key.
    pub retention_s: u64,
    /// The longest that the provider works on a request.
    pub handling_s: u64,
    /// The longest that a process may stand still.
    pub pause_max_s: u64,
    /// By how much clocks may differ, ours and the provider's.
    pub skew_max_s: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { window_s: 3_600, retention_s: 86_400, handling_s: 10, pause_max_s: 60, skew_max_s: 600 }
    }
}

impl Window {
    /// Refuses settings under which a charge could be sent after its key was forgotten.
    ///
    /// # Errors
    /// Says which settings are unsafe together and how to change them.
    pub fn check(&self, request_lifetime: Duration) -> Result<(), String> {
        let lifetime_s = request_lifetime.as_millis().div_ceil(1_000) as u64;
        let needed_s = self.handling_s + lifetime_s + self.pause_max_s + self.skew_max_s;
        let margin_s = self.retention_s.saturating_sub(self.window_s);
        if margin_s >= needed_s {
            return Ok(());
        }
        let fix = match self.retention_s.checked_sub(needed_s) {
            Some(longest_s) if longest_s > 0 => format!("set --charge-window-s to {longest_s} or less"),
            _ => format!("the provider must remember keys for more than {needed_s} s"),
        };
        Err(format!(
            "--charge-window-s {} is too long for --provider-key-retention-s {}: between them must be at least {needed_s} s, \
             the sum of --provider-max-handling-s {}, --provider-timeout-ms {}, --pause-max-s {} and --clock-skew-max-s {}, or a \
             charge could be sent again when the provider has forgotten its key, and be made twice; {fix}",
            self.window_s,
            self.retention_s,
            self.handling_s,
            request_lifetime.as_millis(),
            self.pause_max_s,
            self.skew_max_s,
        ))
    }

    /// How far ahead of the database's clock `not_after_ms` may lie.
    pub(crate) fn ahead_max_ms(&self) -> i64 {
        i64::try_from(self.window_s).unwrap_or(i64::MAX / 2_000) * 1_000 + OWN_SKEW_MS
    }

    pub(crate) const fn handling(&self) -> Duration {
        Duration::from_secs(self.handling_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_millis(2_001);

    #[test]
    fn the_margin_covers_everything_that_may_be_late() {
        assert_eq!(Window::default().check(LIFETIME), Ok(()));
        // 10 + 3 + 60 + 600.
        let tight = Window { window_s: 100, retention_s: 773, ..Window::default() };
        assert_eq!(tight.check(LIFETIME), Ok(()));
        for unsafe_one in [
            Window { window_s: 101, ..tight },
            Window { retention_s: 772, ..tight },
            Window { handling_s: 11, ..tight },
            Window { pause_max_s: 61, ..tight },
            Window { skew_max_s: 601, ..tight },
            Window { window_s: 100_000, ..tight },
        ] {
            let refused = unsafe_one.check(LIFETIME).unwrap_err();
            for setting in ["--charge-window-s", "--provider-key-retention-s", "--clock-skew-max-s", "--pause-max-s"] {
                assert!(refused.contains(setting), "{refused}");
            }
        }
        assert!(
            tight.check(LIFETIME + Duration::from_secs(1)).unwrap_err().contains("--charge-window-s to 99 or less")
        );
        let hopeless = Window { retention_s: 600, ..tight };
        assert!(hopeless.check(LIFETIME).unwrap_err().contains("remember keys for more than 673 s"));
    }
}
