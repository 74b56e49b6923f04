//! The promises that must not compile away. Each file in `promises/` breaks one; the compiler's words are beside it.
//! After a change of wording: `TRYBUILD=overwrite cargo test -p testkit --test promises`, and read the difference.

use contract::{ExactlyOnce, Family, Once, Operation, Outcome, RequestId, shop::Checkout};
use rpc::{Client, Ops};
use serde::{Deserialize, Serialize};

#[test]
fn promises_do_not_compile_away() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/promises/weakening_a_strategy.rs");
    cases.compile_fail("tests/promises/omitting_the_request_id.rs");
    cases.compile_fail("tests/promises/money_on_a_store_that_cannot_share.rs");
    cases.compile_fail("tests/promises/a_fourth_strategy.rs");
}

// The same declarations with the promises kept. That they compile shows that the files above fail for the reason they
// name, not for a typing error.

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PayOut {}

impl Operation for PayOut {
    const NAME: &'static str = "payments.pay_out";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "money";
    type Reply = ();
    type Refusal = ();
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self {}
    }
}

async fn pay_out(_: (), _: PayOut, _: Once) -> Outcome<PayOut> {
    Ok(())
}

async fn buy(client: Client, id: RequestId) {
    let _ = client.call(&Checkout::example(), id).await;
}

#[test]
fn the_same_with_the_promises_kept_compiles() {
    let _ = buy;
    assert_eq!(Ops::new(()).serve(pay_out).names(), [PayOut::NAME]);
}
