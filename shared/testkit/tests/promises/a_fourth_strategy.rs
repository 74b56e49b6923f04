//! Somebody invents "probably once".

use contract::{Attempt, NoKey, Strategy};

struct ProbablyOnce;

impl Strategy for ProbablyOnce {
    const LABEL: &'static str = "probably-once";
    const RESEND_AFTER_UNKNOWN: bool = true;
    type Key = NoKey;
    type Permit = Attempt;

    fn permit(_: NoKey, _: &[u8]) -> Attempt {
        unimplemented!()
    }
}

fn main() {}
