//! How a charge would fare that is not begun yet.

use serde::{Deserialize, Serialize};

use crate::{AtLeastOnce, Family, Operation, sessions::Never};

/// Asks how a charge that comes now would fare: before a checkout's key is used, so that one that cannot be paid in time
/// is not begun.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Outlook {}

/// What to expect, by the calls of the last seconds. No promise: others may come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Milliseconds until there is a permit to call the provider.
    pub wait_ms: u64,
    /// Milliseconds that the call then takes.
    pub call_ms: u64,
}

impl Operation for Outlook {
    const NAME: &'static str = "payments.outlook";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "a read";
    // An answer that takes longer is of no use: the checkout waits for it.
    const ATTEMPT_MS: u64 = 200;
    type Reply = Expected;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}
