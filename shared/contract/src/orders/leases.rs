//! Leases: who drives a checkout, and when it is tried again.

use serde::{Deserialize, Serialize};

use super::{Answer, Driver, NotFound, OpenCheckout, OrderState, example_driver};
use crate::{AtLeastOnce, Family, Operation, OperationId, catalogue::example_operation, sessions::Never};

/// Takes a checkout whose driver's lease has lapsed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Take {
    /// Which.
    pub operation: OperationId,
    /// Who wants it.
    pub driver: Driver,
}

/// What taking came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It is yours for the lease's time.
    Yours(OpenCheckout),
    /// Somebody drives it, or it waits for its next try.
    Busy {
        /// Where it stands.
        state: OrderState,
        /// Whether a driver holds it now.
        driven: bool,
    },
    /// It is over.
    Ended(Answer),
    /// It has been over for so long that its answer is kept no more (IK-12).
    Expired {
        /// Where it stands.
        state: OrderState,
    },
}

impl Operation for Take {
    const NAME: &'static str = "orders.take";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a lease: taking it again by the same driver gives the same lease";
    type Reply = Taken;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), driver: example_driver() }
    }
}

/// Keeps a lease for another lease's time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which.
    pub operation: OperationId,
    /// Who drives it.
    pub driver: Driver,
}

impl Operation for Heartbeat {
    const NAME: &'static str = "orders.heartbeat";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "renewing a lease twice renews it once";
    /// Whether the lease is still held.
    type Reply = bool;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), driver: example_driver() }
    }
}

/// Gives a lease back: the outcome is not known yet, and the completer tries again later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Postpone {
    /// Which.
    pub operation: OperationId,
    /// Who drove it.
    pub driver: Driver,
    /// Why, for the operator.
    pub reason: String,
    /// Earliest next try from now, 0 to 60,000.
    pub delay_ms: i64,
    /// Whether a person must look now: the machine has found that it cannot find out.
    pub attention: bool,
}

impl Operation for Postpone {
    const NAME: &'static str = "orders.postpone";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "only the lease's holder changes anything, and then holds it no more";
    type Reply = OrderState;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let (operation, driver) = (example_operation(), example_driver());
        Self { operation, driver, reason: "provider: timeout".to_owned(), delay_ms: 250, attention: false }
    }
}

/// Makes an open checkout that waits for its next try due now: something new is known about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nudge {
    /// Which.
    pub operation: OperationId,
}

impl Operation for Nudge {
    const NAME: &'static str = "orders.nudge";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "due now is due now, however often it is said";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation() }
    }
}

/// Claims checkouts that nobody drives and whose next try has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Due {
    /// Who will drive them.
    pub driver: Driver,
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Due {
    const NAME: &'static str = "orders.due";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "leases: what a lost reply claimed comes back when the lease lapses";
    type Reply = Vec<OpenCheckout>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { driver: example_driver(), limit: 16 }
    }
}
