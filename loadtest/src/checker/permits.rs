//! CO-16, from outside: the provider counts the calls that it works on, whether or not their callers still wait.

use super::{Check, Evidence, Findings};

/// What the provider allows the whole shop, and the shop's own default.
pub(crate) const CALLS_AT_ONCE_MAX: u64 = 50;

pub(crate) fn check(evidence: &Evidence, findings: &mut Findings) {
    let seen = evidence.calls_at_once;
    findings.expect(Check::Co16Permits, seen <= CALLS_AT_ONCE_MAX, || {
        format!("the provider had {seen} calls at once; it allows {CALLS_AT_ONCE_MAX}")
    });
}
