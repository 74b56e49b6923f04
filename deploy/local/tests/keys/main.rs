//! The edge cases of idempotency keys (semantics 2.5), one test a row, on whole shops of real processes: through the public
//! API, with the provider's ledger as the outside truth and the operators' commands. `e01_...` is row E1. The rows where
//! the database matters run on SQLite and PostgreSQL. Rows that need a clock, a kill at one instruction or a row written by
//! another version are tested where those can be had:
//!
//! | row | here | elsewhere |
//! | --- | --- | --- |
//! | E1 64 first requests | `first.rs` | orders conformance `one_claim_wins` |
//! | E2 100 repeats | `first.rs` | |
//! | E3 another payload | `first.rs` | orders conformance `another_fingerprint_is_refused` |
//! | E4 another spelling | `first.rs` | frontend edge `spelling_changes_no_fingerprint_and_any_value_does` |
//! | E5 two principals | `scope.rs` | |
//! | E6 another route | `scope.rs` | |
//! | E7 kill before the claim commits | | `tests/crash`: `orders.open.claimed` |
//! | E8 kill before any effect | | `tests/crash`: `orders.open.committed`, `catalogue.reserve.committed`, ... |
//! | E9 kill after the provider executed | | `tests/crash`: `payments.charge.answered`, `payments.charge.decided`, ... |
//! | E10 kill before the response | | `tests/crash`: `orders.complete.committed`, `logic.driver.completed` |
//! | E11 owner paused | `faults.rs` | orders conformance `ends_that_race_end_once` |
//! | E12 client hangs up | `faults.rs` | `tests/crash`: every case with a client that is gone |
//! | E13 COMMIT lost | `faults.rs` (PostgreSQL) | orders `tests/faults.rs`; `tests/crash`: the `.committed` points on SQLite |
//! | E14 result expired | | orders conformance `answers_expire_when_they_are_read`; frontend edge, the row `tok_expired` |
//! | E15 reaper and uncertain | | orders conformance `the_reaper_takes_only_what_is_over` |
//! | E16 refunded, late repeat | `change.rs` | orders conformance `a_refund_keeps_the_answer` |
//! | E17 two tabs | `scope.rs` | orders conformance `two_keys_cannot_buy_one_line` |
//! | E18 shed, same key | `faults.rs` | |
//! | E19 store down | `faults.rs` | |
//! | E20 clocks apart | | `logic/tests/simulation`: every node's clock is off by up to ten minutes |
//! | E21 price changes | `change.rs` | |
//! | E22 logout and login | `scope.rs` | |
//! | E23 other versions' rows | | orders `tests/rows.rs` |
//! | E24 long answer | | orders conformance `a_long_answer_is_made_again` |
//! | E25 GET with a key | `scope.rs` | frontend edge `reads_know_no_key` |
#![expect(clippy::unwrap_used, reason = "tests")]

mod change;
#[path = "../common/cluster.rs"]
mod cluster;
#[path = "../shop/customer.rs"]
#[expect(dead_code, reason = "shared with other targets, which use more of it")]
mod customer;
mod faults;
mod first;
mod place;
mod scope;
