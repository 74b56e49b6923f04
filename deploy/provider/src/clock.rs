//! The provider's clock, the only place that reads it.
//!
//! The shop's clock seam is out of reach on purpose (no shared code), so the ban on the system clock is lifted here
//! and nowhere else. Decisions take `now_ms` as a parameter, which keeps them testable without a clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
#[expect(
    clippy::disallowed_methods,
    reason = "the provider shares no code with the shop, so not its clock seam either"
)]
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC. A time no calendar can hold (a damaged ledger) is shown as the epoch rather than hiding the row.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_in_rfc_3339() {
        assert_eq!(rfc3339(1_234_567_890_123), "2009-02-13T23:31:30.123Z");
    }
}
