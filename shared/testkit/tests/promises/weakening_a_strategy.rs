//! An operation that moves money is weakened to at-least-once: its handler, which spends a `Once`, no longer fits.

use contract::{AtLeastOnce, Family, Once, Operation, Outcome};
use rpc::Ops;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PayOut {}

impl Operation for PayOut {
    const NAME: &'static str = "payments.pay_out";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "money";
    type Reply = ();
    type Refusal = ();
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

async fn pay_out(_: (), _: PayOut, _: Once) -> Outcome<PayOut> {
    Ok(())
}

fn main() {
    let _ = Ops::new(()).serve(pay_out);
}
